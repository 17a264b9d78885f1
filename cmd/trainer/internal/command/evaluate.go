package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"trainer/cmd/trainer/internal/figure"
	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/folder"
	"trainer/nn/metric"
	"trainer/nn/model"
)

// evaluateCommand measures trained networks.
func evaluateCommand() Command {
	return Command{Name: "evaluate", Args: "MODEL", Doc: "measure a trained network on a data set", run: runEvaluate}
}

// evaluateOptions are the flags of trainer evaluate.
type evaluateOptions struct {
	inferenceOptions
	modelData
	part      string
	calibrate bool
	figures   string
}

// The parts of a data set, as -part names them.
var parts = []string{"test", "val", "train"}

func (p *program) evaluateFlags(o *evaluateOptions) *flag.FlagSet {
	f := flag.NewFlagSet("evaluate", flag.ContinueOnError)
	o.modelData.flags(f)
	f.StringVar(&o.part, "part", "test", "`name` part of the data set: test, val or train")
	f.BoolVar(&o.calibrate, "calibrate", false, "fit the temperature of the probabilities to these images and write it into the model; use images that it was not trained on")
	f.BoolVar(&o.json, "json", false, "print the measurements as one JSON object")
	f.BoolVar(&o.csv, "csv", false, "print a row per image instead: path, label, answer, probability, loss; the worst mistakes first")
	f.StringVar(&o.figures, "figures", "", "`folder` folder in which to draw confusion matrix and reliability")
	p.inferenceFlags(f, &o.inferenceOptions)
	return f
}

var evaluateUsage = usage{
	about: "trainer evaluate measures a trained network on images whose classes are known.",
	lines: []string{
		"trainer evaluate [flags] MODEL          a model.safetensors, or the folder of a run",
		"trainer evaluate [flags] MODEL MODEL... several models as one: their probabilities are averaged",
		"trainer evaluate [flags] RUNS           the folder of trainer -runs or -folds: all of its models",
	},
	notes: `The report has accuracy, top-5 accuracy and loss; precision, recall, F1 and number of images of each
class, with their means over classes (macro) and over images (weighted); and the expected calibration
error (ECE): the mean difference between the probability of an answer and how often such answers are
right. Classes of the data and of the model are matched by name.

Examples:
  trainer evaluate runs/2026-01-31-mnist-mnist
  trainer evaluate model.safetensors -data photos/ -csv > answers.csv
  trainer evaluate runs/2026-01-31-photos-photos -part val -calibrate`,
}

func runEvaluate(ctx context.Context, p *program, args []string) error {
	var o evaluateOptions
	f := p.evaluateFlags(&o)
	rest, done, err := p.parseAnywhere(f, evaluateUsage, args)
	if done || err != nil {
		return err
	}
	if err := o.check(rest); err != nil {
		return err
	}
	paths, err := modelsOf(rest)
	if err != nil {
		return err
	}
	if o.calibrate && len(paths) > 1 {
		return usageErrorf("-calibrate takes one model, got %d", len(paths))
	}
	if err := o.choose(p.Kinds, paths[0]); err != nil {
		return err
	}
	if o.folds > 0 && o.part == "val" && len(paths) > 1 {
		return usageErrorf("-part val: the validation images of a fold are training images of the others: pass one folder, such as %s", paths[0])
	}
	dev, err := p.openDevice(o.deviceOptions)
	if err != nil {
		return err
	}
	defer dev.Close()
	e := &evaluation{program: p, evaluateOptions: &o, paths: paths}
	if err := e.run(ctx, dev); err != nil {
		return err
	}
	return e.write(p.stdout)
}

func (o *evaluateOptions) check(models []string) error {
	switch {
	case len(models) == 0:
		return usageErrorf("evaluate takes a model: trainer evaluate MODEL -data NAME (trainer evaluate -h lists the flags)")
	case !slices.Contains(parts, o.part):
		return usageErrorf("-part: unknown part %q%s", o.part, suggest(o.part, parts))
	case o.json && o.csv:
		return usageErrorf("-json and -csv: use one of them")
	}
	return nil
}

// modelsOf returns the models that the arguments name; the folder of several runs stands for their models.
func modelsOf(args []string) ([]string, error) {
	var paths []string
	for _, arg := range args {
		_, err := model.Locate(arg)
		if err == nil {
			paths = append(paths, arg)
			continue
		}
		seeds, globErr := filepath.Glob(filepath.Join(globQuoted(arg), "seed-*"))
		folds, _ := filepath.Glob(filepath.Join(globQuoted(arg), "fold-*"))
		found := false
		for _, folder := range append(seeds, folds...) {
			if _, err := model.Locate(folder); err == nil {
				paths, found = append(paths, folder), true
			}
		}
		if globErr != nil || !found {
			return nil, err
		}
	}
	return paths, nil
}

// globQuoted returns a pattern that matches only the path.
func globQuoted(path string) string {
	return strings.NewReplacer(`*`, `\*`, `?`, `\?`, `[`, `\[`, `\`, `\\`).Replace(path)
}

// evaluation is one call of trainer evaluate.
type evaluation struct {
	*program
	*evaluateOptions
	paths []string

	set     data.Set
	classes []string
	labels  []int32     // of the images that were read, in the model's order of classes
	logits  [][]float32 // of each model, [n, classes]
	infos   []model.Info
	answers []metric.Answer
	report  *metric.Report
	single  []float64 // accuracy of each model, if there are several
	fitted  float64   // the temperature of -calibrate
}

// run computes the outputs of all models, one after the other, and the report.
func (e *evaluation) run(ctx context.Context, dev device.Device) error {
	for i, path := range e.paths {
		m, err := e.openModel(path, dev, &e.inferenceOptions)
		if err != nil {
			return err
		}
		if i == 0 {
			e.classes = m.Info().Classes
			if e.set, err = e.openSet(ctx, m.Info()); err != nil {
				return err
			}
		} else if err := sameInput(e.paths, e.infos[0], m.Info(), i); err != nil {
			return err
		}
		e.infos = append(e.infos, m.Info())
		labels, logits, err := outputs(ctx, m, e.set)
		if err != nil {
			return err
		}
		if i == 0 {
			if e.labels, err = relabel(labels, e.set.Classes(), e.classes); err != nil {
				return err
			}
		}
		e.logits = append(e.logits, logits)
	}
	e.judge()
	if !e.calibrate {
		return nil
	}
	if e.part == "test" {
		e.note("the temperature is fitted to the test images, so probabilities measured on them look better than they are; -part val avoids this")
	}
	e.fitted = metric.FitTemperature(e.logits[0], e.labels, len(e.classes))
	return model.SetTemperature(e.paths[0], e.fitted)
}

// sameInput returns an error if a model differs from the first one in its classes or its images.
func sameInput(paths []string, first, other model.Info, i int) error {
	if !slices.Equal(first.Classes, other.Classes) {
		return usageErrorf("%s and %s have different classes", paths[0], paths[i])
	}
	if a, b := first.Images.Preparation(), other.Images.Preparation(); a != b {
		return usageErrorf("%s and %s take different images: %dx%dx%d and %dx%dx%d", paths[0], paths[i], a.H, a.W, a.C, b.H, b.W, b.C)
	}
	return nil
}

// partName returns the name of the part in sentences.
func (e *evaluation) partName() string {
	return map[string]string{"test": "test", "val": "validation", "train": "training"}[e.part]
}

// openSet opens the part of the data set that is evaluated, with pictures made into images of the model.
func (e *evaluation) openSet(ctx context.Context, info model.Info) (data.Set, error) {
	split, err := e.openModelData(ctx, &e.modelData, info, e.threads, e.json || e.csv)
	if err != nil {
		return nil, err
	}
	set := map[string]data.Set{"test": split.Test, "val": split.Val, "train": split.Train}[e.part]
	if set == nil || set.Len() == 0 {
		advice := ""
		switch {
		case e.part == "test" && split.Val != nil:
			advice = ": pass -part val"
		case e.part == "val":
			advice = ": pass -val 0.1 to take a tenth of the training images"
		}
		return nil, usageErrorf("%s has no %s images%s", e.data, e.partName(), advice)
	}
	return set, e.modelData.fits(set, info)
}

// outputs returns the labels of a set, and the model's outputs for its images.
func outputs(ctx context.Context, m *model.Model, set data.Set) (labels []int32, logits []float32, err error) {
	loader, err := data.NewLoader(data.LoaderConfig{Set: set, Batch: m.Network().Batch()})
	if err != nil {
		return nil, nil, err
	}
	defer loader.Close()
	loader.Start(0, 0)
	for {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		b, err := loader.Next()
		if errors.Is(err, io.EOF) {
			return labels, logits, nil
		}
		if err != nil {
			return nil, nil, &dataError{err}
		}
		out, err := m.Logits(b.Images)
		labels = append(labels, b.Labels...)
		loader.Release(b)
		if err != nil {
			return nil, nil, err
		}
		logits = append(logits, out...)
	}
}

// relabel turns labels of the data's classes into labels of the model's classes of the same names.
func relabel(labels []int32, from, to []string) ([]int32, error) {
	target := make([]int32, len(from))
	for k, name := range from {
		at := slices.Index(to, name)
		target[k] = int32(at)
		if at < 0 && slices.Contains(labels, int32(k)) {
			return nil, usageErrorf("the model doesn't know the class %q of the data%s", name, suggest(name, to))
		}
	}
	out := make([]int32, len(labels))
	for i, label := range labels {
		if label < 0 || int(label) >= len(from) {
			return nil, &dataError{fmt.Errorf("image %d has label %d, want 0 to %d", i, label, len(from)-1)}
		}
		out[i] = target[label]
	}
	return out, nil
}

// judge averages the models' probabilities, and measures the answers.
func (e *evaluation) judge() {
	classes := len(e.classes)
	mean := make([]float64, len(e.labels)*classes)
	for i, logits := range e.logits {
		p := model.Softmax(logits, classes, e.infos[i].Temperature)
		right := 0
		for k, label := range e.labels {
			if metric.Judge(k, int(label), p[k*classes:][:classes]).Correct() {
				right++
			}
		}
		e.single = append(e.single, float64(right)/float64(len(e.labels)))
		for k, v := range p {
			mean[k] += v / float64(len(e.logits))
		}
	}
	for k, label := range e.labels {
		e.answers = append(e.answers, metric.Judge(k, int(label), mean[k*classes:][:classes]))
	}
	e.report = metric.Summarize(e.answers, e.classes)
}

// draw draws the figures.
func (e *evaluation) draw() error {
	if e.figures == "" {
		return nil
	}
	dir, err := folder.Make(e.figures)
	if err != nil {
		return fmt.Errorf("making the folder for pictures: %w", err)
	}
	defer dir.Close()
	classes, err := e.namesInFigures(e.classes, "png", dir)
	if err != nil {
		return err
	}
	title := fmt.Sprintf("%s on %s", filepath.Base(e.paths[0]), filepath.Base(e.data))
	if e.report.Confusion != nil {
		err := e.writePicture(pictureFile{e.figures, "confusion.png", true}, func(w io.Writer) error {
			return figure.Confusion(w, "png", title, e.report.Confusion, classes)
		})
		if err != nil {
			return err
		}
	}
	return e.writePicture(pictureFile{e.figures, "reliability.png", true}, func(w io.Writer) error {
		return figure.Reliability(w, "png", title, e.report)
	})
}
