package site

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"trainer/cmd/trainer/internal/cockpit"
	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/inspect"
	"trainer/nn/recipe"
	"trainer/nn/train"
)

// Workshop trains what the page asks for, one training at a time, and keeps the runs until the page is closed.
type Workshop struct {
	learn, dev device.Device
	data       *data.Dataset
	recipes    []string
	yield      func()
	begun      chan *cockpit.Training // each training that begins

	mu   sync.Mutex
	live *cockpit.Training
	runs []*run // the latest first
}

// run is a training that was begun.
type run struct {
	cockpit.Run
	config   string
	recipe   *recipe.Recipe
	training *cockpit.Training
	network  *nn.Network // nil before the end
}

// newWorkshop returns a workshop.
func newWorkshop(c Config) *Workshop {
	yield := c.Yield
	if yield == nil {
		yield = func() {}
	}
	return &Workshop{learn: c.Learn, dev: c.Train, data: c.Data, recipes: c.Recipes, yield: yield, begun: make(chan *cockpit.Training, 1)}
}

// Choices lists the data and the recipes.
func (w *Workshop) Choices() cockpit.Choices {
	c := cockpit.Choices{CanStart: true, Device: w.dev.Name()}
	c.Data = []cockpit.Choice{{Name: w.data.Name, Doc: fmt.Sprintf("%d + %d images", w.data.Train.Len(), w.data.Test.Len()), Recipe: w.recipes[0]}}
	for _, name := range w.recipes {
		if r, err := recipe.Load(name); err == nil {
			c.Recipes = append(c.Recipes, cockpit.Choice{Name: name, Doc: r.Description})
		}
	}
	return c
}

// Recipe returns the text of a recipe.
func (w *Workshop) Recipe(name string) (string, error) {
	if !slices.Contains(w.recipes, name) {
		return "", cockpit.Failf(cockpit.Missing, "no recipe of this name")
	}
	text, err := recipe.Source(name)
	return string(text), err
}

// pageRecipe is the name of the file that a recipe of the page would be, in mistakes.
const pageRecipe = "recipe.toml"

// Check returns the mistakes in a recipe.
func (w *Workshop) Check(text string) []cockpit.Mistake {
	if _, err := recipe.Parse(pageRecipe, []byte(text)); err != nil {
		return cockpit.MistakesOf(pageRecipe, err)
	}
	return []cockpit.Mistake{}
}

// Preview returns the table of a training's layers and memory.
func (w *Workshop) Preview(ctx context.Context, p cockpit.Plan) (*cockpit.Preview, error) {
	_, cfg, err := w.prepare(ctx, p)
	if err == nil {
		var s *train.Summary
		if s, err = train.DryRun(*cfg); err == nil {
			return &cockpit.Preview{Table: cockpit.TableOf(s, "", nil), Mistakes: []cockpit.Mistake{}}, nil
		}
	}
	return &cockpit.Preview{Mistakes: cockpit.MistakesOf(pageRecipe, err)}, nil
}

// prepare returns a plan's recipe and the configuration of its training.
func (w *Workshop) prepare(ctx context.Context, p cockpit.Plan) (*recipe.Recipe, *train.Config, error) {
	if p.Data != w.data.Name || !(p.Val >= 0 && p.Val < 1) {
		return nil, nil, cockpit.Failf(cockpit.Invalid, "want the data %s, and a fraction from 0 to below 1 that is held out", w.data.Name)
	}
	r, err := recipe.Parse(pageRecipe, []byte(p.Recipe))
	if err != nil {
		return nil, nil, err
	}
	split := *w.data
	if p.Val > 0 {
		if err := split.HoldOut(ctx, p.Val, p.Seed); err != nil {
			return nil, nil, err
		}
	}
	cfg := r.TrainConfig(w.dev, &split, p.Seed)
	return r, &cfg, nil
}

// Start begins a training, and returns the name of its run.
func (w *Workshop) Start(p cockpit.Plan) (string, error) {
	if t := w.Live(); t != nil && !t.State().Phase.Over() {
		return "", cockpit.Failf(cockpit.Busy, "the run %s is training: stop it, or wait for its end", t.State().Run)
	}
	r, cfg, err := w.prepare(context.Background(), p)
	if err != nil {
		return "", cockpit.Failf(cockpit.Invalid, "%s", cockpit.MistakesOf(pageRecipe, err)[0].Text)
	}
	name := p.Name
	if name == "" {
		name = w.unused(time.Now().Format("2006-01-02") + "-" + w.data.Name + "-" + r.Name)
	} else if _, err := w.find(name); err == nil {
		return "", cockpit.Failf(cockpit.Invalid, "name: there is a run of this name")
	}
	t, ctx := cockpit.New(context.Background(), name)
	n := &run{
		Run:    cockpit.Run{Name: name, Date: time.Now(), State: "running", Data: w.data.Name, Recipe: r.Name, Seeds: []uint64{p.Seed}},
		config: p.Recipe, recipe: r, training: t,
	}
	w.mu.Lock()
	w.live = t
	w.runs = append([]*run{n}, w.runs...)
	w.mu.Unlock()
	select {
	case w.begun <- t:
	default: // nobody follows
	}
	go w.train(ctx, n, cfg)
	return name, nil
}

// unused returns a name that no run has.
func (w *Workshop) unused(name string) string {
	numbered := name
	for n := 2; ; n++ {
		if _, err := w.find(numbered); err != nil {
			return numbered
		}
		numbered = fmt.Sprintf("%s-%d", name, n)
	}
}

// probes is the number of pictures whose activations are summarised after every epoch.
const probes = 16

// train makes a run.
func (w *Workshop) train(ctx context.Context, n *run, cfg *train.Config) {
	probe := &cockpit.Probe{
		Open:     func() (*inspect.Session, error) { return openRecipe(w.learn, n.recipe, cfg.Data) },
		Pictures: cockpit.FirstPictures(cfg.Data.Train, probes),
	}
	hooks := n.training.Hooks(cockpit.Data{Val: cfg.Data.Val, Test: cfg.Data.Test, Classes: cfg.Data.Train.Classes(), Precision: "fp32", Probe: probe, CanSteer: true})
	cfg.KeepAnswers = true
	cfg.Hooks = append(cfg.Hooks, hooks, train.Hooks{
		Step:     func(*train.Training, *train.StepDone) { w.yield() },
		Progress: func(*train.Training, *train.EvalProgress) { w.yield() },
	})
	w.yield() // so that the page knows that it begins
	result, err := train.Run(ctx, *cfg)
	_ = probe.Close() // of host memory, which can't fail
	w.end(n, result, err)
}

// end keeps the results of a run.
func (w *Workshop) end(n *run, result *train.Result, err error) {
	phase, problem := cockpit.Finished, ""
	if err != nil {
		phase, problem = cockpit.Failed, err.Error()
	} else if result.Interrupted {
		phase, problem = cockpit.Failed, "stopped before it began"
	}
	w.mu.Lock()
	n.State, n.Problem = string(phase), problem
	if result != nil {
		n.network, n.Seconds = result.Network, time.Since(n.Date).Seconds()
	}
	w.mu.Unlock()
	n.training.End(phase, problem)
}

// find returns the run of a name.
func (w *Workshop) find(name string) (*run, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range w.runs {
		if n.Name == name {
			return n, nil
		}
	}
	return nil, cockpit.Failf(cockpit.Missing, "no run of this name")
}

// Runs lists the runs, the latest first.
func (w *Workshop) Runs(context.Context) ([]cockpit.Run, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := make([]cockpit.Run, len(w.runs))
	for i, n := range w.runs {
		list[i] = n.present()
	}
	return list, nil
}

// present describes a run as it is now.
func (n *run) present() cockpit.Run {
	r := n.Run
	if _, epochs := n.training.Curves(); len(epochs) > 0 {
		last := epochs[len(epochs)-1]
		r.Epochs = float64(len(epochs))
		if last.ValCount > 0 {
			r.Val = &last.ValAccuracy
		}
		if last.Evaluated {
			r.Test = &last.TestAccuracy
		}
	}
	return r
}

// Record returns the curves of a run.
func (w *Workshop) Record(_ context.Context, name string) (*cockpit.Record, error) {
	n, err := w.find(name)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	steps, epochs := n.training.Curves()
	return &cockpit.Record{Run: n.present(), Config: n.config, Steps: steps, Epochs: epochs}, nil
}

// Histograms returns the histograms of a run.
func (w *Workshop) Histograms(_ context.Context, name string) (*cockpit.Histograms, error) {
	n, err := w.find(name)
	if err != nil {
		return nil, err
	}
	return n.training.Histograms(), nil
}

// Resume refuses: there are no checkpoints.
func (w *Workshop) Resume(string) error {
	return cockpit.Failf(cockpit.Invalid, "a run in the browser has no checkpoint to continue from")
}

// Rename gives a run another name.
func (w *Workshop) Rename(_ context.Context, name, to string) error {
	n, err := w.find(name)
	if err != nil {
		return err
	}
	if _, err := w.find(to); err == nil || to == "" || len(to) > 100 {
		return cockpit.Failf(cockpit.Invalid, "name: want one that no run has, of at most 100 bytes")
	}
	w.mu.Lock()
	n.Name = to
	w.mu.Unlock()
	n.training.Name(to)
	return nil
}

// Delete removes a run.
func (w *Workshop) Delete(_ context.Context, name string) error {
	n, err := w.find(name)
	if err != nil {
		return err
	}
	if !n.training.State().Phase.Over() {
		return cockpit.Failf(cockpit.Busy, "the run is training: stop it first")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.runs = slices.DeleteFunc(w.runs, func(other *run) bool { return other == n })
	return nil
}

// Live returns the training that runs, or the last one.
func (w *Workshop) Live() *cockpit.Training {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.live
}

// A workshop of the browser answers as one of trainer serve.
var _ cockpit.Workshop = (*Workshop)(nil)
