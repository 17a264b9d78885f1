package inspect

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"trainer/nn"
	"trainer/nn/device"
	"trainer/nn/explain"
	"trainer/nn/model"
	"trainer/nn/recipe"
)

// Options says what New opens a network with.
type Options struct {
	Input nn.Shape // [h w c] of a picture
	// Mean and Std, one value per channel, normalise pixels p in 0 to 255: x = (p/255 - mean) / std. nil means 0 and 1.
	Mean, Std []float32
	Loss      nn.Loss // nil means nn.CrossEntropy{}
	Seed      uint64  // of the initial weights
	// Sample is as in nn.Options; without it, initialisers that look at data get random images.
	Sample func(n int) (images []float32, shape nn.Shape, err error)
	// ClassCounts is as in nn.Options; without it, all classes count equally.
	ClassCounts func() ([]int, error)
	// Temperature divides the network's outputs in Pass.Answer; 0 means 1.
	Temperature float64
	// OwnsDevice makes Close close the device, too. Otherwise the garbage collector frees what the session held there.
	OwnsDevice bool
}

// Session is a network that is being looked at, with weights of its own. It computes in float32; on a device that rounds the
// operands of products further (device.TF32), the tolerances of explanations are too small.
type Session struct {
	mu     sync.Mutex // guards everything below
	closed bool

	dev     device.Device
	opt     Options
	classes int
	net     *nn.Network
	seed    *seed
	places  []*place
	loss    *explain.Loss // nil if the loss doesn't describe itself
	summed  bool
	tensors map[string]*tensor
	names   []string // of tensors, in the network's order

	normalize device.Augment
	softmax   device.Softmax
	bytes     *device.Tensor // uint8 [1 h w c]
	x         *device.Tensor // float32 [1 h w c]
	label     *device.Tensor // int32 [1]
	answer    *device.Tensor // float32 [1 classes], the softmax
	memory    int64          // bytes of these tensors

	pass      *Pass      // the last Forward, or nil
	gradients *Gradients // the last Backward since, or nil

	rule    *rule       // the optimiser of the last Step, or nil
	history []snapshot  // what Undo restores, the last one last
	initial [][]float32 // the trained parameters before the first step; nil without steps
	steps   int
	last    int // label of the last Backward
}

// tensor is a parameter or a running statistic of the network.
type tensor struct {
	*nn.Param
	place  int
	values []float32 // a copy on the host; nil if it is out of date
}

// New opens a network with its initial weights. The error for a network that doesn't fit the input is an *nn.LayerError.
func New(dev device.Device, network nn.Layer, opt Options) (*Session, error) {
	if opt.Loss == nil {
		opt.Loss = nn.CrossEntropy{}
	}
	if err := opt.complete(); err != nil {
		return nil, err
	}
	if _, err := sequence(network).OutputShape(opt.Input); err != nil {
		return nil, err
	}
	s := &Session{dev: dev, opt: opt, seed: &seed{}, summed: opt.Loss.Summed()}
	if err := s.build(network); err != nil {
		return nil, fmt.Errorf("inspect: %w", err)
	}
	return s, nil
}

// complete fills defaults in and returns an error if something is invalid.
func (o *Options) complete() error {
	if len(o.Input) != 3 {
		return argument("the input is %v, want height, width and channels", o.Input)
	}
	channels := o.Input[2]
	if o.Mean == nil && o.Std == nil {
		o.Mean, o.Std = make([]float32, channels), slices.Repeat([]float32{1}, channels)
	}
	if len(o.Mean) != channels || len(o.Std) != channels {
		return argument("%d means and %d standard deviations for pictures of %d channels", len(o.Mean), len(o.Std), channels)
	}
	if o.Sample == nil {
		o.Sample = func(int) ([]float32, nn.Shape, error) { return noise(o.Input, 8, o.Seed), o.Input, nil }
	}
	return nil
}

// noise returns n images of normally distributed values.
func noise(shape nn.Shape, n int, seed uint64) []float32 {
	x := make([]float32, n*shape.Len())
	nn.InitContext{Stream: device.StreamInit, Seed: seed}.Normal(x, 1)
	return x
}

func (s *Session) build(network nn.Layer) error {
	whole, places, err := instrument(network, s.opt.Input)
	if err != nil {
		return err
	}
	s.places = places
	s.classes = places[len(places)-2].Shape.Len()
	classes := s.classes
	if s.opt.ClassCounts == nil {
		s.opt.ClassCounts = func() ([]int, error) { return slices.Repeat([]int{1}, classes), nil }
	}
	if s.net, err = nn.Compile(s.dev, whole, nn.Options{
		Input: s.opt.Input, Batch: 1, Training: true, InputGradient: true, Seed: s.opt.Seed,
		Loss: seeded{s.opt.Loss, s.seed}, Sample: s.opt.Sample, ClassCounts: s.opt.ClassCounts,
	}); err != nil {
		return err
	}
	if err := s.explainLoss(classes); err != nil {
		return err
	}
	s.findTensors()
	return s.buffers(classes)
}

// explainLoss gets the loss's rule.
func (s *Session) explainLoss(classes int) error {
	l, ok := s.opt.Loss.(nn.ExplainedLoss)
	if !ok {
		return nil
	}
	counts, err := s.opt.ClassCounts()
	if err != nil {
		return err
	}
	rule, err := l.Explain(classes, counts)
	if err != nil {
		return err
	}
	s.loss = &rule
	s.places[len(s.places)-1].Formula = rule.Says()
	return nil
}

// findTensors gives each parameter and statistic its place.
func (s *Session) findTensors() {
	s.tensors = map[string]*tensor{}
	for _, p := range s.net.Tensors() {
		t := &tensor{Param: p}
		longest := -1
		for k, place := range s.places {
			if place.probe != nil && len(place.Name) > longest && strings.HasPrefix(p.Name, place.Name+".") {
				t.place, longest = k, len(place.Name)
			}
		}
		s.tensors[p.Name] = t
		s.names = append(s.names, p.Name)
		owner := s.places[t.place]
		owner.Tensors = append(owner.Tensors, Tensor{Name: p.Name, Shape: slices.Clone(p.Value.Shape()), Trained: p.Grad != nil})
	}
}

// buffers allocates what the passes need outside the network.
func (s *Session) buffers(classes int) (err error) {
	h, w, c := s.opt.Input[0], s.opt.Input[1], s.opt.Input[2]
	if s.normalize, err = s.dev.NewAugment(device.AugmentSpec{N: 1, H: h, W: w, C: c, Mean: s.opt.Mean, Std: s.opt.Std}); err != nil {
		return err
	}
	if s.softmax, err = s.dev.NewSoftmax(device.SoftmaxSpec{N: 1, Classes: classes}); err != nil {
		return err
	}
	for _, t := range []struct {
		into  **device.Tensor
		dtype device.DType
		shape []int
	}{
		{&s.bytes, device.Uint8, []int{1, h, w, c}}, {&s.x, device.Float32, []int{1, h, w, c}},
		{&s.label, device.Int32, []int{1}}, {&s.answer, device.Float32, []int{1, classes}},
	} {
		if *t.into, err = s.dev.NewTensor(t.dtype, t.shape...); err != nil {
			return err
		}
		s.memory += int64((*t.into).Len() * t.dtype.Size())
	}
	return nil
}

// Open opens a model file or a run's folder with the trained weights: see Of, and model.Open for options and errors.
func Open(path string, dev device.Device, kinds recipe.Kinds, opts ...model.Option) (*Session, error) {
	m, err := model.Open(path, dev, append([]model.Option{model.WithBatch(1), model.WithKinds(kinds)}, opts...)...)
	if err != nil {
		return nil, err
	}
	return Of(m, dev, kinds)
}

// Of opens a model on a device with a copy of its weights. The loss is the recipe's, or nn.CrossEntropy{} if the model has no
// recipe. kinds are those that the recipe may name, as in model.WithKinds.
func Of(m *model.Model, dev device.Device, kinds recipe.Kinds) (*Session, error) {
	info := m.Info()
	if m.Layers() == nil {
		return nil, errors.New("inspect: the model was not opened from a file: use New and CopyWeights")
	}
	opt := Options{
		Input: nn.Shape{info.Images.Height, info.Images.Width, info.Images.Channels},
		Mean:  info.Images.Mean, Std: info.Images.Std, Temperature: info.Temperature,
	}
	r, err := info.ReadRecipe(kinds)
	if err != nil {
		return nil, err
	}
	if r != nil {
		opt.Loss = r.Loss
	}
	s, err := New(dev, m.Layers(), opt)
	if err != nil {
		return nil, err
	}
	return s, s.CopyWeights(m.Network())
}

// CopyWeights replaces the session's weights and running statistics by those of a network of the same layers, such as one
// that is being trained at present. Passes and steps made before are forgotten. Nothing else may use the network meanwhile.
func (s *Session) CopyWeights(net *nn.Network) error {
	defer s.lock()()
	if s.closed {
		return ErrClosed
	}
	from := map[string]*nn.Param{}
	for _, p := range net.Tensors() {
		from[p.Name] = p
	}
	for _, name := range s.names {
		p, t := from[name], s.tensors[name]
		if p == nil || !slices.Equal(p.Value.Shape(), t.Value.Shape()) {
			return argument("the other network has no %s of the shape %v: it has other layers", name, t.Value.Shape())
		}
	}
	for _, name := range s.names {
		values, err := download(net.Device(), from[name].Value)
		if err != nil {
			return err
		}
		if err := s.upload(name, values); err != nil {
			return err
		}
	}
	s.pass, s.gradients = nil, nil
	s.forgetSteps()
	return nil
}

// upload sets a tensor to the values, of which it keeps no reference.
func (s *Session) upload(name string, values []float32) error {
	t := s.tensors[name]
	t.values = nil
	if err := s.dev.Upload(t.Value, device.Bytes(values)); err != nil {
		return fmt.Errorf("inspect: %s: %w", name, err)
	}
	return nil
}

// weights returns the values of a tensor, which the caller must not change.
func (s *Session) weights(name string) ([]float32, error) {
	t := s.tensors[name]
	if t.values == nil {
		values, err := download(s.dev, t.Value)
		if err != nil {
			return nil, err
		}
		t.values = values
	}
	return t.values, nil
}

// lock locks the session and returns the function that unlocks it.
func (s *Session) lock() (unlock func()) {
	s.mu.Lock()
	return s.mu.Unlock
}

// Places returns all places, in the order in which they are computed. Place 0 is the input. The caller must not change them.
func (s *Session) Places() []Place {
	all := make([]Place, len(s.places))
	for k, p := range s.places {
		all[k] = p.Place
	}
	return all
}

// Classes returns the number of the network's outputs.
func (s *Session) Classes() int { return s.classes }

// Input returns the shape of a picture.
func (s *Session) Input() nn.Shape { return s.opt.Input }

// Weights returns the values of a parameter or a running statistic, such as "conv1.weight".
func (s *Session) Weights(name string) ([]float32, error) {
	defer s.lock()()
	if s.closed {
		return nil, ErrClosed
	}
	if s.tensors[name] == nil {
		return nil, s.unknownTensor(name)
	}
	values, err := s.weights(name)
	return slices.Clone(values), err
}

func (s *Session) unknownTensor(name string) error {
	return argument("there is no tensor %q (the network has %s)", name, strings.Join(s.names, ", "))
}

// Memory says how many bytes a session holds.
type Memory struct {
	Device int64 `json:"device"` // on the device: weights, values, gradients, and the optimiser's state
	Host   int64 `json:"host"`   // copies of values, gradients and weights, and what Undo needs
}

// Memory returns what the session holds now. On the CPU both parts are main memory.
func (s *Session) Memory() Memory {
	defer s.lock()()
	if s.closed {
		return Memory{}
	}
	m := Memory{Device: s.net.Memory() + s.memory, Host: s.historyBytes()}
	for _, p := range s.places {
		if p.probe != nil && p.probe.seed != nil {
			m.Device += 4 * int64(p.probe.seed.Len())
		}
	}
	if s.rule != nil {
		m.Device += s.rule.opt.Memory()
	}
	for _, t := range s.tensors {
		m.Host += 4 * int64(len(t.values))
	}
	count := func(all [][]float32) {
		for _, v := range all {
			m.Host += 4 * int64(len(v))
		}
	}
	count(s.initial)
	if s.pass != nil {
		count(s.pass.Values)
	}
	if s.gradients != nil {
		count(s.gradients.Values)
		for _, v := range s.gradients.Weights {
			m.Host += 4 * int64(len(v))
		}
	}
	return m
}

// Close frees everything. The session can't be used afterwards: its methods return ErrClosed.
func (s *Session) Close() error {
	defer s.lock()()
	if s.closed {
		return nil
	}
	s.closed = true
	s.pass, s.gradients, s.tensors, s.names = nil, nil, nil, nil
	s.forgetSteps()
	s.net, s.seed, s.loss = nil, nil, nil
	s.bytes, s.x, s.label, s.answer, s.normalize, s.softmax = nil, nil, nil, nil, nil, nil
	for _, p := range s.places {
		p.probe = nil
	}
	if s.opt.OwnsDevice {
		return s.dev.Close()
	}
	return nil
}

// ArgumentError reports an argument that doesn't fit the network or the session: what it is and what it should be.
type ArgumentError struct{ Problem string }

func (e *ArgumentError) Error() string { return "inspect: " + e.Problem }

// argument returns an *ArgumentError.
func argument(format string, args ...any) error { return &ArgumentError{fmt.Sprintf(format, args...)} }

// The errors of methods that are called too early or too late.
var (
	ErrClosed     = errors.New("inspect: the session is closed")
	ErrNoForward  = errors.New("inspect: there is no picture yet: call Forward first")
	ErrNoBackward = errors.New("inspect: there are no gradients yet: call Backward first")
	ErrNoStep     = errors.New("inspect: there is no step to undo")
)
