package command

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// trainedRun trains a network on the pictures of workplace, in the folder run.
func trainedRun(t *testing.T) {
	t.Helper()
	workplace(t)
	if got := trainer(t, "-data", "pictures", "-recipe", "small.toml", "-out", "run", "-quiet"); got.status != exitOK {
		t.Fatalf("training: %+v", got)
	}
}

func TestPredict(t *testing.T) {
	trainedRun(t)
	one := filepath.Join("pictures", "dark", "aa.png")
	if _, err := os.Stat(one); err != nil {
		t.Fatal(err)
	}

	got := trainer(t, "predict", "run", one)
	if lines := strings.Split(got.stdout, "\n"); got.status != exitOK || len(lines) != 3 || !strings.HasSuffix(lines[0], "%  dark") {
		t.Errorf("one picture: %+v", got)
	}

	// Flags may stand after arguments; a folder has all of its pictures.
	got = trainer(t, "predict", "run/model.safetensors", "pictures", "-csv", "-top", "1", "-batch", "7")
	rows, err := csv.NewReader(strings.NewReader(got.stdout)).ReadAll()
	if err != nil || got.status != exitOK || len(rows) != 61 {
		t.Fatalf("status %d, %d rows, %v, stderr %q", got.status, len(rows), err, got.stderr)
	}
	for _, row := range rows[1:] {
		if class := filepath.Base(filepath.Dir(row[0])); len(row) != 4 || row[2] != class {
			t.Errorf("%v: want class %s", row, class)
		}
	}

	// An unreadable picture is named, and the others are answered.
	write(t, "broken.png", "\x89PNG\r\n\x1a\nshort")
	write(t, "list.txt", one+"\r\nbroken.png\n\nmissing.png\n"+one+"\n")
	got = trainer(t, "predict", "-json", "run", "list.txt")
	var answers []struct {
		Path, Class, Error string
		Top                []struct{ Probability float64 }
	}
	for line := range strings.Lines(got.stdout) {
		answers = append(answers, struct {
			Path, Class, Error string
			Top                []struct{ Probability float64 }
		}{})
		if err := json.Unmarshal([]byte(line), &answers[len(answers)-1]); err != nil {
			t.Fatal(err)
		}
	}
	if got.status != exitEnvironment || len(answers) != 4 || answers[0].Class != "dark" || answers[3].Class != "dark" ||
		answers[1].Error == "" || answers[2].Error == "" || len(answers[0].Top) != 2 {
		t.Errorf("%+v, answers %+v", got, answers)
	}
	if !strings.Contains(got.stderr, "trainer: broken.png: ") || strings.Count(got.stderr, "\n") != 2 {
		t.Errorf("stderr %q", got.stderr)
	}

	// Paths on standard input; -views gives the same where the recipe has no views.
	var stdout, stderr bytes.Buffer
	p := &program{Config: config(), stdin: strings.NewReader(one + "\n" + one), stdout: &stdout, stderr: &stderr,
		getenv: func(string) string { return "" }, now: time.Now}
	if status := run(context.Background(), p, []string{"predict", "run", "-", "-views"}); status != exitOK || strings.Count(stdout.String(), "dark") < 2 {
		t.Errorf("status %d, stdout %q, stderr %q", status, stdout.String(), stderr.String())
	}
}

func TestPredictRefuses(t *testing.T) {
	trainedRun(t)
	if err := os.Mkdir("empty", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{}, exitUsage, "predict takes a model and pictures"},
		{[]string{"run"}, exitUsage, "predict takes a model and pictures"},
		{[]string{"run", "-json", "-csv", "x.png"}, exitUsage, "-json and -csv"},
		{[]string{"run", "empty"}, exitUsage, "no pictures in empty"},
		{[]string{"empty", "x.png"}, exitUsage, "the folder has no model"},
		{[]string{"nowhere", "x.png"}, exitUsage, "no such file"},
		{[]string{"run/checkpoint.safetensors", "x.png"}, exitUsage, "not a model of this program"},
		{[]string{"run/config.toml", "x.png"}, exitUsage, "the file is damaged"},
		{[]string{"run", "-", "x.png"}, exitUsage, "standard input"},
		{[]string{"run", "-top", "0", "x.png"}, exitUsage, "-top"},
		{[]string{"run", "-tpo", "1", "x.png"}, exitUsage, "did you mean -top"},
		{[]string{"run", "--", "-x.png"}, exitEnvironment, "-x.png: "},
	} {
		got := trainer(t, append([]string{"predict"}, tt.args...)...)
		if got.status != tt.status || !strings.Contains(got.stderr, tt.want) || strings.Count(got.stderr, "\n") != 1 {
			t.Errorf("%v: %+v, want status %d and %q", tt.args, got, tt.status, tt.want)
		}
	}
}

func TestPredictHelp(t *testing.T) {
	got := trainer(t, "predict", "-h")
	if got.status != exitOK || got.stderr != "" {
		t.Fatalf("%+v", got)
	}
	golden(t, "predict.txt", got.stdout)
}
