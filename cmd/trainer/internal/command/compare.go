package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path/filepath"
	"slices"

	"trainer/cmd/trainer/internal/figure"
	"trainer/cmd/trainer/internal/report"
	"trainer/nn/data"
	"trainer/nn/folder"
	"trainer/nn/metric"
	"trainer/nn/train"
)

// compareCommand compares runs.
func compareCommand() Command {
	return Command{Name: "compare", Args: "RUN RUN", Doc: "compare runs: curves, settings, accuracy", run: runCompare}
}

// compareOptions are the flags of trainer compare.
type compareOptions struct {
	out  string
	json bool
}

func compareFlags(o *compareOptions) *flag.FlagSet {
	f := flag.NewFlagSet("compare", flag.ContinueOnError)
	f.StringVar(&o.out, "o", "", "`file` file to draw the curves to, or to replace, .png or .svg (default: none)")
	f.BoolVar(&o.json, "json", false, "print one JSON object instead of text")
	return f
}

var compareUsage = usage{
	about: "trainer compare compares runs: results, settings that differ, and their answers to the same test images.",
	lines: []string{"trainer compare [flags] RUN RUN...     the folders of two or more runs"},
	notes: `McNemar's test needs the answers of finished runs (predictions.csv) to the same test images. p is the
probability of so unequal numbers of images that only one of the two answers correctly, if both were
equally good. The folder of several seeds (trainer -runs) is compared by mean and standard deviation;
for the test, name the folders of single seeds in it.

Example:
  trainer compare runs/small runs/large -o curves.png`,
}

func runCompare(_ context.Context, p *program, args []string) error {
	var o compareOptions
	rest, done, err := p.parseAnywhere(compareFlags(&o), compareUsage, args)
	if done || err != nil {
		return err
	}
	if len(rest) < 2 {
		return usageErrorf("compare takes two runs or more: trainer compare RUN RUN (trainer runs lists them)")
	}
	if len(rest) > figure.MaxSeries {
		return usageErrorf("compare takes up to %d runs, got %d", figure.MaxSeries, len(rest))
	}
	var file pictureFile
	if o.out != "" {
		if file, err = pictureFileFor(o.out, ""); err != nil {
			return err
		}
	}
	c := &comparison{}
	for _, path := range rest {
		one, err := p.openCompared(path)
		if err != nil {
			return err
		}
		c.Runs = append(c.Runs, one)
	}
	if err := c.compare(); err != nil {
		return err
	}
	if o.out != "" {
		status := p.stdout
		if o.json { // the name of the picture must not mix with the object
			status = p.stderr
		}
		quiet := *p
		quiet.stdout = status
		if err := quiet.writePicture(file, func(w io.Writer) error { return c.draw(w, file.format()) }); err != nil {
			return err
		}
	}
	if o.json {
		return c.writeJSON(p.stdout)
	}
	return c.writeText(p.stdout)
}

// comparedRun is a run that is compared.
type comparedRun struct {
	*listedRun
	images  *data.Fingerprint
	epochs  [][]train.EpochMetrics // of each seed
	answers map[string]testAnswer  // to the test images, by image; nil if there are none
	why     string                 // there are no answers
}

// comparison is one call of trainer compare.
type comparison struct {
	Runs     []*comparedRun
	Keys     []string // settings that differ
	McNemars []mcNemar
}

// openCompared reads the folder of a run.
func (p *program) openCompared(path string) (*comparedRun, error) {
	dir, err := folder.Open(path)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	if !holdsRun(dir) && !dir.Has(report.ConfigFile) {
		return nil, usageErrorf("%s is not the folder of a run: want %s in it", path, report.ConfigFile)
	}
	c := &comparedRun{listedRun: p.rowOf(dir, filepath.Clean(path))}
	if c.State == stateBroken {
		return nil, usageErrorf("%s: %s", path, c.Problem)
	}
	if c.epochs, err = seedMetrics(dir, c.Seeds); err != nil {
		return nil, &dataError{err}
	}
	if c.images, err = report.ReadData(dir); err != nil {
		return nil, &dataError{err}
	}
	c.answers, c.why, err = readAnswers(dir, len(c.Seeds))
	return c, err
}

// seedMetrics returns the epochs of a run, or of each of several seeds that has begun.
func seedMetrics(dir *folder.Folder, seeds []uint64) ([][]train.EpochMetrics, error) {
	if len(seeds) == 1 {
		epochs, err := report.ReadMetrics(dir)
		return [][]train.EpochMetrics{epochs}, err
	}
	var all [][]train.EpochMetrics
	for _, seed := range seeds {
		root, err := dir.Root().OpenRoot(fmt.Sprintf("seed-%d", seed))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		epochs, err := report.ReadMetrics(folder.In(root))
		_ = root.Close()
		if err != nil {
			return nil, err
		}
		if len(epochs) > 0 {
			all = append(all, epochs)
		}
	}
	return all, nil
}

// compare finds the differences.
func (c *comparison) compare() error {
	var configs []configuration
	for _, r := range c.Runs {
		configs = append(configs, r.config)
	}
	c.Keys = differing(configs)
	for i, a := range c.Runs {
		for _, b := range c.Runs[i+1:] {
			if a.answers == nil || b.answers == nil {
				continue
			}
			test, err := testMcNemar(a, b)
			if err != nil {
				return err
			}
			c.McNemars = append(c.McNemars, *test)
		}
	}
	return nil
}

// draw draws the curves over one another.
func (c *comparison) draw(w io.Writer, format string) error {
	var series []figure.Series
	isValidation := !slices.ContainsFunc(c.Runs, func(r *comparedRun) bool { return math.IsNaN(float64(r.Val)) })
	for _, r := range c.Runs {
		one := figure.Series{Name: r.Path}
		for _, epochs := range r.epochs {
			one.Seeds = append(one.Seeds, scoredPoints(epochs, isValidation))
		}
		series = append(series, one)
	}
	set := "test"
	if isValidation {
		set = "validation"
	}
	return figure.Compared(w, format, "Runs compared", "on the "+set+" images", series)
}

// scoredPoints returns the results of epochs on the validation images, or on the test images.
func scoredPoints(epochs []train.EpochMetrics, isValidation bool) []figure.Point {
	var points []figure.Point
	for _, e := range epochs {
		p := figure.Point{Epoch: float64(e.Epoch), Loss: math.NaN(), Accuracy: math.NaN()}
		switch {
		case isValidation && e.ValCount > 0:
			p.Loss, p.Accuracy = e.ValLoss, e.ValAccuracy
		case !isValidation && e.Evaluated:
			p.Loss, p.Accuracy = e.TestLoss, e.TestAccuracy
		}
		points = append(points, p)
	}
	return points
}

// mcNemar is McNemar's test of two runs.
type mcNemar struct {
	A      string  `json:"a"`
	B      string  `json:"b"`
	Images int     `json:"images"`
	OnlyA  int     `json:"only_a"` // images that only A answers correctly
	OnlyB  int     `json:"only_b"`
	P      float64 `json:"p"`
}

// testMcNemar compares the answers of two runs. It is an error if they are not about the same images.
func testMcNemar(a, b *comparedRun) (*mcNemar, error) {
	why := otherImages(a.answers, b.answers)
	if why == "" && otherPixels(a.images, b.images) {
		why = "their checksums differ"
	}
	if why != "" {
		return nil, usageErrorf("%s and %s were not tested on the same images: %s", a.Path, b.Path, why)
	}
	var left, right []metric.Answer
	for image, x := range a.answers {
		left = append(left, x.judged())
		right = append(right, b.answers[image].judged())
	}
	t := &mcNemar{A: a.Path, B: b.Path, Images: len(left)}
	t.OnlyA, t.OnlyB, t.P = metric.McNemar(left, right)
	return t, nil
}
