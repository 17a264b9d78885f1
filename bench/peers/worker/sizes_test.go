package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"trainer/nn/data"
)

// TestSizesOfDataSets checks that network.py, which also runs where there is no Go, has the size of every data set's
// images.
func TestSizesOfDataSets(t *testing.T) {
	text, err := os.ReadFile("../network.py")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(text), "SIZES = {")
	list, _, _ = strings.Cut(list, "}")
	entries := 0
	for _, kind := range data.SetKinds() {
		shape := kind.ImageShape
		if shape == [3]int{} {
			continue // pictures of any size
		}
		entries++
		if want := fmt.Sprintf("%q: (%d, %d)", kind.Name, shape[0], shape[2]); shape[0] != shape[1] || !strings.Contains(list, want) {
			t.Errorf("SIZES in network.py is {%s}, want in it %s", list, want)
		}
	}
	if n := strings.Count(list, ":"); n != entries {
		t.Errorf("SIZES in network.py has %d data sets, want %d", n, entries)
	}
}
