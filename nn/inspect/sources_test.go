package inspect_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// sources returns the comments of package nn, with each run of white space as one space.
func sources(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, file := range must(filepath.Glob("../*.go")) {
		for line := range strings.Lines(string(must(os.ReadFile(file)))) {
			if text, ok := strings.CutPrefix(strings.TrimSpace(line), "//"); ok {
				b.WriteString(text + " ")
			}
		}
	}
	return squeeze(b.String())
}

func squeeze(text string) string { return strings.Join(strings.Fields(text), " ") }
