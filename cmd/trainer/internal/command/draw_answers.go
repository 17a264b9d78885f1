package command

import (
	"path/filepath"
	"slices"
	"strings"

	"trainer/cmd/trainer/internal/figure"
	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/metric"
)

// What a run's network makes of test images, for trainer draw run: predictions and feature maps.

// The numbers of predictions that are drawn: of images from everywhere in the test set, and of the worst mistakes among all.
const (
	drawnImages   = 16
	drawnMistakes = 16
)

// predictionsTitle is what predictions has.
const predictionsTitle = "some test images, and the worst mistakes"

// predictions returns the answers to images of a set, evenly spaced because folders are sorted by class, and the worst
// mistakes among the others. classes are the names as figures show them.
func predictions(set data.Set, classes []string, answers []metric.Answer) ([]figure.Prediction, error) {
	var shown []metric.Answer
	for i := range min(drawnImages, len(answers)) {
		shown = append(shown, answers[i*len(answers)/min(drawnImages, len(answers))])
	}
	mistakes := slices.DeleteFunc(slices.Clone(answers), func(a metric.Answer) bool {
		return a.Correct() || slices.ContainsFunc(shown, func(s metric.Answer) bool { return s.Image == a.Image })
	})
	metric.WorstFirst(mistakes)
	shown = append(shown, mistakes[:min(drawnMistakes, len(mistakes))]...)
	h, w, c := set.ImageShape()
	pixels := make([]byte, h*w*c)
	var all []figure.Prediction
	for _, a := range shown {
		if _, err := set.Read(a.Image, pixels); err != nil {
			return nil, &dataError{err}
		}
		im, err := figure.Pixels(pixels, h, w, c)
		if err != nil {
			return nil, err
		}
		all = append(all, figure.Prediction{
			Image: im, Class: classes[a.Label], Answer: classes[a.Class], Probability: a.Probability, File: filepath.Base(imagePath(set, a.Image)),
		})
	}
	return all, nil
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
