package nn_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// TestCodeLinks checks that the files named in the comments of layers, losses and update rules exist.
func TestCodeLinks(t *testing.T) {
	line := regexp.MustCompile(`(?m)^// Code: .*$`)
	path := regexp.MustCompile(`[a-z0-9_]+(/[a-z0-9_]+)+\.(go|cu)`)
	links := 0
	for _, pattern := range []string{"*.go", "optim/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, link := range path.FindAllString(string(line.Find(text)), -1) {
				links++
				if _, err := os.Stat(filepath.Join("..", link)); err != nil {
					t.Errorf("%s names %s: %v", file, link, err)
				}
			}
		}
	}
	if links < 50 {
		t.Errorf("%d links, want one to the reference, to each device's code and to the test in every file", links)
	}
}
