package command

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"image"
	"io"
	"slices"
	"strings"

	"trainer/cmd/trainer/internal/figure"
	"trainer/cmd/trainer/internal/report"
	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/folder"
	"trainer/nn/model"
	"trainer/nn/printable"
	"trainer/nn/train"
)

// runOptions are the flags of trainer draw run.
type runOptions struct {
	out, format, device string
}

func (p *program) runFlags(o *runOptions) *flag.FlagSet {
	f := flag.NewFlagSet("draw run", flag.ContinueOnError)
	f.StringVar(&o.out, "o", "", "`folder` folder for the pictures, which replace older ones there (default RUNDIR/figures)")
	f.StringVar(&o.format, "format", "png", "`format` file format: png or svg")
	p.deviceFlag(f, &o.device)
	return f
}

var drawRunUsage = usage{
	about: "trainer draw run draws a run's network, curves, confusion matrix, filters of the first\nconvolution, predictions and feature maps. It evaluates the test set.",
	lines: []string{"trainer draw run [flags] RUNDIR"},
	notes: `Of the folder of several seeds (trainer -runs) it draws the curves of all together: their mean, and
the standard deviation as a band.`,
}

// drawRun draws the results in a run's folder. It evaluates the test set.
func (p *program) drawRun(ctx context.Context, args []string) error {
	var o runOptions
	f := p.runFlags(&o)
	rest, done, err := p.parseAnywhere(f, drawRunUsage, args)
	if done || err != nil {
		return err
	}
	if len(rest) != 1 {
		return usageErrorf("draw run takes one folder of a run: trainer draw run [flags] RUNDIR")
	}
	if !slices.Contains(figure.Formats(), o.format) {
		return usageErrorf("-format: unknown format %q%s", o.format, suggest(o.format, figure.Formats()))
	}
	dir, err := folder.Open(rest[0])
	if err != nil {
		return err
	}
	defer dir.Close()
	if drawn, err := p.drawSeeds(dir, &o); drawn || err != nil {
		return err
	}
	t, err := p.openTrained(ctx, dir, o.device)
	if err != nil {
		return err
	}
	defer t.close()
	out, err := figuresFolder(dir, o.out)
	if err != nil {
		return fmt.Errorf("making the folder for pictures: %w", err)
	}
	defer out.Close()
	if t.classes, err = p.namesInFigures(t.classes, o.format, out); err != nil {
		return err
	}
	for _, picture := range t.pictures(ctx, dir, o.format) {
		if err := p.writePictureIn(out, picture.name+"."+o.format, picture.draw); err != nil {
			return err
		}
	}
	return nil
}

// figuresFolder opens the folder for the pictures: the one that the user names, or one in the run's folder, which links
// can't lead out of.
func figuresFolder(run *folder.Folder, out string) (*folder.Folder, error) {
	if out != "" {
		return folder.Make(out)
	}
	return run.Sub("figures")
}

// writePictureIn draws to a file in a folder and prints its path.
func (p *program) writePictureIn(dir *folder.Folder, name string, draw func(io.Writer) error) error {
	var b bytes.Buffer
	if err := draw(&b); err != nil {
		return err
	}
	if err := dir.Write(name, b.Bytes()); err != nil {
		return err
	}
	_, err := fmt.Fprintln(p.stdout, printable.Text(dir.File(name)))
	return err
}

// trained is the network of a run with its weights, and the run's data.
type trained struct {
	*job
	cfg     train.Config
	net     *nn.Network
	test    data.Set
	input   nn.Shape
	classes []string

	evaluation *train.Evaluation // of the test set, once it has been made
}

// evaluationBatch is the number of images that are evaluated together.
const evaluationBatch = 256

// openTrained opens the device and the data of the configuration in a run's folder, and loads the run's weights.
func (p *program) openTrained(ctx context.Context, dir *folder.Folder, dev string) (_ *trained, err error) {
	o := &options{out: dir.Path(), deviceOptions: deviceOptions{device: dev, precision: device.FP32}, earlier: earlier{drawn: true}}
	if err := o.readFolder(p.Kinds, dir.Path()); err != nil {
		return nil, err
	}
	run := o.before
	o.data, o.dataDir, o.val, o.test, o.seed = run.Data, run.DataDir, run.Val, run.Test, run.Seed
	o.folds, o.fold = run.Folds, run.Fold
	j, err := p.prepare(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			j.close()
		}
	}()
	t := &trained{job: j, cfg: j.config(j.seed), test: j.split.Test}
	if t.test == nil { // a fold of data without a test set
		t.test = j.split.Val
	}
	if t.test == nil || t.test.Len() == 0 {
		return nil, usageErrorf("%s: the data set of this run has no test images", dir.Path())
	}
	h, w, c := t.test.ImageShape()
	t.input, t.classes = nn.Shape{h, w, c}, t.test.Classes()
	t.net, err = nn.Compile(j.dev, t.cfg.Model, nn.Options{
		Input: t.input, Batch: min(evaluationBatch, t.test.Len()), Loss: t.cfg.Loss, Sample: noise(t.input),
		ClassCounts: func() ([]int, error) { return data.ClassCounts(j.split.Train) },
	})
	if err != nil {
		return nil, err
	}
	for _, name := range model.Files() {
		if dir.Has(name) {
			return t, train.LoadWeightsIn(dir.Root(), name, t.net)
		}
	}
	return nil, usageErrorf("%s has no trained network: want %s", dir.Path(), model.FileName)
}

// picture is a picture's name and the function that draws it.
type picture struct {
	name string
	draw func(io.Writer) error
}

func (t *trained) pictures(ctx context.Context, dir *folder.Folder, format string) []picture {
	name := fmt.Sprintf("%s on %s", t.recipe.Name, t.dataName())
	list := []picture{
		{"network", func(w io.Writer) error {
			return figure.Network(w, format, t.recipe.Name, figure.Layers(t.net.Layers(), t.cfg.Model, t.Kinds.Layers), t.input)
		}},
		{"curves", func(w io.Writer) error {
			epochs, err := readMetrics(dir)
			if err != nil {
				return err
			}
			steps, err := readSteps(dir)
			if err != nil {
				return err
			}
			return figure.Curves(w, format, name, epochs, steps)
		}},
	}
	if n := len(t.classes); n > figure.MaxConfusionClasses {
		t.note("no confusion matrix for %d classes: it can show %d", n, figure.MaxConfusionClasses)
	} else {
		list = append(list, picture{"confusion", func(w io.Writer) error {
			e, err := t.evaluate(ctx)
			if err != nil {
				return err
			}
			return figure.Confusion(w, format, name, e.Confusion, t.classes)
		}})
	}
	if p := t.firstFilters(); p != nil {
		list = append(list, picture{"filters", func(w io.Writer) error {
			values := make([]float32, p.Value.Len())
			if err := t.dev.Download(device.Bytes(values), p.Value); err != nil {
				return err
			}
			return figure.Filters(w, format, "The filters of "+strings.TrimSuffix(p.Name, ".weight"), values, p.Value.Shape())
		}})
	}
	if t.input[2] != 1 && t.input[2] != 3 {
		return list
	}
	return append(list,
		picture{"predictions", func(w io.Writer) error {
			e, err := t.evaluate(ctx)
			if err != nil {
				return err
			}
			shown, err := predictions(t.test, t.classes, e.Answers)
			if err != nil {
				return err
			}
			return figure.Predictions(w, format, name+": "+predictionsTitle, shown)
		}},
		picture{"features", func(w io.Writer) error {
			img, pixels, err := t.image(0)
			if err != nil {
				return err
			}
			maps, err := t.activations(pixels)
			if err != nil {
				return err
			}
			return figure.FeatureMaps(w, format, name, img, maps, t.classes)
		}})
}

func readMetrics(dir *folder.Folder) ([]figure.Epoch, error) {
	path := dir.File(report.MetricsFile)
	f, err := dir.Open(report.MetricsFile)
	if err != nil {
		return nil, fmt.Errorf("reading the metrics: %w", err)
	}
	defer f.Close()
	epochs, err := figure.ReadMetrics(f)
	if err != nil {
		return nil, &dataError{fmt.Errorf("%s: %w", path, err)}
	}
	if len(epochs) == 0 {
		return nil, usageErrorf("%s: the run has not finished an epoch", path)
	}
	return epochs, nil
}

// readSteps reads steps.jsonl, which runs of older versions don't have.
func readSteps(dir *folder.Folder) ([]figure.Epoch, error) {
	if !dir.Has(report.StepsFile) {
		return nil, nil
	}
	f, err := dir.Open(report.StepsFile)
	if err != nil {
		return nil, fmt.Errorf("reading the steps: %w", err)
	}
	defer f.Close()
	steps, err := figure.ReadSteps(f)
	if err != nil {
		return nil, &dataError{fmt.Errorf("%s: %w", dir.File(report.StepsFile), err)}
	}
	return steps, nil
}

// evaluate evaluates the test set, once.
func (t *trained) evaluate(ctx context.Context) (*train.Evaluation, error) {
	if t.evaluation != nil {
		return t.evaluation, nil
	}
	e, err := train.NewEvaluator(t.net, t.test, t.cfg.Augment.Mean, t.cfg.Augment.Std, t.cfg.TTA)
	if err != nil {
		return nil, err
	}
	defer e.Close()
	e.SetViewsShare(t.cfg.TTAShare)
	t.evaluation, err = e.Evaluate(ctx, nil)
	return t.evaluation, err
}

// firstFilters returns the weights of the first convolution, or nil.
func (t *trained) firstFilters() *nn.Param {
	for _, p := range t.net.Params() {
		if p.Role == nn.Weight && len(p.Value.Shape()) == 4 {
			return p
		}
	}
	return nil
}

// image returns a test image as a picture, and as input of the network.
func (t *trained) image(i int) (image.Image, []float32, error) {
	pixels := make([]byte, t.input.Len())
	if _, err := t.test.Read(i, pixels); err != nil {
		return nil, nil, &dataError{err}
	}
	img, err := figure.Pixels(pixels, t.input[0], t.input[1], t.input[2])
	return img, t.normalize(pixels), err
}

// normalize returns (pixel/255 - mean) / std, as device.Augment does.
func (t *trained) normalize(pixels []byte) []float32 {
	mean, std := t.cfg.Augment.Mean, t.cfg.Augment.Std
	values := make([]float32, len(pixels))
	for k, p := range pixels {
		c := k % len(mean)
		values[k] = (float32(p)/255 - mean[c]) / std[c]
	}
	return values
}
