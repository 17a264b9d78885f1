package command

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trainer/cmd/trainer/internal/report"
	"trainer/nn/model"
)

// A run that is continued is the same run: the same data, the same settings, one process.

// stopped trains the small recipe on pictures until its first epoch is done, in the folder out.
func stopped(t *testing.T, out string) {
	t.Helper()
	stoppedAt(t, "epoch   1", "-out", out)
}

// stoppedAt trains the small recipe on pictures until it prints a text.
func stoppedAt(t *testing.T, text string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var stderr bytes.Buffer
	p := &program{Config: config(), stdout: &stopAfter{text: text, cancel: cancel}, stderr: &stderr,
		getenv: func(string) string { return "" }, now: time.Now}
	if status := run(ctx, p, append([]string{"-data", "pictures", "-recipe", "small.toml"}, args...)); status != exitInterrupted {
		t.Fatalf("status %d, stderr %q", status, stderr.String())
	}
}

// refused checks that a run ends with the status 2 and one line.
func refused(t *testing.T, got outcome, want string) {
	t.Helper()
	if got.status != exitUsage || strings.Count(got.stderr, "\n") != 1 || !strings.Contains(got.stderr, want) {
		t.Errorf("%+v, want %q", got, want)
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func TestOtherDataIsRefused(t *testing.T) {
	workplace(t)
	stopped(t, "run")
	rename(t, "pictures/dark", "pictures/sky")
	refused(t, trainer(t, "-resume", "run"), `class "dark" is missing, and "sky" is new`)
	rename(t, "pictures/sky", "pictures/dark")
	rename(t, "pictures/dark/aa.png", "aa.png")
	refused(t, trainer(t, "-resume", "run"), "file dark/aa.png is missing")
	write(t, "pictures/dark/aa.png", read(t, "pictures/bright/aa.png"))
	refused(t, trainer(t, "-resume", "run"), "file dark/aa.png has ")
	refused(t, trainer(t, "draw", "run", "run"), "file dark/aa.png has ")
	rename(t, "aa.png", "pictures/dark/aa.png")
	if got := trainer(t, "-resume", "run", "-quiet"); got.status != exitOK {
		t.Errorf("%+v", got)
	}
	// The test images of a finished run are those that it was not trained on, whatever was added since.
	write(t, "pictures/dark/new.png", read(t, "pictures/dark/aa.png"))
	if got := trainer(t, "draw", "run", "run"); got.status != exitOK {
		t.Errorf("%+v", got)
	}
}

func TestDataThatMoved(t *testing.T) {
	workplace(t)
	if got := trainer(t, "-data", "pictures", "-recipe", "small.toml", "-out", "whole", "-quiet"); got.status != exitOK {
		t.Fatalf("%+v", got)
	}
	for _, run := range []string{"elsewhere", "moved"} {
		stopped(t, run)
	}
	if err := os.Mkdir("below", 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir("below")
	if got := trainer(t, "-resume", "../elsewhere", "-quiet"); got.status != exitOK {
		t.Errorf("from another folder: %+v", got)
	}
	rename(t, "../pictures", "photos")
	if got := trainer(t, "-resume", "../moved", "-data", "photos", "-quiet"); got.status != exitOK {
		t.Errorf("from other data: %+v", got)
	}
	for _, run := range []string{"elsewhere", "moved"} {
		if read(t, "../whole/metrics.jsonl") == "" || !sameWeights(t, "../whole", "../"+run) {
			t.Errorf("%s has other weights", run)
		}
	}
}

// sameWeights compares two runs; the name of a folder with the data stands in the weights' file too.
func sameWeights(t *testing.T, a, b string) bool {
	t.Helper()
	tail := func(dir string) string {
		_, tensors, _ := strings.Cut(read(t, filepath.Join(dir, model.FileName)), "}}")
		return strings.TrimLeft(tensors, " ")
	}
	return tail(a) == tail(b)
}

func TestKilledBeforeTheFirstCheckpoint(t *testing.T) {
	workplace(t)
	stopped(t, "run")
	whole := trainer(t, "-data", "pictures", "-recipe", "small.toml", "-out", "whole", "-quiet")
	for _, name := range []string{report.CheckpointFile, model.FileName, report.SummaryFile} {
		if err := os.Remove(filepath.Join("run", name)); err != nil {
			t.Fatal(err)
		}
	}
	got := trainer(t, "-resume", "run", "-quiet")
	if got.status != exitOK || got.stdout != whole.stdout || !sameWeights(t, "run", "whole") {
		t.Errorf("%+v, whole %+v", got, whole)
	}
	if n := strings.Count(read(t, "run/metrics.jsonl"), "\n"); n != 3 {
		t.Errorf("%d lines of metrics", n)
	}
}

func TestASweepIsContinued(t *testing.T) {
	workplace(t)
	all := []string{"-data", "pictures", "-recipe", "small.toml", "-runs", "3", "-seed", "4", "-quiet"}
	whole := trainer(t, append(all, "-out", "whole")...)
	if whole.status != exitOK {
		t.Fatalf("%+v", whole)
	}
	// As a kill in the second run leaves it: the first is complete, the second has a checkpoint, the third nothing.
	stoppedAt(t, "run 2 of 3", "-runs", "3", "-seed", "4", "-out", "killed")
	for _, f := range []string{"killed/seed-5/summary.json", "killed/seed-5/model.safetensors", "killed/summary.json"} {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
	first := read(t, "killed/seed-4/summary.json")
	got := trainer(t, "-resume", "killed", "-quiet")
	if got.status != exitOK {
		t.Fatalf("%+v", got)
	}
	last := func(s string) string { lines := strings.Split(strings.TrimSpace(s), "\n"); return lines[len(lines)-1] }
	if last(got.stdout) != last(whole.stdout) {
		t.Errorf("got %q, want %q", got.stdout, whole.stdout)
	}
	for _, seed := range []string{"seed-4", "seed-5", "seed-6"} {
		if !sameWeights(t, "whole/"+seed, "killed/"+seed) {
			t.Errorf("%s has other weights", seed)
		}
	}
	if read(t, "killed/seed-4/summary.json") != first {
		t.Error("the run that was complete was made again")
	}
	if s := readJSON(t, "killed/summary.json"); len(s["runs"].([]any)) != 3 {
		t.Errorf("summary %v", s)
	}
}

func TestOneProcessPerFolder(t *testing.T) {
	workplace(t)
	stopped(t, "run")
	f, err := report.Continue("run")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	refused(t, trainer(t, "-resume", "run"), "run: another process is using it")
}

func TestExact(t *testing.T) {
	workplace(t)
	stopped(t, "run")
	for name, change := range map[string][2]string{
		"the run computed with abacus and continues with ":     {"features = '", "features = 'abacus' #"},
		"the run was made by trainer v0 and continues with ":   {"version = '", "version = 'v0' #"},
		"the run's configuration doesn't say what instruction": {"features = '", "features = '' #"},
	} {
		resumed(t, "other", change[0], change[1])
		refused(t, trainer(t, "-resume", "other", "-exact"), "trainer: -exact: "+name)
		if err := os.RemoveAll("other"); err != nil {
			t.Fatal(err)
		}
	}
	resumed(t, "other", "features = '", "features = 'abacus' #")
	got := trainer(t, "-resume", "other", "-quiet")
	if got.status != exitOK || !strings.HasPrefix(got.stderr, "trainer: the run computed with abacus ") || !strings.HasSuffix(got.stderr, ": results will not be bit-identical\n") {
		t.Errorf("%+v", got)
	}
	if got := trainer(t, "-resume", "other", "-exact", "-quiet"); got.status != exitOK || got.stderr != "" {
		t.Errorf("from here on: %+v", got)
	}
}

func TestOutNeverReplacesWeights(t *testing.T) {
	workplace(t)
	for _, name := range []string{model.FileName, report.CheckpointFile} {
		if err := os.MkdirAll("out", 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, "out/"+name, "precious")
		refused(t, trainer(t, "-data", "pictures", "-recipe", "small.toml", "-out", "out"), "it already holds a run ("+name+")")
		if read(t, "out/"+name) != "precious" {
			t.Errorf("%s was replaced", name)
		}
		if err := os.RemoveAll("out"); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAFolderThatGoes: a run whose folder is removed ends with the first file that it can't write, and doesn't make the
// folder anew.
func TestAFolderThatGoes(t *testing.T) {
	workplace(t)
	var stderr bytes.Buffer
	gone := &stopAfter{text: "epoch   1", cancel: func() {
		if err := os.RemoveAll("run"); err != nil {
			t.Error(err)
		}
	}}
	p := &program{Config: config(), stdout: gone, stderr: &stderr, getenv: func(string) string { return "" }, now: time.Now}
	status := run(t.Context(), p, []string{"-data", "pictures", "-recipe", "small.toml", "-out", "run"})
	if status != exitEnvironment || stderr.String() != "trainer: the results folder run was removed while training: nothing can be saved\n" {
		t.Errorf("status %d, stderr %q", status, stderr.String())
	}
	if _, err := os.Stat("run"); err == nil {
		t.Error("the folder was made anew")
	}
}

func TestLinksInARunsFolder(t *testing.T) {
	workplace(t)
	stopped(t, "run")
	write(t, "victim", "precious")
	for _, name := range []string{report.MetricsFile, report.CheckpointFile, report.ConfigFile, report.DataFile, model.FileName, report.SummaryFile, "figures"} {
		if err := os.CopyFS("linked", os.DirFS("run")); err != nil {
			t.Fatal(err)
		}
		_ = os.Remove("linked/" + name) // there are no figures
		if err := os.Symlink("../victim", "linked/"+name); err != nil {
			t.Skip(err)
		}
		if name == "figures" {
			trainer(t, "draw", "run", "linked")
		} else {
			trainer(t, "-resume", "linked", "-quiet")
		}
		if read(t, "victim") != "precious" {
			t.Errorf("through the link %s the file became %q", name, read(t, "victim"))
		}
		if err := os.RemoveAll("linked"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestANameThatIsNotText(t *testing.T) {
	workplace(t)
	if err := os.Rename("pictures", "pic\xfftures"); err != nil {
		t.Skip(err) // a file system that refuses the name
	}
	refused(t, trainer(t, "-data", "pic\xfftures", "-recipe", "small.toml", "-out", "run"), "is not UTF-8")
	if _, err := os.Stat("run"); err == nil {
		t.Error("a folder was made")
	}
}

// brokenWriter is a terminal that has gone.
type brokenWriter struct{ calls int }

func (b *brokenWriter) Write([]byte) (int, error) {
	b.calls++
	return 0, errors.New("input/output error")
}

func TestOutlastingWritesNoMore(t *testing.T) {
	b := &brokenWriter{}
	o := &outlasting{w: b}
	for range 3 {
		if n, err := o.Write([]byte("abc")); n != 3 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}
	if b.calls != 1 {
		t.Errorf("%d writes to a terminal that has gone", b.calls)
	}
}
