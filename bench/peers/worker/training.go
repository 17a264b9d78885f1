package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"trainer/bench"
	"trainer/cpu"
	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/recipe"
	"trainer/nn/train"
)

const (
	// batches is the number of batches of synthetic images. All programs have as many.
	batches = 2
	// checkSteps is the number of steps whose losses -check reports.
	checkSteps = 4
	// inFlight is the approximate time that a GPU computes until the host waits for it, so that it doesn't run far ahead.
	inFlight = 50 * time.Millisecond
)

// settings change how a network is trained.
type settings struct {
	batch int     // 0: the network's
	lr    float64 // 0: the network's
	check string  // file for the initial weights; "": no check

	autotune bool // time cuDNN's convolution algorithms first
}

// training trains a network on synthetic images: only its loader and its whole step.
type training struct {
	*bench.Training
	batch  int
	losses []float64
	chunk  int // steps between two waits for the device; 0: not known yet
}

// newTraining builds the network that a file of the folder describes, or without a folder a built-in recipe, and
// runs the first steps.
func newTraining(d device.Device, folder, name string, s settings) (*training, error) {
	r, err := load(folder, name, s)
	if err != nil {
		return nil, err
	}
	shape := r.ImageShape()
	set := bench.SyntheticImages(batches*r.Batch, shape[0], shape[1], shape[2])
	if len(r.Data) > 0 {
		set.Name = r.Data[0] // whose mean and standard deviation the recipe has
	}
	cfg := r.TrainConfig(d, &data.Dataset{Name: set.Name, Train: set}, 1)
	cfg.DType = device.PrecisionOf(d).DType()
	cfg.Epochs = 1e6
	if s.check != "" {
		cfg.Augment = train.Augment{Mean: cfg.Augment.Mean, Std: cfg.Augment.Std}
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

// load reads the recipe of a network, from a folder or the built-in ones.
func load(folder, name string, s settings) (*recipe.Recipe, error) {
	var changes []string
	if s.batch != 0 {
		changes = append(changes, fmt.Sprint("batch=", s.batch))
	}
	if s.lr != 0 {
		changes = append(changes, fmt.Sprint("optimizer.lr=", s.lr))
	}
	if folder == "" {
		return recipe.LoadWith(name, changes)
	}
	r, err := recipe.LoadWith(filepath.Join(folder, name+".toml"), changes)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("no network %q: %s has no %s.toml", name, folder, name)
	}
	if err == nil && (r.Pictures.Size.H == 0 || r.Pictures.Size.W == 0) {
		err = fmt.Errorf("network %s: image-size is missing", name)
	}
	return r, err
}

// withoutDropout returns the layers with dropout at rate 0. As without augmentation, losses then do not depend on random
// numbers.
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

// begin runs a step, which touches all memory. With -check it writes the initial weights to the file, and keeps the mean
// losses of the first steps.
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

// measure answers with the speed of training steps. One unmeasured step refills the caches.
func (t *training) measure(args string) (any, error) {
	d, err := parseSeconds(args)
	if err != nil {
		return nil, err
	}
	if t.chunk == 0 {
		if err := t.calibrate(); err != nil {
			return nil, err
		}
	}
	if err := t.steps(1); err != nil {
		return nil, err
	}
	chunks, took, err := repeat(d, func() error { return t.steps(t.chunk) })
	if err != nil {
		return nil, err
	}
	steps := chunks * t.chunk
	return speed{float64(steps*t.batch) / took.Seconds(), steps, took.Seconds()}, nil
}

// steps trains a number of steps, and waits for them.
func (t *training) steps(n int) error {
	for range n {
		if err := t.Step(); err != nil {
			return err
		}
	}
	return t.Network().Device().Sync()
}

// calibrate finds how many steps take about inFlight. On the CPU, a step is done when it returns, so the number is 1.
func (t *training) calibrate() error {
	t.chunk = 1
	if _, ok := t.Network().Device().(*cpu.Device); ok {
		return nil
	}
	for t.chunk < 1<<16 {
		start := time.Now()
		if err := t.steps(t.chunk); err != nil {
			return err
		}
		if time.Since(start) >= inFlight/2 {
			return nil
		}
		t.chunk *= 2
	}
	return nil
}

// speed is the speed of training.
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

// stepFLOPs returns the floating-point operations of a training step for one image: for each convolution and dense layer
// those of the forward pass, as many for the gradient with respect to the weights if they are trained, and as many for
// the gradient with respect to the input if an earlier layer is trained.
func stepFLOPs(net *nn.Network) int64 {
	params := map[string]*nn.Param{}
	for _, p := range net.Params() {
		params[p.Name] = p
	}
	var total int64
	before := false
	for _, row := range net.Layers() {
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
