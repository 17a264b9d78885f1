package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"trainer/cmd/trainer/internal/cockpit"
	"trainer/cmd/trainer/internal/report"
	"trainer/nn/data"
	"trainer/nn/recipe"
)

// workshop trains what the page of trainer serve asks for, one training at a time, by the code of trainer train.
type workshop struct {
	*program
	device  deviceOptions
	runs    string   // folder of the runs
	folders []string // of pictures, that -data names
	ctx     context.Context
	all     sync.WaitGroup // the trainings

	mu        sync.Mutex
	live      *cockpit.Training // nil before the first
	changing  sync.Mutex        // held while runs are renamed or deleted, or a training begins
	preparing chan struct{}     // one place: a preview takes the memory of a training
}

// newWorkshop returns a workshop whose trainings are interrupted when ctx is done.
func (p *program) newWorkshop(ctx context.Context, o *serveOptions) *workshop {
	return &workshop{program: p, device: o.deviceOptions, runs: o.runs, folders: o.folders, ctx: ctx, preparing: make(chan struct{}, 1)}
}

// wait waits for the training that was interrupted, and says how to continue it if it had begun.
func (w *workshop) wait() {
	w.all.Wait()
	if t := w.Live(); t != nil && t.State().Phase == cockpit.Interrupted && w.taken(t.State().Run) {
		w.note("interrupted; to continue: trainer -resume %s", shellWord(filepath.Join(w.runs, t.State().Run)))
	}
}

// training returns the name of the run that is training, or "".
func (w *workshop) training() string {
	if t := w.Live(); t != nil && !t.State().Phase.Over() {
		return t.State().Run
	}
	return ""
}

// Live returns the training that runs, or the last one.
func (w *workshop) Live() *cockpit.Training {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.live
}

// Choices lists data sets, the folders that -data names, and recipes.
func (w *workshop) Choices() cockpit.Choices {
	c := cockpit.Choices{CanStart: true, Runs: w.runs, Device: w.device.device}
	for _, d := range w.Kinds.DataSets {
		c.Data = append(c.Data, cockpit.Choice{Name: d.Name, Doc: d.Doc, Recipe: d.Recipe})
	}
	for _, folder := range w.folders {
		c.Data = append(c.Data, cockpit.Choice{Name: folder, Doc: "-data", Recipe: data.FolderKind().Recipe})
	}
	for _, name := range recipe.Names() {
		if r, err := w.Kinds.Load(name); err == nil {
			c.Recipes = append(c.Recipes, cockpit.Choice{Name: name, Doc: r.Description})
		}
	}
	return c
}

// Recipe returns the text of a built-in recipe.
func (w *workshop) Recipe(name string) (string, error) {
	text, err := recipe.Source(name)
	if err != nil {
		return "", cockpit.Failf(cockpit.Missing, "no recipe of this name")
	}
	return string(text), nil
}

// pageRecipe is the name of the file that a recipe of the page would be, in mistakes.
const pageRecipe = "recipe.toml"

// Check returns the mistakes in a recipe.
func (w *workshop) Check(text string) []cockpit.Mistake {
	if _, err := w.Kinds.Parse(pageRecipe, []byte(text)); err != nil {
		return cockpit.MistakesOf(pageRecipe, err)
	}
	return []cockpit.Mistake{}
}

// Preview returns the table that trainer -dry-run prints.
func (w *workshop) Preview(ctx context.Context, p cockpit.Plan) (*cockpit.Preview, error) {
	select {
	case w.preparing <- struct{}{}:
		defer func() { <-w.preparing }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	o, err := w.options(p)
	if err != nil {
		return nil, err
	}
	o.dryRun = true
	job, err := w.quiet(func(string) {}).prepare(ctx, o)
	if err == nil {
		defer job.close()
		var table any
		if table, err = job.table(); err == nil {
			return &cockpit.Preview{Table: table, Mistakes: []cockpit.Mistake{}}, nil
		}
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return &cockpit.Preview{Mistakes: cockpit.MistakesOf(pageRecipe, err)}, nil
}

// options returns the flags of trainer train for a plan.
func (w *workshop) options(p cockpit.Plan) (*options, error) {
	known := slices.ContainsFunc(w.Choices().Data, func(c cockpit.Choice) bool { return c.Name == p.Data })
	switch {
	case !known:
		return nil, cockpit.Failf(cockpit.Invalid, "data: want one of the data sets and folders that the page lists")
	case !(p.Val >= 0 && p.Val < 1):
		return nil, cockpit.Failf(cockpit.Invalid, "held out: want a fraction from 0 to below 1")
	case p.Seed > 1<<53:
		return nil, cockpit.Failf(cockpit.Invalid, "seed: want a whole number from 0 to 2^53")
	case p.Name != "" && !isRunName(p.Name):
		return nil, cockpit.Failf(cockpit.Invalid, "%s", wantRunName)
	}
	o := w.defaults()
	o.device = w.device.device
	o.recipe, o.configText, o.data, o.seed, o.val = pageRecipe, []byte(p.Recipe), p.Data, p.Seed, p.Val
	return o, nil
}

// runNames are the names that a page may give to runs: they are folders' names on every system.
var runNames = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

// devices are names that Windows keeps for devices, with any extension.
var devices = regexp.MustCompile(`(?i)^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)`)

const wantRunName = "name: want letters, digits, dots, hyphens and underscores, at most 100, with a letter or a digit first, no dot last, and no device of Windows"

func isRunName(name string) bool {
	return runNames.MatchString(name) && !strings.HasSuffix(name, ".") && !devices.MatchString(name)
}

// Start begins a training in a folder of its own.
func (w *workshop) Start(p cockpit.Plan) (string, error) {
	o, err := w.options(p)
	if err != nil {
		return "", err
	}
	r, err := w.Kinds.Parse(pageRecipe, o.configText)
	if err != nil {
		return "", cockpit.Failf(cockpit.Invalid, "%s", oneLine(err))
	}
	w.changing.Lock()
	defer w.changing.Unlock()
	if err := w.busy(); err != nil {
		return "", err
	}
	if p.Name != "" && w.taken(p.Name) {
		return "", cockpit.Failf(cockpit.Invalid, "name: there is a folder of this name in %s", w.runs)
	}
	name := cmp.Or(p.Name, w.unused(filepath.Base(report.DefaultPath(w.now(), p.Data, r.Name))))
	o.out = filepath.Join(w.runs, name)
	return name, w.begin(name, o)
}

// taken reports whether the folder of the runs has an entry of a name.
func (w *workshop) taken(name string) bool {
	_, err := os.Lstat(filepath.Join(w.runs, name))
	return err == nil
}

// unused returns a name that is not taken: the given one, or that with a number.
func (w *workshop) unused(name string) string {
	numbered := name
	for n := 2; w.taken(numbered); n++ {
		numbered = fmt.Sprintf("%s-%d", name, n)
	}
	return numbered
}

// Resume continues a run.
func (w *workshop) Resume(name string) error {
	w.changing.Lock()
	defer w.changing.Unlock()
	run, err := w.find(w.ctx, name)
	if err != nil {
		return err
	}
	o := w.defaults()
	o.resume, o.given["resume"] = run.Path, true
	if err := w.checkRecorded(o); err != nil {
		return err
	}
	return w.begin(name, o)
}

// defaults returns the flags of trainer train with their defaults, and the server's number of threads.
func (w *workshop) defaults() *options {
	o := newOptions()
	w.newFlags(o) // which sets them
	o.threads = w.device.threads
	return o
}

// checkRecorded returns an error if a run that is continued reads other files than those that the command line names: a
// page can't make the program open any folder by a configuration that someone put there.
func (w *workshop) checkRecorded(o *options) error {
	run := *o
	run.given = map[string]bool{}
	if err := run.readRun(w.Kinds); err != nil {
		return cockpit.Failf(cockpit.Invalid, "%s", oneLine(err))
	}
	named := slices.ContainsFunc(w.Choices().Data, func(c cockpit.Choice) bool {
		whole, err := filepath.Abs(c.Name)
		return c.Name == run.data || err == nil && whole == run.data
	})
	if !named || run.dataDir != "" || run.initFrom != "" {
		return cockpit.Failf(cockpit.Invalid, "the run has read files that trainer serve was not told of: name the data by -data, or continue it by trainer -resume")
	}
	return nil
}

// busy returns an error while a training is running: a device computes for one at a time.
func (w *workshop) busy() error {
	if run := w.training(); run != "" {
		return cockpit.Failf(cockpit.Busy, "the run %s is training: stop it, or wait for its end", run)
	}
	if w.ctx.Err() != nil {
		return cockpit.Failf(cockpit.Busy, "the program is ending")
	}
	return nil
}

// begin trains as flags say, unless a training is running. The caller holds changing.
func (w *workshop) begin(name string, o *options) error {
	if err := w.busy(); err != nil {
		return err
	}
	o.quiet = true
	t, ctx := cockpit.New(w.ctx, name)
	w.mu.Lock()
	w.live = t
	w.mu.Unlock()
	w.all.Go(func() { w.train(ctx, t, o) })
	return nil
}

// train makes a run, and says how it ended.
func (w *workshop) train(ctx context.Context, t *cockpit.Training, o *options) {
	phase, problem := cockpit.Failed, "internal error: the program's standard error has more"
	defer func() {
		if r := recover(); r != nil {
			w.internalError(r)
		}
		t.End(phase, problem)
	}()
	job, err := w.quiet(t.Note).prepare(ctx, o)
	if err == nil {
		defer job.close()
		job.watch = &watch{training: t}
		err = job.train(ctx)
	}
	phase, problem = endOf(ctx, err)
}

// endOf says how a training ended, by its error.
func endOf(ctx context.Context, err error) (phase cockpit.Phase, problem string) {
	switch {
	case err == nil:
		return cockpit.Finished, ""
	case isA[*interruptedError](err), ctx.Err() != nil && errors.Is(err, context.Canceled):
		return cockpit.Interrupted, ""
	}
	return cockpit.Failed, oneLine(err)
}

// quiet returns the program without a terminal, whose lines for the user go to a function.
func (w *workshop) quiet(note func(line string)) *program {
	p := *w.program
	p.terminal = false
	p.stdout, p.screen = discard{}, discard{}
	p.stderr = &lineWriter{line: note}
	return &p
}

// discard is a writer to nowhere.
type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

// lineWriter calls a function for each line, without the program's name before it.
type lineWriter struct {
	line func(string)
	mu   sync.Mutex
	part []byte
}

// maxLine is the number of bytes of a line that is passed on.
const maxLine = 1 << 12

func (l *lineWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.part = append(l.part, b...)
	for {
		i := slices.Index(l.part, '\n')
		if i < 0 {
			break
		}
		l.line(strings.TrimPrefix(string(l.part[:min(i, maxLine)]), "trainer: "))
		l.part = l.part[i+1:]
	}
	l.part = l.part[:min(len(l.part), maxLine)]
	return len(b), nil
}
