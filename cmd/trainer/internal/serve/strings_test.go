package serve

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"trainer/cmd/trainer/internal/cockpit"
	"trainer/nn/inspect"
)

// keysOfEngine are the names of texts that the page makes from words of the engine.
func keysOfEngine() (keys []string) {
	for _, k := range inspect.NoteKinds() {
		keys = append(keys, "note."+string(k))
	}
	for _, of := range []inspect.Quantity{inspect.Value, inspect.Gradient, inspect.WeightGradient} {
		keys = append(keys, "explain."+string(of))
	}
	for _, p := range []cockpit.Phase{cockpit.Preparing, cockpit.Running, cockpit.Evaluating, cockpit.Paused, cockpit.Finished, cockpit.Interrupted, cockpit.Failed} {
		keys = append(keys, "phase."+string(p))
	}
	for _, state := range []string{"finished", "running", "interrupted", "failed", "broken"} { // see command/runs.go
		keys = append(keys, "run."+state)
	}
	return keys
}

// TestStrings: every text of the page is in both languages with the same names in braces, every text that the page uses is
// there, and none is left over.
func TestStrings(t *testing.T) {
	raw, err := os.ReadFile("web/src/strings.json")
	if err != nil {
		t.Fatal(err)
	}
	var table map[string]map[string]string
	if err := json.Unmarshal(raw, &table); err != nil {
		t.Fatal(err)
	}
	braced := regexp.MustCompile(`\{\w+\}`)
	for key, texts := range table {
		if len(texts) != 2 || texts["en"] == "" || texts["vi"] == "" {
			t.Errorf("%s: want the languages en and vi, got %v", key, texts)
		}
		en, vi := braced.FindAllString(texts["en"], -1), braced.FindAllString(texts["vi"], -1)
		slices.Sort(en)
		slices.Sort(vi)
		if !slices.Equal(en, vi) {
			t.Errorf("%s: names in braces %v and %v", key, en, vi)
		}
	}
	var files []string
	for _, pattern := range []string{"web/src/*.js", "web/src/*/*.js"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatal(found, err)
		}
		files = append(files, found...)
	}
	var code strings.Builder
	for _, f := range files {
		content, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		code.Write(content)
	}
	used := map[string]bool{}
	for _, m := range regexp.MustCompile(`\btext\("([^"]+)"`).FindAllStringSubmatch(code.String(), -1) {
		used[m[1]] = true
		if table[m[1]] == nil {
			t.Errorf("the page uses the text %s, which the table lacks", m[1])
		}
	}
	for _, key := range keysOfEngine() {
		if table[key] == nil {
			t.Errorf("the engine says %s, for which the table has no text", key)
		}
	}
	for key := range table {
		prefix, _, isPart := strings.Cut(key, ".")
		if !used[key] && !(isPart && strings.Contains(code.String(), "text(`"+prefix+".${")) && !strings.Contains(code.String(), `"`+key+`"`) {
			t.Errorf("no code uses the text %s", key)
		}
	}
}
