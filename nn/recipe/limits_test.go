package recipe

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestLimits(t *testing.T) {
	valid := head + network
	for name, c := range map[string]struct{ text, says string }{
		"dotted key":     {strings.Repeat("a.", 40_000) + "a = 1\n", "f.toml:1: a key of more than 32 parts"},
		"table's name":   {"[" + strings.Repeat("a.", 40) + "a]\n", "f.toml:1: a key of more than 32 parts"},
		"many keys":      {valid + "\n[zzz]\n" + lines(maxKeys+1, "k%d=1"), "more than 10000 keys"},
		"many elements":  {"a = [" + strings.Repeat("1,", maxElements+1) + "]", "more than 100000 elements"},
		"deep lists":     {"\n\na = " + strings.Repeat("[", 500_000), "f.toml:3: more than 32 lists or tables within each other"},
		"deep tables":    {"a = " + strings.Repeat("{a=", 50), "more than 32 lists or tables within each other"},
		"long":           {"a = \"" + strings.Repeat("x", maxText) + "\"", "at most 1024 KiB"},
		"after a string": {"a = \"\"\"\nq\\\"\"\" \"\"\"\n" + "b = " + strings.Repeat("[", 50), "f.toml:3: more than 32 lists"},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			_, err := Parse("f.toml", []byte(c.text))
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %s", err, c.says)
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// lines returns n lines of a format with their numbers.
func lines(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format+"\n", i)
	}
	return b.String()
}

// TestNothingInStringsCounts holds texts whose brackets, dots and commas are in strings and comments.
func TestNothingInStringsCounts(t *testing.T) {
	many := strings.Repeat("[{a.b=,", 100)
	for _, text := range []string{
		"# " + many + "\n", "a = \"" + many + "\"\n", "a = '" + many + "'\n", "a = \"\"\"\n" + many + "\n\"\"\"\n", "a = '''\n" + many + "'\n'''\n",
		"a = \"\\\"" + many + "\"\n", "a = \"\"\nb = ''\n", "a = [" + strings.Repeat("1.5, ", 50) + "]\n", strings.Repeat("[a.b]\n", 50),
	} {
		if err := checkLimits("f", []byte(text)); err != nil {
			t.Errorf("%.30q: %v", text, err)
		}
	}
	for _, name := range Names() {
		text, err := Source(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := checkLimits(name, bytes.Repeat(text, 4)); err != nil {
			t.Errorf("four times %s: %v", name, err)
		}
	}
}

// TestManyMistakes holds a recipe of many unknown keys, which were once compared with each other.
func TestManyMistakes(t *testing.T) {
	start := time.Now()
	_, err := Parse("f.toml", []byte(head+network+"\n[zzz]\n"+lines(3000, "k%d=1")))
	if err == nil {
		t.Error("got no error")
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestBlocksExpandWithinBounds(t *testing.T) {
	text := head + "[block]\na = [{layer=\"relu\", zzz=[" + strings.Repeat("1,", 5000) + "1]}]\n" +
		strings.Repeat("[[network]]\nblock=\"a\"\n", 1000)
	if _, err := Parse("f.toml", []byte(text)); err == nil || !strings.Contains(err.Error(), "expand to more than") && !strings.Contains(err.Error(), "zzz") {
		t.Errorf("got %v", err)
	}
}

func TestRecipesAreRegularFiles(t *testing.T) {
	folder := t.TempDir()
	large := filepath.Join(folder, "large.toml")
	if err := os.WriteFile(large, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, 1<<40); err != nil {
		t.Skip(err)
	}
	for path, says := range map[string]string{large: "too large", folder: "not a regular file but a folder", "/dev/zero": "not a regular file"} {
		if _, err := Load(path); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", path, err)
		}
	}
}
