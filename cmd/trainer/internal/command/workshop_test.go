package command

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"trainer/cmd/trainer/internal/cockpit"
)

// testWorkshop returns a workshop whose runs are in the folder runs of the present folder, and a function that ends the program.
func testWorkshop(t *testing.T, folders ...string) (*workshop, context.CancelFunc) {
	t.Helper()
	p := testProgram()
	p.stderr, p.now = os.Stderr, time.Now
	ctx, cancel := context.WithCancel(t.Context())
	w := p.newWorkshop(ctx, &serveOptions{runs: "runs", folders: folders, inferenceOptions: inferenceOptions{deviceOptions: deviceOptions{device: "cpu", threads: 1}}})
	t.Cleanup(func() {
		cancel()
		w.wait()
	})
	return w, cancel
}

// smallPlan is a training on the folder pictures.
func smallPlan(t *testing.T, name string) cockpit.Plan {
	t.Helper()
	return cockpit.Plan{Recipe: read(t, "small.toml"), Data: "pictures", Name: name}
}

// finish waits for the end of the training.
func finish(t *testing.T, w *workshop) cockpit.State {
	t.Helper()
	select {
	case <-w.Live().Done():
	case <-time.After(30 * time.Second):
		t.Fatalf("the training doesn't end: %+v", w.Live().State())
	}
	return w.Live().State()
}

// refusedAs fails the test unless an error is a refusal of a kind with a text.
func refusedAs(t *testing.T, what string, err error, kind cockpit.Kind, text string) {
	t.Helper()
	if e, ok := errors.AsType[*cockpit.Error](err); !ok || e.Kind != kind || !strings.Contains(e.Text, text) {
		t.Errorf("%s: %v, want kind %d and %q", what, err, kind, text)
	}
}

// TestWorkshopTrains: a run that a page starts is the run of the command line, to the bit.
func TestWorkshopTrains(t *testing.T) {
	workplace(t)
	w, _ := testWorkshop(t, "pictures")
	run, err := w.Start(smallPlan(t, "mine"))
	if err != nil || run != "mine" {
		t.Fatal(run, err)
	}
	if s := finish(t, w); s.Phase != cockpit.Finished || s.Run != "mine" {
		t.Fatalf("%+v", s)
	}
	if got := trainer(t, "-recipe", "small.toml", "-data", "pictures", "-out", "same", "-quiet", "-device", "cpu"); got.status != exitOK {
		t.Fatalf("%+v", got)
	}
	if !sameWeights(t, filepath.Join("runs", "mine"), "same") {
		t.Error("the page's run has other weights than the command line's")
	}
	record, err := w.Record(t.Context(), "mine")
	if err != nil || len(record.Epochs) == 0 || len(record.Steps) == 0 || record.Test == nil || !strings.Contains(record.Config, "[run]") {
		t.Errorf("%v, %+v", err, record)
	}
	h, err := w.Histograms(t.Context(), "mine")
	if err != nil {
		t.Fatal(err)
	}
	live := w.Live().Histograms()
	if h.Step != live.Step || len(h.Last) == 0 || len(h.Last) != len(live.Last) || len(h.First) != len(live.First) || h.Last[0].Mean != live.Last[0].Mean || !slices.Equal(h.Last[0].Counts, live.Last[0].Counts) {
		t.Errorf("histograms %+v, want those of the training, %+v", h, live)
	}
	// Of a run that no page followed, the weights.
	if err := os.Rename("same", filepath.Join("runs", "same")); err != nil {
		t.Fatal(err)
	}
	if h, err = w.Histograms(t.Context(), "same"); err != nil || len(h.Last) == 0 || len(h.First) != 0 {
		t.Fatalf("%v, %+v", err, h)
	}
	for _, one := range h.Last {
		same := func(other cockpit.Histogram) bool {
			return other.Name == one.Name && other.Of == one.Of && slices.Equal(other.Counts, one.Counts)
		}
		if one.Of != "weights" || !slices.ContainsFunc(live.Last, same) {
			t.Errorf("%+v is no histogram of the same network's weights", one)
		}
	}
	if err := os.RemoveAll(filepath.Join("runs", "same")); err != nil {
		t.Fatal(err)
	}
	// Without a name the folder has the usual one, and never one that is taken.
	plan := smallPlan(t, "")
	for _, want := range []string{time.Now().Format("2006-01-02") + "-pictures-small", time.Now().Format("2006-01-02") + "-pictures-small-2"} {
		if run, err := w.Start(plan); err != nil || run != want {
			t.Errorf("%s, %v, want %s", run, err, want)
		}
		finish(t, w)
	}
	if runs, err := w.Runs(t.Context()); err != nil || len(runs) != 3 {
		t.Errorf("%v, %+v", err, runs)
	}
}

// TestWorkshopRefuses: what pages may not do. Nothing outside the folder of the runs is read or changed.
func TestWorkshopRefuses(t *testing.T) {
	workplace(t)
	w, _ := testWorkshop(t, "pictures")
	if _, err := w.Start(smallPlan(t, "mine")); err != nil {
		t.Fatal(err)
	}
	finish(t, w)
	if got := trainer(t, "-recipe", "small.toml", "-data", "pictures", "-out", "outside", "-quiet", "-device", "cpu"); got.status != exitOK {
		t.Fatalf("%+v", got)
	}
	if err := os.Symlink(filepath.Join("..", "outside"), filepath.Join("runs", "link")); err != nil {
		t.Skip(err)
	}
	for _, name := range []string{"../outside", "..", ".", "", "/etc", "link", "mine/../../outside", `mine\..`, "nothing"} {
		_, err := w.Record(t.Context(), name)
		refusedAs(t, "record of "+name, err, cockpit.Missing, "no run")
		_, err = w.Histograms(t.Context(), name)
		refusedAs(t, "histograms of "+name, err, cockpit.Missing, "no run")
		refusedAs(t, "resume "+name, w.Resume(name), cockpit.Missing, "no run")
		refusedAs(t, "rename "+name, w.Rename(t.Context(), name, "x"), cockpit.Missing, "no run")
		refusedAs(t, "delete "+name, w.Delete(t.Context(), name), cockpit.Missing, "no run")
	}
	for _, name := range []string{"../x", "a/b", ".hidden", "x.", "-x", strings.Repeat("x", 101), "a b", "é", "CON", "nul.x"} {
		plan := smallPlan(t, name)
		_, err := w.Start(plan)
		refusedAs(t, "start "+name, err, cockpit.Invalid, "want letters")
		refusedAs(t, "rename to "+name, w.Rename(t.Context(), "mine", name), cockpit.Invalid, "want letters")
	}
	refusedAs(t, "rename to nothing", w.Rename(t.Context(), "mine", ""), cockpit.Invalid, "want letters")
	refusedAs(t, "rename to a name that is taken", w.Rename(t.Context(), "mine", "link"), cockpit.Invalid, "there is a folder")
	for change, want := range map[string]func(*cockpit.Plan){
		"data: want":   func(p *cockpit.Plan) { p.Data = "/etc" },
		"held out":     func(p *cockpit.Plan) { p.Val = 1 },
		"seed":         func(p *cockpit.Plan) { p.Seed = 1 << 60 },
		"epochs":       func(p *cockpit.Plan) { p.Recipe = strings.Replace(p.Recipe, "epochs", "epoch", 1) },
		"is a folder ": func(p *cockpit.Plan) { p.Name = "mine" },
	} {
		plan := smallPlan(t, "")
		want(&plan)
		_, err := w.Start(plan)
		refusedAs(t, change, err, cockpit.Invalid, change)
	}
	// A run that someone put there can't make the program read what the command line doesn't name.
	config := filepath.Join("runs", "mine", "config.toml")
	whole, err := filepath.Abs("pictures")
	if err != nil {
		t.Fatal(err)
	}
	write(t, config, strings.Replace(read(t, config), whole, filepath.Dir(whole), 1))
	refusedAs(t, "resume on other data", w.Resume("mine"), cockpit.Invalid, "was not told of")
	if !sameWeights(t, "outside", filepath.Join("runs", "mine")) {
		t.Error("the run outside has changed")
	}
}

// TestWorkshopPreview: the mistakes have their lines, and the table is that of -dry-run.
func TestWorkshopPreview(t *testing.T) {
	workplace(t)
	w, _ := testWorkshop(t, "pictures")
	plan := smallPlan(t, "")
	got, err := w.Preview(t.Context(), plan)
	if err != nil || got.Table == nil || len(got.Mistakes) != 0 {
		t.Fatalf("%v, %+v", err, got)
	}
	if left, _ := os.ReadDir("runs"); len(left) != 0 {
		t.Errorf("a preview leaves %v", left)
	}
	plan.Recipe = "\n" + strings.Replace(plan.Recipe, "epochs", "epoch", 1)
	got, err = w.Preview(t.Context(), plan)
	if err != nil || got.Table != nil || len(got.Mistakes) == 0 || got.Mistakes[0].Line < 1 {
		t.Errorf("%v, %+v", err, got)
	}
	if mistakes := w.Check(plan.Recipe); len(mistakes) == 0 || mistakes[0].Line < 1 {
		t.Errorf("%+v", mistakes)
	}
}

// TestWorkshopEnds: the end of the program interrupts the training, which is saved and can be continued; only one trains at a
// time, and its run can't be deleted.
func TestWorkshopEnds(t *testing.T) {
	workplace(t)
	w, end := testWorkshop(t, "pictures")
	plan := smallPlan(t, "long")
	plan.Recipe += "\n"
	plan.Recipe = strings.Replace(plan.Recipe, "epochs = ", "epochs = 100", 1)
	if _, err := w.Start(plan); err != nil {
		t.Fatal(err)
	}
	_, err := w.Start(smallPlan(t, "other"))
	refusedAs(t, "a second training", err, cockpit.Busy, "long is training")
	for w.Live().State().Step == 0 {
		time.Sleep(time.Millisecond)
	}
	refusedAs(t, "deleting", w.Delete(t.Context(), "long"), cockpit.Busy, "stop it first")
	refusedAs(t, "renaming", w.Rename(t.Context(), "long", "longer"), cockpit.Busy, "stop it first")
	refusedAs(t, "resuming", w.Resume("long"), cockpit.Busy, "long is training")
	end()
	if s := finish(t, w); s.Phase != cockpit.Interrupted || s.SavedStep != s.Step {
		t.Errorf("%+v", s)
	}
	_, err = w.Start(smallPlan(t, "late"))
	refusedAs(t, "a training at the end", err, cockpit.Busy, "ending")
	if runs, err := w.Runs(t.Context()); err != nil || len(runs) != 1 || runs[0].State != stateInterrupted {
		t.Errorf("%v, %+v", err, runs)
	}
}
