package command

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// hostileText is a name that sets a terminal's title and colour, breaks the line and turns the direction of writing;
// hostile is not UTF-8 either.
const (
	hostileText = "x\x1b]0;pwned\x07\x1b[31mRED\u009b1m\u202e\nforged"
	hostile     = hostileText + "\xff"
)

// checkOutput fails if there is a control character, or if a line is the forged one.
func checkOutput(t *testing.T, what, text string) {
	t.Helper()
	for _, c := range text {
		if c != '\n' && c != '\t' && (c < ' ' || c >= 0x7f && c < 0xa0 || c == 0x202e || c == utf8.RuneError) {
			t.Errorf("%s: %q in %q", what, c, text)
			break
		}
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "forged") {
			t.Errorf("%s: a forged line in %q", what, text)
		}
	}
}

// hostilePlace makes a data set whose own name, class and file are hostile, and recipes and a run with such names.
func hostilePlace(t *testing.T) (data string) {
	t.Helper()
	workplace(t)
	data = "data" + hostileText
	if err := os.Rename("pictures", data); err != nil {
		t.Skip("no such names here: ", err)
	}
	if err := os.Rename(filepath.Join(data, "dark"), filepath.Join(data, "dark"+hostile)); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(data, "bright", "bad"+hostile+".png"), "no picture")
	write(t, "bad"+hostile+".toml", "x = 1\n")
	write(t, "named.toml", strings.Replace(small, `"small"`, `"x\u001b[31m"`, 1))
	write(t, "keys.toml", small+"\n[\"k\\u001b[31m\\nforged\"]\nv = 1\n")
	write(t, "kind.toml", strings.Replace(small, `"sgd"`, `"\u001b[31msgd"`, 1))
	write(t, "layer.toml", strings.Replace(small, `layer = "relu"`, "layer = \"relu\"\nname = \"\\u001b[31m\"", 1))
	write(t, "data.toml", "data = [\"mn\\u001b[31m\\nforged\"]\n"+small)
	return data
}

func TestNothingHostileReachesTheTerminal(t *testing.T) {
	data := hostilePlace(t)
	train := []string{"-data", data, "-recipe", "small.toml", "-device", "cpu", "-epochs", "1"}
	with := func(args ...string) []string { return append(append([]string{}, train...), args...) }
	// The first ones do what they are asked to, the others are refused.
	try := func(succeeds bool, commands [][]string) {
		for _, args := range commands {
			got := trainer(t, args...)
			checkOutput(t, strings.Join(args, " "), got.stdout+got.stderr)
			if (got.status == exitOK) != succeeds {
				t.Errorf("%q: status %d, stderr %q", args, got.status, got.stderr)
			}
		}
	}
	try(true, [][]string{
		with("-out", "run"), with("-quiet", "-out", "quiet"), with("-json", "-out", "json"), with("-dry-run"), with("-out", "out"+hostile),
		with(), with("-runs", "2", "-out", "runs"), {"-recipe", "data.toml", "-data", data, "-dry-run"},
		{"draw", "network", "-recipe", "small.toml", "-input", "8x8x1", "-o", hostile + ".svg"},
		{"draw", "augment", "-recipe", "small.toml", "-data", data, "-o", "augment.svg"},
		{"draw", "run", "run"}, {"draw", "run", "-format", "svg", "-o", "svg" + hostile, "run"},
	})
	try(false, [][]string{
		{"-data", hostile}, {"-data", "mnist", "-data-dir", hostile}, {"-recipe", hostile}, {"-recipe", "bad" + hostile + ".toml"},
		{"-recipe", "named.toml"}, {"-recipe", "keys.toml"}, {"-recipe", "kind.toml"}, {"-recipe", "layer.toml"}, {"-recipe", "data.toml", "-dry-run"},
		{"-device", hostile}, {"-" + hostile}, {hostile}, {"-set", hostile + "=1"}, {"-set", "batch=" + hostile}, {"-resume", hostile},
		{"recipe", hostile}, {"draw", hostile}, {"draw", "network", "-recipe", hostile}, {"draw", "network", "-o", hostile}, {"draw", "network", hostile},
		{"draw", "run", hostile}, {"draw", "run", "-format", hostile, "run"},
		{"doctor", hostile}, {"bench", hostile}, {"bench", "-recipe", hostile}, {"version", hostile}, {"-list", hostile}, {"train", hostile},
	})
	for _, svg := range []string{"augment.svg", filepath.Join("svg"+hostile, "confusion.svg")} {
		checkOutput(t, svg, strings.ReplaceAll(read(t, svg), "\r", ""))
	}
	checkOutput(t, "skipped.txt", read(t, filepath.Join("run", "skipped.txt")))
}

// The bar moves the cursor itself, but writes no names that do.
func TestTheBarShowsNoHostileNames(t *testing.T) {
	data := hostilePlace(t)
	var stdout, stderr bytes.Buffer
	p := &program{Config: config(), stdout: &stdout, stderr: &stderr, terminal: true, now: time.Now, getenv: func(string) string { return "" }}
	if status := run(context.Background(), p, []string{"-data", data, "-recipe", "small.toml", "-device", "cpu", "-epochs", "1", "-out", "run"}); status != exitOK {
		t.Fatalf("status %d: %s", status, stderr.String())
	}
	for _, part := range []string{"\x1b]0;", "\x1b[31m", "\u009b", "\u202e", "\nforged"} {
		if strings.Contains(stdout.String(), part) {
			t.Errorf("%q in %q", part, stdout.String())
		}
	}
}

func TestResumingShowsNoHostileNames(t *testing.T) {
	workplace(t)
	if got := trainer(t, "-data", "pictures", "-recipe", "small.toml", "-device", "cpu", "-epochs", "1", "-checkpoint-every", "1", "-out", "run"); got.status != exitOK {
		t.Fatal(got.stderr)
	}
	config := read(t, "run/config.toml")
	checkpoint := read(t, "run/checkpoint.safetensors")
	quoted, err := json.Marshal(hostileText)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(quoted), "\u009b", `\u009b`)
	for _, key := range []string{"data", "device", "data-dir", "name"} {
		line := regexp.MustCompile(`(?m)^` + key + ` = .*$`)
		if !line.MatchString(config) {
			t.Errorf("the configuration lacks %s:\n%s", key, config)
		}
		write(t, "run/config.toml", line.ReplaceAllLiteralString(config, key+" = "+text))
		got := trainer(t, "-resume", "run", "-data", "pictures")
		checkOutput(t, key, got.stdout+got.stderr)
		got = trainer(t, "draw", "run", "run")
		checkOutput(t, key+", drawn", got.stdout+got.stderr)
	}
	write(t, "run/config.toml", config)
	// Of the same length, so that the file stays whole but for its checksum; and a name of a setting.
	write(t, "run/checkpoint.safetensors", strings.Replace(checkpoint, `\"seed\"`, `\"\u001b\"`, 1))
	got := trainer(t, "-resume", "run")
	checkOutput(t, "checkpoint", got.stdout+got.stderr)
}
