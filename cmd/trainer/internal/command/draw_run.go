package command

import (
	"context"
	"flag"
	"fmt"
	"image"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"trainer/cmd/trainer/internal/figure"
	"trainer/cmd/trainer/internal/report"
	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/train"
)

// runOptions are the flags of trainer draw run.
type runOptions struct {
	out, format, device string
}

func runFlags(o *runOptions) *flag.FlagSet {
	f := flag.NewFlagSet("draw run", flag.ContinueOnError)
	f.StringVar(&o.out, "o", "", "`folder` folder for the pictures (default RUNDIR/figures)")
	f.StringVar(&o.format, "format", "png", "`format` file format: png or svg")
	f.StringVar(&o.device, "device", "auto", "`kind` of device: auto, cpu, cuda or cuda:N")
	return f
}

// drawRun draws the results in a run's folder. It evaluates the test set.
func (p *program) drawRun(ctx context.Context, args []string) error {
	var o runOptions
	f := runFlags(&o)
	if done, err := p.parseArguments(f, args); done || err != nil {
		return err
	}
	if f.NArg() != 1 {
		return usageErrorf("draw run takes one folder of a run: trainer draw run [flags] RUNDIR")
	}
	if !slices.Contains(figure.Formats(), o.format) {
		return usageErrorf("-format: unknown format %q%s", o.format, suggest(o.format, figure.Formats()))
	}
	folder := f.Arg(0)
	if o.out == "" {
		o.out = filepath.Join(folder, "figures")
	}
	t, err := p.openTrained(ctx, folder, o.device)
	if err != nil {
		return err
	}
	defer t.dev.Close()
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return fmt.Errorf("making the folder for pictures: %w", err)
	}
	for _, picture := range t.pictures(ctx, folder, o.format) {
		if err := p.writePicture(filepath.Join(o.out, picture.name+"."+o.format), picture.draw); err != nil {
			return err
		}
	}
	return nil
}

// trained is the network of a run with its weights, and the run's data.
type trained struct {
	*job
	cfg     train.Config
	net     *nn.Network
	test    data.Set
	input   nn.Shape
	classes []string
}

// evaluationBatch is the number of images that are evaluated together.
const evaluationBatch = 256

// openTrained opens the device and the data of the configuration in a run's folder, and loads the run's weights.
func (p *program) openTrained(ctx context.Context, folder, dev string) (_ *trained, err error) {
	config := filepath.Join(folder, report.ConfigFile)
	r, err := p.Kinds.Load(config)
	if err != nil {
		return nil, err
	}
	if r.Run == nil {
		return nil, usageErrorf("%s has no table [run]: it is not the configuration of a run", config)
	}
	j, err := p.prepare(ctx, &options{
		recipe: config, data: r.Run.Data, dataDir: r.Run.DataDir, val: r.Run.Val, seed: r.Run.Seed,
		deviceOptions: deviceOptions{device: dev, precision: device.FP32},
	})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			j.dev.Close()
		}
	}()
	t := &trained{job: j, cfg: j.config(j.seed), test: j.split.Test}
	if t.test == nil || t.test.Len() == 0 {
		return nil, usageErrorf("%s: the data set of this run has no test images", folder)
	}
	h, w, c := t.test.ImageShape()
	t.input, t.classes = nn.Shape{h, w, c}, t.test.Classes()
	t.net, err = nn.Compile(j.dev, t.cfg.Model, nn.Options{
		Input: t.input, Batch: min(evaluationBatch, t.test.Len()), Loss: t.cfg.Loss, Sample: noise(t.input),
	})
	if err != nil {
		return nil, err
	}
	return t, train.LoadWeights(filepath.Join(folder, report.WeightsFile), t.net)
}

// picture is a picture's name and the function that draws it.
type picture struct {
	name string
	draw func(io.Writer) error
}

func (t *trained) pictures(ctx context.Context, folder, format string) []picture {
	name := fmt.Sprintf("%s on %s", t.recipe.Name, t.data)
	list := []picture{
		{"network", func(w io.Writer) error {
			return figure.Network(w, format, t.recipe.Name, figure.Layers(t.net.Layers(), t.cfg.Model, t.Kinds.Layers), t.input)
		}},
		{"curves", func(w io.Writer) error {
			epochs, err := readMetrics(filepath.Join(folder, report.MetricsFile))
			if err != nil {
				return err
			}
			return figure.Curves(w, format, name, epochs)
		}},
		{"confusion", func(w io.Writer) error {
			e, err := t.evaluate(ctx)
			if err != nil {
				return err
			}
			return figure.Confusion(w, format, name, e.Confusion, t.classes)
		}},
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
			predictions, err := t.predictions()
			if err != nil {
				return err
			}
			return figure.Predictions(w, format, name+": the first test images, and the first mistakes", predictions)
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

func readMetrics(path string) ([]figure.Epoch, error) {
	f, err := os.Open(path)
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

func (t *trained) evaluate(ctx context.Context) (*train.Evaluation, error) {
	e, err := train.NewEvaluator(t.net, t.test, t.cfg.Augment.Mean, t.cfg.Augment.Std, t.cfg.TTA)
	if err != nil {
		return nil, err
	}
	defer e.Close()
	return e.Evaluate(ctx, nil)
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

// The numbers of predictions that are drawn: of the first images of the test set, and of the first mistakes among the
// images after them.
const (
	drawnImages   = 16
	drawnMistakes = 16
)

func (t *trained) predictions() ([]figure.Prediction, error) {
	x, err := t.dev.NewTensor(device.Float32, append([]int{1}, t.input...)...)
	if err != nil {
		return nil, err
	}
	var first, mistakes []figure.Prediction
	for i := 0; i < t.test.Len() && len(mistakes) < drawnMistakes; i++ {
		p, err := t.predict(x, i)
		if err != nil {
			return nil, err
		}
		switch {
		case len(first) < drawnImages:
			first = append(first, p)
		case p.Answer != p.Class:
			mistakes = append(mistakes, p)
		}
	}
	return append(first, mistakes...), nil
}

// predict returns the network's answer to test image i. x is the network's input.
func (t *trained) predict(x *device.Tensor, i int) (p figure.Prediction, err error) {
	pixels := make([]byte, t.input.Len())
	label, err := t.test.Read(i, pixels)
	if err != nil {
		return p, &dataError{err}
	}
	if err := t.dev.Upload(x, device.Bytes(t.normalize(pixels))); err != nil {
		return p, err
	}
	logits := make([]float32, t.net.Classes())
	if err := t.dev.Download(device.Bytes(logits), t.net.Forward(x, nn.Inference)); err != nil {
		return p, err
	}
	best := slices.Index(logits, slices.Max(logits))
	sum := 0.0
	for _, z := range logits {
		sum += math.Exp(float64(z - logits[best]))
	}
	p.Image, err = figure.Pixels(pixels, t.input[0], t.input[1], t.input[2])
	p.Class, p.Answer, p.Probability = t.classes[label], t.classes[best], 1/sum
	return p, err
}

// activations returns the outputs of layers for one image: in a short network of all layers, in a long one of those that
// precede a change of shape. Dropout and flatten are left out, because they change no value.
//
// A network returns only its last output, so for each layer the network up to it is compiled, with the same weights.
func (t *trained) activations(x []float32) ([]figure.Activation, error) {
	layers := figure.Chain(t.cfg.Model)
	input, err := t.dev.NewTensor(device.Float32, append([]int{1}, t.input...)...)
	if err != nil {
		return nil, err
	}
	if err := t.dev.Upload(input, device.Bytes(x)); err != nil {
		return nil, err
	}
	var all []figure.Activation
	for n := range layers {
		if !shows(t.Kinds.Layers, layers, n) {
			continue
		}
		a, err := t.activation(layers[:n+1], input)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

// shows reports whether the output of layer n gets a line in the picture.
func shows(kinds []nn.LayerKind, layers []nn.Layer, n int) bool {
	const short = 12
	if n == len(layers)-1 {
		return true
	}
	kind := layers[n].Kind()
	if kind == "dropout" || kind == "flatten" {
		return false
	}
	return len(layers) <= short || !figure.KeepsShape(nn.FamilyOf(kinds, layers[n+1].Kind())) || layers[n+1].Kind() == "dropout"
}

// activation returns the output of the last of some layers, which are the network's first.
func (t *trained) activation(layers []nn.Layer, input *device.Tensor) (a figure.Activation, err error) {
	model := nn.NewSequential(layers...)
	if a.Shape, err = model.OutputShape(t.input); err != nil {
		return a, err
	}
	vector := nn.NewSequential(append(slices.Clone(layers), nn.Named("vector", nn.Flatten{}))...)
	net, err := nn.Compile(t.dev, vector, nn.Options{Input: t.input, Batch: 1, Sample: noise(t.input)})
	if err != nil {
		return a, err
	}
	weights := map[string]*device.Tensor{}
	for _, p := range t.net.Tensors() {
		weights[p.Name] = p.Value
	}
	for _, p := range net.Tensors() {
		t.dev.Copy(p.Value, weights[p.Name])
	}
	top := t.net.Layers()
	a.Name, a.Kind = layerName(top, len(layers)), layers[len(layers)-1].Kind()
	a.Values = make([]float32, a.Shape.Len())
	return a, t.dev.Download(device.Bytes(a.Values), net.Forward(input, nn.Inference))
}

// layerName returns the name of layer n, from 1, of the outermost chain.
func layerName(rows []nn.LayerInfo, n int) string {
	for _, r := range rows {
		if strings.Contains(r.Name, ".") {
			continue
		}
		if n--; n == 0 {
			return r.Name
		}
	}
	return ""
}
