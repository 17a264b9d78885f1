package command

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// trainedRuns makes a workplace with three trainings in runs: two of one seed, and one of two seeds.
func trainedRuns(t *testing.T) {
	t.Helper()
	workplace(t)
	for _, args := range []string{
		"-out runs/a -epochs 2", "-out runs/deeper/b -epochs 2 -lr 0.0001", "-out runs/sweep -epochs 3 -runs 2 -val 0.2",
	} {
		args = "-data pictures -recipe small.toml -device cpu -quiet -set eval-every=1 " + args
		if got := trainer(t, strings.Fields(args)...); got.status != exitOK {
			t.Fatalf("%s: %+v", args, got)
		}
	}
}

// listedJSON returns what trainer runs -json prints, by path.
func listedJSON(t *testing.T, args ...string) (runs map[string]map[string]any, order []string) {
	t.Helper()
	got := trainer(t, append([]string{"runs", "-json"}, args...)...)
	if got.status != exitOK {
		t.Fatalf("%+v", got)
	}
	runs = map[string]map[string]any{}
	for line := range strings.Lines(got.stdout) {
		var r map[string]any
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		path := filepath.ToSlash(r["path"].(string))
		runs[path], order = r, append(order, path)
	}
	return runs, order
}

func TestRuns(t *testing.T) {
	trainedRuns(t)
	t.Run("listed", runsAreListed)
	t.Run("compared", runsAreCompared)
	t.Run("other images", otherImagesAreRefused)
}

func runsAreListed(t *testing.T) {
	runs, order := listedJSON(t)
	if len(runs) != 3 || runs["runs/a"] == nil || runs["runs/deeper/b"] == nil || runs["runs/sweep"] == nil {
		t.Fatalf("runs %v", order)
	}
	a := runs["runs/a"]
	if a["state"] != stateFinished || a["data"] != "pictures" || a["recipe"] != "small" || a["epochs"] != 2.0 || a["val_accuracy"] != nil {
		t.Errorf("a: %v", a)
	}
	if want := readJSON(t, "runs/a/summary.json")["test_accuracy"]; a["test_accuracy"] != want {
		t.Errorf("test accuracy %v, want %v", a["test_accuracy"], want)
	}
	if d := a["different"].(map[string]any); d["optimizer.lr"] != "0.05" || d["epochs"] != "2" || d["batch"] != nil || d["run.seed"] != nil {
		t.Errorf("different %v", d)
	}
	if s := runs["runs/sweep"]; len(s["seeds"].([]any)) != 2 || s["val_accuracy"] == nil || s["state"] != stateFinished {
		t.Errorf("sweep %v", s)
	}
	if _, order := listedJSON(t, "-sort", "accuracy"); order[0] != "runs/deeper/b" { // its rate is too low to learn
		t.Errorf("by accuracy: %v", order)
	}
	got := trainer(t, "runs")
	if !regexp.MustCompile(`(?m)^run +date +data +recipe +seeds +val +test +time +state +settings\n`).MatchString(got.stdout) || strings.Count(got.stdout, "\n") != 4 {
		t.Errorf("table\n%s", got.stdout)
	}
	refused(t, trainer(t, "runs", "-sort", "colour"), `-sort: unknown order "colour" (valid: date, accuracy, time)`)
	refused(t, trainer(t, "runs", "pictures"), "no runs in pictures")
}

// Runs that are half-written or hostile are listed with what is wrong, and no link is followed.
func TestBrokenRunsAreListed(t *testing.T) {
	workplace(t)
	if got := trainer(t, "-data", "pictures", "-recipe", "small.toml", "-device", "cpu", "-quiet", "-out", "good"); got.status != exitOK {
		t.Fatalf("%+v", got)
	}
	config := read(t, "good/config.toml")
	for path, files := range map[string]map[string]string{
		"runs/killed":   {"config.toml": config, "data.json": "{}", "checkpoint.safetensors": "", "metrics.jsonl": read(t, "good/metrics.jsonl") + `{"epoch":4,"st`},
		"runs/begun":    {"config.toml": config, "data.json": "{}"},
		"runs/summary":  {"config.toml": config, "summary.json": "{"},
		"runs/metrics":  {"config.toml": config, "metrics.jsonl": "{}\nnothing\n"},
		"runs/recipe":   {"config.toml": "name = 3\n", "metrics.jsonl": ""},
		"runs/norun":    {"config.toml": small, "summary.json": "{}"},
		"runs/noconfig": {"summary.json": "{}"},
		"runs/notarun":  {"notes.txt": "x"},
	} {
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
		for name, text := range files {
			write(t, filepath.Join(path, name), text)
		}
	}
	if err := os.Symlink("../good", "runs/link"); err != nil {
		t.Skip("no links here")
	}
	if err := os.MkdirAll("runs/linked", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../../good/config.toml", "runs/linked/config.toml"); err != nil {
		t.Fatal(err)
	}
	write(t, "runs/linked/summary.json", read(t, "good/summary.json"))
	runs, order := listedJSON(t)
	want := map[string][2]string{
		"runs/killed": {stateInterrupted, ""}, "runs/begun": {stateFailed, ""}, "runs/summary": {stateBroken, "summary.json"},
		"runs/metrics": {stateBroken, "metrics.jsonl, line 2"}, "runs/recipe": {stateBroken, "config.toml:1: name"},
		"runs/norun": {stateBroken, "no table [run]"}, "runs/noconfig": {stateBroken, "config.toml"}, "runs/linked": {stateBroken, "config.toml"},
	}
	if len(runs) != len(want) {
		t.Errorf("listed %v", order)
	}
	for path, w := range want {
		problem, _ := runs[path]["problem"].(string)
		if runs[path]["state"] != w[0] || !strings.Contains(problem, w[1]) || (w[1] == "") != (problem == "") {
			t.Errorf("%s: %v, want %q", path, runs[path], w)
		}
	}
	if k := runs["runs/killed"]; k["epochs"] != 3.0 || k["test_accuracy"] == nil {
		t.Errorf("killed: %v", k)
	}
	if got := trainer(t, "runs"); got.status != exitOK || strings.Count(got.stdout, "\n") != len(want)+1 {
		t.Errorf("%+v", got)
	}
}

func runsAreCompared(t *testing.T) {
	got := trainer(t, "compare", "runs/a", "runs/deeper/b", "runs/sweep", "-o", "curves.svg")
	if got.status != exitOK || got.stderr != "" {
		t.Fatalf("%+v", got)
	}
	for _, want := range []string{
		`(?m)^A +runs/a +pictures +small +0 `, `(?m)^setting +A +B +C$`, `(?m)^optimizer\.lr +0\.05 +0\.0001 +0\.05$`, `(?m)^epochs +2 +2 +3$`,
		`A and B on the same 12 test images: only A is right on \d+, only B on \d+; p = [\d.e-]+ \(McNemar\)`,
		`C is not part of McNemar's test: it has several seeds`,
	} {
		if !regexp.MustCompile(want).MatchString(got.stdout) {
			t.Errorf("no %s in\n%s", want, got.stdout)
		}
	}
	if text := read(t, "curves.svg"); !strings.Contains(text, "runs/sweep") {
		t.Error("the figure doesn't name the runs")
	}
	var c struct {
		Runs    []map[string]any
		McNemar []mcNemar
	}
	if err := json.Unmarshal([]byte(trainer(t, "compare", "runs/a", "runs/deeper/b", "-json").stdout), &c); err != nil {
		t.Fatal(err)
	}
	right := func(i int) int { return int(0.5 + 12*c.Runs[i]["test_accuracy"].(float64)) }
	if len(c.McNemar) != 1 || c.McNemar[0].Images != 12 || c.McNemar[0].OnlyA-c.McNemar[0].OnlyB != right(0)-right(1) {
		t.Errorf("McNemar %+v of %d and %d right answers", c.McNemar, right(0), right(1))
	}
	refused(t, trainer(t, "compare", "runs/a"), "compare takes two runs or more")
	refused(t, trainer(t, "compare", "runs/a", "pictures"), "pictures is not the folder of a run")

	if got := trainer(t, "draw", "run", "runs/sweep"); got.status != exitOK || filepath.ToSlash(got.stdout) != "runs/sweep/figures/curves.png\n" {
		t.Errorf("several seeds: %+v", got)
	}
}

// A run that was resumed names the same pictures by their absolute paths.
func TestCompareMatchesPathsBelowTheFolder(t *testing.T) {
	trainedRun(t)
	if err := os.CopyFS("again", os.DirFS("run")); err != nil {
		t.Fatal(err)
	}
	if got := trainer(t, "-resume", "again", "-epochs", "5", "-device", "cpu", "-quiet"); got.status != exitOK {
		t.Fatalf("%+v", got)
	}
	if a, b := read(t, "run/predictions.csv"), read(t, "again/predictions.csv"); !strings.Contains(a, ",pictures") || strings.Contains(b, ",pictures") {
		t.Fatalf("the paths are written alike:\n%s\n%s", a, b)
	}
	if got := trainer(t, "compare", "run", "again"); got.status != exitOK || !strings.Contains(got.stdout, "on the same 12 test images") {
		t.Errorf("%+v", got)
	}
}

// Answers to other images are not compared.
func otherImagesAreRefused(t *testing.T) {
	answers := read(t, "runs/a/predictions.csv")
	lines := strings.SplitAfter(answers, "\n")
	for want, text := range map[string]string{
		"11 and 12 images":          strings.Join(lines[:len(lines)-2], ""),
		"is labelled ":              strings.NewReplacer(",bright,", ",dark,", ",dark,", ",bright,").Replace(answers),
		"of one of them only":       strings.ReplaceAll(answers, ".png", ".jpg"),
		"has no column answer":      strings.Replace(answers, "answer", "guess", 1),
		"has two answers to ":       answers + lines[1],
		"wrong number of fields":    answers + "1,2\n",
		"their checksums differ":    answers,
		"runs/a/predictions.csv: E": "",
	} {
		write(t, "runs/a/predictions.csv", text)
		if want == "their checksums differ" {
			write(t, "runs/a/data.json", regexp.MustCompile(`"sum":"`).ReplaceAllString(read(t, "runs/a/data.json"), `"sum":"0`))
		}
		refused(t, trainer(t, "compare", "runs/a", "runs/deeper/b"), filepath.FromSlash(want))
	}
}
