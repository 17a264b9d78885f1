package recipe

import (
	"strconv"
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	without := strings.Replace(head+network, `name = "mine"`, "", 1)
	if without == head+network {
		t.Fatal("the recipe is not called mine")
	}
	for name, ok := range map[string]bool{
		"cifar10": true, "My net, v2.1 (größer)": true, "ネット": true, strings.Repeat("x", 100): true,
		"": false, "../PWNED": false, "a/b": false, `a\b`: false, "c:x": false, ".hidden": false, "..": false, "a\x1b[31m": false,
		"a\nb": false, "a\u202eb": false, strings.Repeat("x", 101): false,
	} {
		r, err := Parse("f.toml", []byte("name = "+strconv.Quote(name)+"\n"+without))
		if (err == nil) != ok || ok && r.Name != name {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := Parse("f.toml", []byte("name = 3\n"+without)); err == nil || !strings.Contains(err.Error(), "want a string, got") {
		t.Errorf("a number: %v", err)
	}
}
