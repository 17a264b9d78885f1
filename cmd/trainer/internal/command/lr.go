package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"text/tabwriter"

	"trainer/cmd/trainer/internal/display"
	"trainer/cmd/trainer/internal/figure"
	"trainer/cmd/trainer/internal/report"
	"trainer/nn/device"
	"trainer/nn/printable"
	"trainer/nn/train"
	"trainer/nn/tune"
)

// lrCommand makes a learning-rate range test.
func lrCommand() Command {
	return Command{Name: "lr", Doc: "suggest a learning rate, by a range test", run: runLR}
}

// lrOptions are the flags of trainer lr.
type lrOptions struct {
	*options
	tune.RangeTest
}

func (p *program) lrFlags(o *lrOptions) *flag.FlagSet {
	f := p.someFlags("lr", o.options, "data", "data-dir", "classes", "val", "test", "offline",
		"recipe", "batch", "set", "init-from", "sha256", "seed",
		"device", "threads", "precision", "cuda-graph", "deterministic", "autotune", "quiet")
	o.RangeTest = tune.RangeTest{From: 1e-6, To: 10, Steps: 200}
	f.Func("from", "`rate` rate of the first step (default 1e-6)", number(&o.From, 0, math.MaxFloat32, "a number above 0"))
	f.Func("to", "`rate` rate of the last step (default 10)", number(&o.To, 0, math.MaxFloat32, "a number above 0"))
	f.Func("steps", "`number` number of steps (default 200)", whole(&o.Steps))
	f.StringVar(&o.out, "out", "", "`folder` folder for the figure and the losses; must not hold results yet (default runs/<date>-<data>-<recipe>-lr)")
	f.BoolVar(&o.json, "json", false, "print one JSON object with all losses instead of text")
	return f
}

// lrGroups are the headings of the help.
func lrGroups() []flagGroup {
	return []flagGroup{
		{"Test", []string{"from", "to", "steps"}},
		{"Data", []string{"data", "data-dir", "classes", "val", "test", "offline"}},
		{"Training", []string{"recipe", "batch", "set", "init-from", "sha256", "seed"}},
		{"Device", []string{"device", "threads", "precision", "cuda-graph", "deterministic", "autotune"}},
		{"Output", []string{"out", "quiet", "json", "h"}},
	}
}

func lrUsage() usage {
	return usage{
		about:  "trainer lr suggests a learning rate, by a range test.",
		lines:  []string{"trainer lr [flags]"},
		groups: lrGroups(),
		notes: `The test trains for some steps, in which the learning rate grows exponentially, and ends early when the
loss explodes, at four times its smallest value (Smith, "Cyclical Learning Rates for Training Neural
Networks", 2017). The recipe's schedule has no effect. Groups of parameters with rates of their own keep
their ratio to the others. The weights are not kept, and neither validation nor test images are read.

The suggested rate is the larger of two estimates: the rate at which the smoothed loss falls fastest, and
a tenth of the rate at which it is lowest. It is meant for optimizer.lr, the rate before the schedule's
factor. With a schedule that warms up or lowers the rate, a rate several times as high often works, so begin a
search (trainer tune) at the suggested one.

Examples:
  trainer lr
  trainer lr -recipe my.toml -data pictures/ -from 1e-5 -to 1`,
	}
}

func runLR(ctx context.Context, p *program, args []string) error {
	if err := p.refuseRanks("trainer lr"); err != nil {
		return err
	}
	o := &lrOptions{options: newOptions()}
	done, err := p.parseSome(p.lrFlags(o), lrUsage(), o.options, args)
	switch {
	case err != nil || done:
		return err
	case o.From >= o.To:
		return usageErrorf("-from %g -to %g: the rate grows, so -to must be the larger one", o.From, o.To)
	case o.Steps < tune.MinSteps:
		return usageErrorf("-steps %d: want at least %d", o.Steps, tune.MinSteps)
	}
	p, restore := p.outlastingReaders()
	defer restore()
	job, err := p.prepare(ctx, o.options)
	if err != nil {
		return err
	}
	defer job.close()
	return job.testRates(ctx, o.RangeTest)
}

// ratesReport is lr.json, and what -json prints.
type ratesReport struct {
	Data       string           `json:"data"`
	Recipe     string           `json:"recipe"`
	Device     string           `json:"device"`
	Seed       uint64           `json:"seed"`
	Batch      int              `json:"batch"`
	From       float64          `json:"from"`
	To         float64          `json:"to"`
	Steps      int              `json:"steps"` // that were asked for
	Recipes    float64          `json:"recipe_rate"`
	Suggestion *tune.Suggestion `json:"suggestion"`        // null if the loss didn't fall
	Command    string           `json:"command,omitempty"` // that trains with the suggested rate
	Search     string           `json:"search,omitempty"`  // that searches above it
	Points     []tune.Point     `json:"points"`
}

// testRates makes the test and its report.
func (j *job) testRates(ctx context.Context, test tune.RangeTest) error {
	folder, err := j.newFolder("-lr")
	if err != nil {
		return err
	}
	defer folder.Close()
	cfg := j.config(j.seed)
	shown := j.barOnly("range test")
	defer shown.Close()
	cfg.Hooks = []train.Hooks{shown.Hooks()}
	points, interrupted, err := test.Run(ctx, cfg)
	shown.Close()
	switch {
	case err != nil:
		folder.Discard()
		return j.explainStart(err, cfg)
	case interrupted:
		folder.Discard()
		return context.Canceled
	case len(points) < 2:
		folder.Discard()
		return usageErrorf("the loss is not finite at the beginning, at rate %g: pass a lower one (-from), or look at the data (trainer data)", test.From)
	}
	r := &ratesReport{
		Data: j.dataName(), Recipe: j.recipe.Name, Device: j.dev.Name(), Seed: j.seed, Batch: cfg.Batch * max(1, cfg.Accumulate),
		From: test.From, To: test.To, Steps: test.Steps, Recipes: cfg.Optimizer.LR, Points: points,
	}
	if s, ok := tune.Suggest(points); ok {
		r.Suggestion = &s
		arguments := j.arguments(j.val)
		r.Command = commandLine("", arguments, fmt.Sprintf("optimizer.lr=%.2g", s.Rate))
		r.Search = commandLine("tune", arguments, fmt.Sprintf("optimizer.lr=%.2g..%.2g", s.Rate, s.Highest()))
	}
	if err := j.writeRates(folder, r); err != nil {
		return err
	}
	return j.printRates(r, folder)
}

// newFolder makes the folder for results that are no run.
func (j *job) newFolder(suffix string) (*report.Folder, error) {
	if j.out != "" {
		return report.Create(j.out)
	}
	return report.Unused(report.DefaultPath(j.now(), j.dataName(), j.name) + suffix)
}

// barOnly returns a display that prints nothing, but shows a bar on a terminal.
func (j *job) barOnly(label string) display.Display {
	if j.json || j.quiet || !j.terminal {
		return display.Quiet{}
	}
	return display.NewBar(j.screen, display.Run{Data: j.dataName(), Recipe: j.recipe.Name, Label: label})
}

// writeRates writes the report and the figure.
func (j *job) writeRates(folder *report.Folder, r *ratesReport) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	var picture bytes.Buffer
	title := fmt.Sprintf("Range test of %s on %s", r.Recipe, r.Data)
	if err := figure.Rates(&picture, "png", title, r.Points, r.Suggestion, r.Recipes); err != nil {
		return err
	}
	return errors.Join(folder.Write(report.RatesFile, append(text, '\n')), folder.Write(report.RatesFigureFile, picture.Bytes()))
}

// printRates prints the result. Without a suggestion it returns an error that says what to try.
func (j *job) printRates(r *ratesReport, folder *report.Folder) error {
	if j.json {
		if err := json.NewEncoder(j.stdout).Encode(r); err != nil {
			return err
		}
	} else {
		j.printRatesText(r, folder)
	}
	if r.Suggestion == nil {
		return usageErrorf("the loss did not fall at any rate from %g to %g: try other rates (-from, -to), or more steps (-steps); the losses are in %s", r.From, r.To, folder.Path())
	}
	return nil
}

func (j *job) printRatesText(r *ratesReport, folder *report.Folder) {
	last := r.Points[len(r.Points)-1]
	if !j.quiet {
		on := r.Device
		if !j.onePrecision(j.dev) {
			on += " in " + device.PrecisionOf(j.dev).String()
		}
		fmt.Fprintf(j.stdout, "range test of %s on %s: %d steps of %d images, rate %g to %.3g, on %s\n",
			r.Recipe, printable.Text(r.Data), len(r.Points), r.Batch, r.From, last.Rate, on)
		if len(r.Points) < r.Steps {
			fmt.Fprintf(j.stdout, "ended at step %d of %d: the loss exploded\n", last.Step, r.Steps)
		}
		fmt.Fprintf(j.stdout, "results in %s: %s, %s\n", printable.Text(folder.Path()), report.RatesFigureFile, report.RatesFile)
	}
	if r.Suggestion != nil {
		j.printSuggestion(j.stdout, r)
	}
}

func (j *job) printSuggestion(out io.Writer, r *ratesReport) {
	s := r.Suggestion
	if !j.quiet {
		w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
		fmt.Fprintln(w, "\nlearning rate\t")
		fmt.Fprintf(w, "%.3g\twhere the loss falls fastest\n", s.Steepest)
		fmt.Fprintf(w, "%.3g\ta tenth of %.3g, where it is lowest\n", s.Tenth(), s.Minimum)
		fmt.Fprintf(w, "%.3g\tthe recipe's\n", r.Recipes)
		_ = w.Flush() // a closed pipe is not an error
		fmt.Fprintln(out)
	}
	fmt.Fprintf(out, "suggested learning rate %.2g (the larger of the first two)\n", s.Rate)
	fmt.Fprintf(out, "to train with it: %s\n", printable.Text(r.Command))
	if !j.quiet {
		fmt.Fprintf(out, "to search above it, with results on validation images: %s\n", printable.Text(r.Search))
	}
}
