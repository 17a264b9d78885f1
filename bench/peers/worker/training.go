package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"trainer/bench"
	"trainer/cpu"
	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/recipe"
	"trainer/nn/train"
)

const (
	// batches of synthetic images that a training goes round. All programs have as many.
	batches = 2
	// checkSteps is the number of steps whose losses -check tells.
	checkSteps = 4
)

// settings change how a network is trained.
type settings struct {
	batch int     // 0: the network's own
	lr    float64 // 0: the network's own
	check string  // file for the initial weights; "": no check
}

// training trains a network on synthetic images: its loader, its whole step and nothing more.
type training struct {
	*bench.Training
	batch  int
	losses []float64
}

// newTraining builds the network that a file of the folder describes, and runs the first
// steps.
func newTraining(d *cpu.Device, folder, name string, s settings) (*training, error) {
	r, err := load(folder, name, s)
	if err != nil {
		return nil, err
	}
	channels := 3
	if r.Grayscale {
		channels = 1
	}
	set := bench.SyntheticImages(batches*r.Batch, r.ImageSize.H, r.ImageSize.W, channels)
	cfg := r.TrainConfig(d, &data.Split{Name: set.Name, Train: set}, 1)
	if s.check != "" {
		cfg.Model = withoutDropout(r.Model(len(set.ClassNames)))
	}
	t := &training{batch: r.Batch}
	if t.Training, err = bench.NewTraining(cfg, data.LoaderConfig{Set: set, Batch: r.Batch}); err != nil {
		return nil, err
	}
	if err := t.begin(s.check); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

// load reads the recipe of a network.
func load(folder, name string, s settings) (*recipe.Recipe, error) {
	var changes []string
	if s.batch != 0 {
		changes = append(changes, fmt.Sprint("batch=", s.batch))
	}
	if s.lr != 0 {
		changes = append(changes, fmt.Sprint("optimizer.lr=", s.lr))
	}
	r, err := recipe.LoadWith(filepath.Join(folder, name+".toml"), changes)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("no network %q: %s has no %s.toml", name, folder, name)
	}
	if err == nil && (r.ImageSize.H == 0 || r.ImageSize.W == 0) {
		err = fmt.Errorf("network %s: image-size is missing", name)
	}
	return r, err
}

// withoutDropout returns the layers with dropout that drops nothing, so that the losses do
// not depend on random numbers.
func withoutDropout(model *nn.Sequential) *nn.Sequential {
	chain := &nn.Sequential{}
	for _, l := range model.Layers {
		if _, ok := l.(nn.Dropout); ok {
			l = nn.Dropout{}
		}
		chain.Layers = append(chain.Layers, l)
	}
	return chain
}

// begin runs a step, which touches all memory. With a file to check against it writes the
// initial weights to it, and keeps the mean losses of the first steps.
func (t *training) begin(check string) error {
	if check == "" {
		return t.Step()
	}
	if err := train.SaveWeights(check, t.Network(), nil); err != nil {
		return err
	}
	for range checkSteps {
		if err := t.Step(); err != nil {
			return err
		}
		loss, _, count, err := t.Collect()
		if err != nil {
			return err
		}
		t.losses = append(t.losses, loss/float64(count))
	}
	return nil
}

// measure answers with the speed of training steps. A step before the clock starts brings
// the caches back.
func (t *training) measure(args string) (any, error) {
	d, err := parseSeconds(args)
	if err != nil {
		return nil, err
	}
	if err := t.Step(); err != nil {
		return nil, err
	}
	steps, took, err := repeat(d, t.Step)
	if err != nil {
		return nil, err
	}
	return speed{float64(steps*t.batch) / took.Seconds(), steps, took.Seconds()}, nil
}

// speed is how fast images were trained on.
type speed struct {
	Images  float64 `json:"images_per_second"`
	Steps   int     `json:"steps"`
	Seconds float64 `json:"seconds"`
}

// ready describes the network.
func (t *training) ready(i info) ready {
	net := t.Network()
	return ready{
		info: i, Batch: t.batch, Parameters: trained(net), FLOPsPerImage: stepFLOPs(net),
		Output: []int{t.batch, net.Classes()}, Losses: t.losses,
	}
}

// trained returns the number of weights that training changes.
func trained(net *nn.Network) int {
	n := 0
	for _, p := range net.Params() {
		if p.Grad != nil {
			n += p.Value.Len()
		}
	}
	return n
}

// stepFLOPs returns the floating-point operations of a training step for one image: for
// each convolution and dense layer those of the forward pass, as many again for the
// gradient of its weights where they are trained, and as many for that of its input where
// something before it is trained.
func stepFLOPs(net *nn.Network) int64 {
	params := map[string]*nn.Param{}
	for _, p := range net.Params() {
		params[p.Name] = p
	}
	var total int64
	before := false
	for _, row := range net.Rows() {
		weight, bias := params[row.Name+".weight"], params[row.Name+".bias"]
		products := int64(1)
		if weight != nil && weight.Grad != nil {
			products++
		}
		if before {
			products++
		}
		total += products * row.FLOPs
		for _, p := range []*nn.Param{weight, bias} {
			before = before || p != nil && p.Grad != nil
		}
	}
	return total
}
