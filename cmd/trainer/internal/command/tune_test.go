package command

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"trainer/cmd/trainer/internal/report"
)

// searchOf is a search in the workplace, of the learning rate and the batch.
func searchOf(out string, more ...string) []string {
	return append([]string{"tune", "-data", "pictures", "-recipe", "small.toml", "-device", "cpu", "-threads", "1", "-out", out,
		"-set", "optimizer.lr=1e-4..0.1", "-set", "batch=8,16"}, more...)
}

// halving makes the search one of 6 trials in two rounds.
var halving = []string{"-strategy", "halving", "-trials", "6", "-epochs", "4", "-min-epochs", "1"}

// results returns the lines of trials.jsonl, in the order of trials and rounds and without their times.
func results(t *testing.T, place string) []report.Trial {
	t.Helper()
	var all []report.Trial
	for line := range strings.Lines(read(t, filepath.Join(place, report.TrialsFile))) {
		var r report.Trial
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		r.Seconds = 0
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b report.Trial) int { return 1000*(a.Number-b.Number) + a.Rung - b.Rung })
	return all
}

func sameResults(t *testing.T, a, b string) {
	t.Helper()
	same := cmp.Comparer(func(a, b report.Number) bool { return a == b || a != a && b != b })
	if d := cmp.Diff(results(t, a), results(t, b), same); d != "" {
		t.Errorf("%s and %s differ:\n%s", a, b, d)
	}
}

func TestTuneTrainsAndCompares(t *testing.T) {
	workplace(t)
	got := trainer(t, searchOf("found", "-trials", "4", "-seed", "3", "-epochs", "2")...)
	if got.status != exitOK || got.stderr != "" {
		t.Fatalf("%+v", got)
	}
	for _, want := range []string{
		`(?m)^tuning small on pictures, by random search: 4 trials to epoch 2; on cpu$`,
		`(?m)^44 training images; scored on 4 validation images \(held out, as by -val 0\.1\), never on test images$`,
		`(?m)^trial 4  epoch 2 .* optimizer\.lr=\S+ batch=(8|16)$`,
		`(?m)^trial +epochs +val accuracy +val loss +time +state +optimizer\.lr +batch$`,
		`(?m)^results in found: trials\.jsonl, tune\.png, best\.toml, and a run per trial$`,
		`(?m)^best: trial \d, validation accuracy \d+\.\d\d% \(\d/4\), loss \S+: optimizer\.lr=\S+ batch=\d+$`,
	} {
		if !regexp.MustCompile(want).MatchString(got.stdout) {
			t.Errorf("no %s in\n%s", want, got.stdout)
		}
	}
	all := results(t, "found")
	if len(all) != 4 {
		t.Fatalf("results %v", all)
	}
	for i, r := range all {
		if r.Number != i+1 || r.State != trialFinished || r.Epochs != 2 || r.ValCount != 4 || len(r.Settings) != 2 {
			t.Errorf("%+v", r)
		}
		s := readJSON(t, filepath.Join("found", r.Folder, "summary.json"))
		if s["test_count"] != 0.0 || s["scored_on"] != "validation" || strings.Contains(read(t, filepath.Join("found", r.Folder, "metrics.jsonl")), `"evaluated":true`) {
			t.Errorf("trial %d was tested: %v", r.Number, s)
		}
	}
	// The command that was printed works, and trains on the images that were held out too.
	command := regexp.MustCompile(`(?m)^to train with these settings, and test: trainer (.*)$`).FindStringSubmatch(got.stdout)
	if command == nil || !strings.HasPrefix(command[1], "-data pictures -recipe small.toml -seed 3 -device cpu -set epochs=2 -set optimizer.lr=") {
		t.Fatalf("command %v", command)
	}
	trained := trainer(t, append(strings.Fields(command[1]), "-out", "final")...)
	if trained.status != exitOK || !strings.Contains(trained.stdout, "48 training and 12 test images") {
		t.Errorf("%+v", trained)
	}
	// best.toml is the same recipe.
	if again := trainer(t, "-data", "pictures", "-recipe", "found/best.toml", "-seed", "3", "-device", "cpu", "-dry-run"); again.status != exitOK {
		t.Errorf("%+v", again)
	}
	if text := read(t, "found/best.toml"); !strings.HasPrefix(text, "# Trial ") || strings.Contains(text, "[run]") {
		t.Errorf("best.toml\n%s", text)
	}
	runs, _ := listedJSON(t, "found")
	if len(runs) != 4 || runs["found/trial-1"]["different"].(map[string]any)["optimizer.lr"] == nil {
		t.Errorf("runs %v", runs)
	}
	if figure := read(t, "found/tune.png"); !strings.HasPrefix(figure, "\x89PNG") {
		t.Error("no figure")
	}
	refused(t, trainer(t, searchOf("found")...), "output folder found: it already holds a run")
	refused(t, trainer(t, "-data", "pictures", "-out", "found"), "output folder found: it already holds a run")
	refused(t, trainer(t, "-resume", "found"), "found holds a search (to continue it: trainer tune -resume found)")
	refused(t, trainer(t, "tune", "-resume", "final"), "final holds a run: to continue it: trainer -resume final")

	// A longer search begins with the same trials.
	if longer := trainer(t, "tune", "-resume", "found", "-trials", "5", "-quiet"); longer.status != exitOK || len(results(t, "found")) != 5 {
		t.Errorf("%+v", longer)
	}
	if again := results(t, "found"); !cmp.Equal(all, again[:4]) {
		t.Error("the first trials are others")
	}
}

// A trial that went on from round to round has the bits of a training that was not stopped, and the search's results don't
// depend on the number of devices.
func TestTuneByHalving(t *testing.T) {
	workplace(t)
	got := trainer(t, searchOf("whole", halving...)...)
	if got.status != exitOK || !strings.Contains(got.stdout, "by halving search: 6 trials to epoch 1, then 2 trials to epoch 4; ") {
		t.Fatalf("%+v", got)
	}
	all := results(t, "whole")
	if len(all) != 8 {
		t.Fatalf("results %v", all)
	}
	for _, r := range all {
		checkpoint := filepath.Join("whole", r.Folder, report.CheckpointFile)
		if _, err := os.Stat(checkpoint); err == nil {
			t.Errorf("%s is left", checkpoint)
		}
		if r.Rung != 2 {
			continue
		}
		if r.Epochs != 4 || r.State != trialFinished {
			t.Errorf("%+v", r)
		}
		alone := fmt.Sprintf("alone-%d", r.Number)
		one := trainer(t, "-data", "pictures", "-recipe", "small.toml", "-device", "cpu", "-val", "0.1", "-epochs", "4", "-quiet", "-out", alone,
			"-set", "optimizer.lr="+r.Settings["optimizer.lr"], "-set", "batch="+r.Settings["batch"])
		a, b := readJSON(t, filepath.Join(alone, "summary.json")), readJSON(t, filepath.Join("whole", r.Folder, "summary.json"))
		if one.status != exitOK || a["final_loss"] != b["final_loss"] || a["val_loss"] != b["val_loss"] || a["val_accuracy"] != b["val_accuracy"] {
			t.Errorf("trial %d: %v, alone %v", r.Number, b, a)
		}
		weights := func(place string) string { // the file after its metadata
			text := read(t, filepath.Join(place, "model.safetensors"))
			return text[len(text)-64:]
		}
		if weights(alone) != weights(filepath.Join("whole", r.Folder)) {
			t.Errorf("trial %d has other weights than a training of its own", r.Number)
		}
	}
	if two := trainer(t, searchOf("two", append(halving, "-device", "cpu,cpu")...)...); two.status != exitOK || !strings.Contains(two.stdout, "on 2 devices") {
		t.Fatalf("%+v", two)
	}
	sameResults(t, "whole", "two")
}

// A search that was interrupted, or killed at any moment, continues to the same results.
func TestTuneIsResumed(t *testing.T) {
	workplace(t)
	if got := trainer(t, searchOf("whole", halving...)...); got.status != exitOK {
		t.Fatalf("%+v", got)
	}
	for _, line := range []string{"trial 2", "trial 6"} { // within the first round, and at its end
		part := strings.ReplaceAll(line, " ", "-")
		ctx, cancel := context.WithCancel(context.Background())
		var stderr bytes.Buffer
		p := &program{Config: config(), stdout: &stopAfter{text: line, cancel: cancel}, stderr: &stderr, getenv: func(string) string { return "" }, now: time.Now}
		status := run(ctx, p, searchOf(part, halving...))
		cancel()
		if status != exitInterrupted || stderr.String() != "trainer: interrupted; to continue: trainer tune -resume "+part+"\n" {
			t.Fatalf("status %d, stderr %q", status, stderr.String())
		}
		if got := trainer(t, "tune", "-resume", part); got.status != exitOK || !strings.Contains(got.stdout, "continuing with ") {
			t.Fatalf("%+v", got)
		}
		sameResults(t, "whole", part)
	}
}

func TestTuneIsResumedAfterAKill(t *testing.T) {
	workplace(t)
	if got := trainer(t, searchOf("whole", halving...)...); got.status != exitOK {
		t.Fatalf("%+v", got)
	}
	// Stopped before the end of the first round, when the checkpoints are there.
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var stderr bytes.Buffer
	p := &program{Config: config(), stdout: &stopAfter{text: "trial 5", cancel: cancel}, stderr: &stderr, getenv: func(string) string { return "" }, now: time.Now}
	if status := run(ctx, p, searchOf("killed", halving...)); status != exitInterrupted {
		t.Fatalf("status %d, stderr %q", status, stderr.String())
	}
	// Killed between a trial's last checkpoint and its result; before its first checkpoint; and before it began.
	lines := strings.SplitAfter(read(t, "killed/trials.jsonl"), "\n")
	write(t, "killed/trials.jsonl", strings.Join(lines[:3], ""))
	for _, name := range []string{"killed/trial-4/summary.json", "killed/trial-4/model.safetensors", "killed/trial-5/checkpoint.safetensors", "killed/trial-5/summary.json"} {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	if got := trainer(t, "tune", "-resume", "killed", "-quiet"); got.status != exitOK {
		t.Fatalf("%+v", got)
	}
	sameResults(t, "whole", "killed")
	// When all is done, only the report is made again.
	before := read(t, "killed/trials.jsonl")
	if got := trainer(t, "tune", "-resume", "killed"); got.status != exitOK || read(t, "killed/trials.jsonl") != before {
		t.Errorf("%+v", got)
	}
	refused(t, trainer(t, "tune", "-resume", "killed", "-trials", "9"), "-trials 9: the search has 6 trials; only a random search can be made longer")
	refused(t, trainer(t, "tune", "-resume", "killed", "-seed", "9"), "-resume continues a search with its own settings: remove -seed")
	write(t, "killed/trials.jsonl", strings.Replace(before, `"batch":"8"`, `"batch":"9"`, 1))
	refused(t, trainer(t, "tune", "-resume", "killed"), "are not those that the search draws")
	write(t, "killed/trials.jsonl", strings.Replace(before, `"trial":1`, `"trial":7`, 1))
	refused(t, trainer(t, "tune", "-resume", "killed"), "the search has no trial 7")
	write(t, "killed/trials.jsonl", "{")
	refused(t, trainer(t, "tune", "-resume", "killed"), "trials.jsonl, line 1: ")
	write(t, "killed/tune.json", "{")
	refused(t, trainer(t, "tune", "-resume", "killed"), "tune.json: ")
}

// A diverged trial is the worst one, and a trial that can't begin too; neither ends the search.
func TestTuneWithBadTrials(t *testing.T) {
	workplace(t)
	got := trainer(t, "tune", "-data", "pictures", "-recipe", "small.toml", "-device", "cpu", "-out", "found", "-epochs", "2",
		"-set", "optimizer.lr=0.05,1e30", "-set", "network.0.kernel=3,30")
	if got.status != exitOK || !strings.Contains(got.stdout, "there are only 4 different settings\n") {
		t.Fatalf("%+v", got)
	}
	states := map[string]string{}
	for _, r := range results(t, "found") {
		states[r.Settings["optimizer.lr"]+" "+r.Settings["network.0.kernel"]] = r.State
	}
	want := map[string]string{"0.05 3": trialFinished, "1e30 3": trialDiverged, "0.05 30": trialFailed, "1e30 30": trialFailed}
	if !cmp.Equal(states, want) {
		t.Errorf("states %v", states)
	}
	if !regexp.MustCompile(`(?m)^best: .*: optimizer\.lr=0\.05 network\.0\.kernel=3$`).MatchString(got.stdout) || !strings.Contains(got.stdout, "failed  optimizer.lr=0.05 network.0.kernel=30: small.toml:13: layer conv1") {
		t.Errorf("got\n%s", got.stdout)
	}
	for _, r := range results(t, "found") {
		if r.State != trialFinished && r.ValCount != 0 {
			t.Errorf("a bad trial has a score: %+v", r)
		}
	}
	none := trainer(t, "tune", "-data", "pictures", "-recipe", "small.toml", "-device", "cpu", "-out", "none", "-set", "optimizer.lr=1e29,1e30")
	if none.status != exitUsage || !strings.Contains(none.stderr, "no trial could be trained to its end; trial 1: the loss is ") || strings.Count(none.stderr, "\n") != 1 {
		t.Errorf("%+v", none)
	}
}

// The test images decide nothing: with other ones the search has the same results.
func TestTuneIgnoresTheTestSet(t *testing.T) {
	workplace(t)
	for _, place := range []string{"a", "b"} {
		if err := os.CopyFS(filepath.Join(place, "train"), os.DirFS("pictures")); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(filepath.Join(place, "test"), os.DirFS("pictures")); err != nil {
			t.Fatal(err)
		}
	}
	// In b the labels are exchanged.
	for _, move := range [][2]string{{"b/test/dark", "b/test/x"}, {"b/test/bright", "b/test/dark"}, {"b/test/x", "b/test/bright"}} {
		if err := os.Rename(move[0], move[1]); err != nil {
			t.Fatal(err)
		}
	}
	for _, place := range []string{"a", "b"} {
		if got := trainer(t, searchOf("found-"+place, "-data", place, "-trials", "3")...); got.status != exitOK {
			t.Fatalf("%+v", got)
		}
	}
	sameResults(t, "found-a", "found-b")
	if a, b := readJSON(t, "found-a/trial-1/data.json"), readJSON(t, "found-b/trial-1/data.json"); cmp.Equal(a["test"], b["test"]) {
		t.Error("the test sets are the same")
	}
}

func TestTuneAsJSON(t *testing.T) {
	workplace(t)
	got := trainer(t, searchOf("found", "-trials", "2", "-json", "-epochs", "1", "-set", "best-by=loss", "-val", "0.25")...)
	if got.status != exitOK {
		t.Fatalf("%+v", got)
	}
	lines := strings.Split(strings.TrimSpace(got.stdout), "\n")
	if len(lines) != 3 {
		t.Fatalf("got %q", lines)
	}
	var trial struct {
		Event string
		Trial report.Trial
	}
	var search struct {
		Event  string
		Search searchResult
	}
	if json.Unmarshal([]byte(lines[0]), &trial) != nil || json.Unmarshal([]byte(lines[2]), &search) != nil {
		t.Fatalf("got %q", lines)
	}
	if trial.Event != "trial" || trial.Trial.Number != 1 || trial.Trial.ValCount != 12 || search.Event != "search" || search.Search.Trials != 2 || len(search.Search.Settings) != 2 {
		t.Errorf("%+v\n%+v", trial, search)
	}
	if !strings.Contains(search.Search.Command, " -val 0.25 ") { // it was passed
		t.Errorf("command %q", search.Search.Command)
	}
	all := results(t, "found")
	if other := all[2-search.Search.Best.Number]; other.ValLoss < search.Search.Best.ValLoss {
		t.Errorf("best by loss is %+v, not %+v", search.Search.Best, other)
	}
}

// TestTuneSearchesImages searches how pictures are read: each trial has the bits of a training with its settings, on any
// number of devices and after a stop.
func TestTuneSearchesImages(t *testing.T) {
	workplace(t)
	args := func(out string, more ...string) []string {
		return append([]string{"tune", "-data", "pictures", "-recipe", "small.toml", "-device", "cpu", "-threads", "1", "-out", out, "-epochs", "2",
			"-trials", "4", "-seed", "5", "-set", "data.size=8,12", "-set", "data.grayscale=true,false"}, more...)
	}
	got := trainer(t, args("whole")...)
	if got.status != exitOK || got.stderr != "" {
		t.Fatalf("%+v", got)
	}
	seen := map[string]bool{}
	for _, r := range results(t, "whole") {
		seen[r.Settings["data.size"]+r.Settings["data.grayscale"]] = true
		alone := fmt.Sprintf("alone-%d", r.Number)
		one := trainer(t, "-data", "pictures", "-recipe", "small.toml", "-device", "cpu", "-val", "0.1", "-epochs", "2", "-seed", "5", "-quiet", "-out", alone,
			"-set", "data.size="+r.Settings["data.size"], "-set", "data.grayscale="+r.Settings["data.grayscale"])
		a, b := readJSON(t, filepath.Join(alone, "summary.json")), readJSON(t, filepath.Join("whole", r.Folder, "summary.json"))
		if one.status != exitOK || a["final_loss"] != b["final_loss"] || a["val_loss"] != b["val_loss"] || a["val_accuracy"] != b["val_accuracy"] {
			t.Errorf("trial %d: %v, alone %v", r.Number, b, a)
		}
		if b["test_count"] != 0.0 {
			t.Errorf("trial %d was tested: %v", r.Number, b)
		}
	}
	if len(seen) != 4 {
		t.Errorf("settings %v", seen)
	}
	if best := trainer(t, "-data", "pictures", "-recipe", "whole/best.toml", "-device", "cpu", "-dry-run"); best.status != exitOK {
		t.Errorf("%+v", best)
	}
	if two := trainer(t, args("two", "-device", "cpu,cpu")...); two.status != exitOK {
		t.Fatalf("%+v", two)
	}
	sameResults(t, "whole", "two")

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var stderr bytes.Buffer
	p := &program{Config: config(), stdout: &stopAfter{text: "trial 2", cancel: cancel}, stderr: &stderr, getenv: func(string) string { return "" }, now: time.Now}
	if status := run(ctx, p, args("stopped")); status != exitInterrupted {
		t.Fatalf("status %d, stderr %q", status, stderr.String())
	}
	if got := trainer(t, "tune", "-resume", "stopped"); got.status != exitOK {
		t.Fatalf("%+v", got)
	}
	sameResults(t, "whole", "stopped")
}
