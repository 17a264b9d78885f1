package command

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// rangeTest is a short test in the workplace.
func rangeTest(more ...string) []string {
	return append([]string{"lr", "-data", "pictures", "-recipe", "small.toml", "-device", "cpu", "-steps", "60", "-from", "1e-4", "-to", "100"}, more...)
}

func TestLRSuggestsARate(t *testing.T) {
	workplace(t)
	before := read(t, "small.toml")
	got := trainer(t, rangeTest("-set", "optimizer.momentum=0.8", "-out", "test", "-seed", "1")...)
	if got.status != exitOK || got.stderr != "" {
		t.Fatalf("%+v", got)
	}
	for _, want := range []string{
		`(?m)^range test of small on pictures: \d+ steps of 8 images, rate 0\.0001 to \S+, on cpu$`,
		`(?m)^results in test: lr\.png, lr\.json$`, `(?m)^\S+ +where the loss falls fastest$`, `(?m)^\S+ +a tenth of \S+, where it is lowest$`, `(?m)^0\.05 +the recipe's$`,
		`(?m)^suggested learning rate \S+ \(the larger of the first two\)$`,
		`(?m)^to train with it: trainer -data pictures -recipe small\.toml -seed 1 -device cpu -set optimizer\.momentum=0\.8 -set optimizer\.lr=\S+$`,
		`(?m)^to search above it, with results on validation images: trainer tune -data .* -set optimizer\.lr=\S+\.\.\S+$`,
	} {
		if !regexp.MustCompile(want).MatchString(got.stdout) {
			t.Errorf("no %s in\n%s", want, got.stdout)
		}
	}
	if names := folderNames(t, "test"); names != "lock lr.json lr.png" {
		t.Errorf("files %s", names)
	}
	if read(t, "small.toml") != before {
		t.Error("the recipe was changed")
	}
	refused(t, trainer(t, rangeTest("-out", "test")...), "output folder test: it already holds")

	// The commands that were printed work.
	for _, line := range regexp.MustCompile(`: trainer (.*)\n`).FindAllStringSubmatch(got.stdout, -1) {
		args := append(strings.Fields(line[1]), "-quiet", "-epochs", "1")
		if args[0] == "tune" {
			args = append(args, "-trials", "2")
		}
		if again := trainer(t, args...); again.status != exitOK {
			t.Errorf("%v: %+v", args, again)
		}
	}
}

// folderNames lists a folder.
func folderNames(t *testing.T, path string) string {
	t.Helper()
	entries, err := os.ReadDir(path)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimPrefix(e.Name(), "."))
	}
	return strings.Join(names, " ")
}

func TestLRAsJSON(t *testing.T) {
	workplace(t)
	got := trainer(t, rangeTest("-json")...)
	var r ratesReport
	if err := json.Unmarshal([]byte(got.stdout), &r); err != nil || got.status != exitOK {
		t.Fatalf("%v in %+v", err, got)
	}
	if r.Suggestion == nil || len(r.Points) < 20 || r.Points[0].Rate < 0.99e-4 || r.Points[0].Rate > 1.01e-4 || r.Recipes != 0.05 || r.Batch != 8 {
		t.Errorf("%+v", r)
	}
	var file ratesReport
	if err := json.Unmarshal([]byte(read(t, "runs/2026-01-31-pictures-small-lr/lr.json")), &file); err != nil || file.Command != r.Command || len(file.Points) != len(r.Points) {
		t.Errorf("lr.json differs: %v", err)
	}
	// The same again, in another folder; and a quiet one.
	again := trainer(t, rangeTest("-quiet")...)
	if lines := strings.Split(again.stdout, "\n"); len(lines) != 3 || lines[1] != "to train with it: "+r.Command {
		t.Errorf("%+v", again)
	}
	read(t, "runs/2026-01-31-pictures-small-lr-2/lr.png")
}

func TestLRWithoutADescent(t *testing.T) {
	workplace(t)
	got := trainer(t, rangeTest("-from", "1e-12", "-to", "1e-10")...)
	if got.status != exitUsage || !strings.Contains(got.stderr, "the loss did not fall at any rate from 1e-12 to 1e-10: try other rates (-from, -to), or more steps (-steps); the losses are in runs") {
		t.Errorf("%+v", got)
	}
	read(t, "runs/2026-01-31-pictures-small-lr/lr.png")
}

func TestLRThatCannotBeginLeavesNothing(t *testing.T) {
	workplace(t)
	before := listing(t)
	refused(t, trainer(t, rangeTest("-batch", "49")...), "use 48 or less")
	refused(t, trainer(t, rangeTest("-set", "network.0.kernel=30")...), "layer conv1")
	refused(t, trainer(t, rangeTest("-set", "augment.std=[1e-38]", "-set", "augment.mean=[0]")...), "the loss is not finite at the beginning, at rate 0.0001: pass a lower one (-from)")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var stdout, stderr bytes.Buffer
	p := &program{Config: config(), stdout: &stdout, stderr: &stderr, getenv: func(string) string { return "" }, now: time.Now}
	if status := run(ctx, p, rangeTest()); status != exitInterrupted || stderr.String() != "trainer: interrupted\n" {
		t.Errorf("status %d, stderr %q", status, stderr.String())
	}
	if after := listing(t); after != before {
		t.Errorf("left behind:\n%s", after)
	}
}
