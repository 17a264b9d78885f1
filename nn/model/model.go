package model

import (
	"errors"
	"fmt"
	"sync"

	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/graph"
	"trainer/nn/recipe"
	"trainer/nn/train"
)

// Model is a trained network that answers pictures. Its methods may be called from several goroutines.
type Model struct {
	info      Info
	layers    nn.Layer // nil if New made the model
	views     []train.TTAView
	net       *nn.Network
	predictor *train.Predictor

	mu     sync.Mutex // guards the network, which has one set of buffers
	logits []float32
}

// Option changes how Open and New set up a model.
type Option func(*options)

type options struct {
	kinds   recipe.Kinds
	batch   int
	network nn.Layer
	views   bool
	dtype   device.DType
}

// WithKinds gives the kinds of layers that the model's recipe may name; the default is recipe.BuiltIn().
func WithKinds(k recipe.Kinds) Option { return func(o *options) { o.kinds = k } }

// WithBatch sets the number of images that the network takes at once; the default, which 0 stands for, is DefaultBatch.
// Larger batches need more memory and are faster, up to a point.
func WithBatch(n int) Option { return func(o *options) { o.batch = n } }

// WithNetwork gives the network of a model that has no recipe.
func WithNetwork(model nn.Layer) Option { return func(o *options) { o.network = model } }

// WithViews averages the network's outputs over the views that the recipe evaluates with (test-time augmentation).
func WithViews() Option { return func(o *options) { o.views = true } }

// WithDType sets the type of the network's activations: see nn.Options.
func WithDType(d device.DType) Option { return func(o *options) { o.dtype = d } }

// DefaultBatch returns the number of images that a network takes at once unless WithBatch says otherwise: 64, or 256 small
// ones of at most 32x32 pixels, for which the work between two layers would otherwise take a good part of the time.
func DefaultBatch(h, w int) int {
	if h*w <= 32*32 {
		return 256
	}
	return 64
}

func newOptions(opts []Option) *options {
	o := &options{kinds: recipe.BuiltIn()}
	for _, opt := range opts {
		opt(o)
	}
	return o
}

// Open reads a model, a file or a run's folder, and puts its network on a device. The error for a damaged file is
// train.ErrDamaged, for a file that holds no model an *Error, such as ErrNoModel for another program's file, and for
// weights of another network a *train.MismatchError.
func Open(path string, dev device.Device, opts ...Option) (*Model, error) {
	o := newOptions(opts)
	file, err := Locate(path)
	if err != nil {
		return nil, err
	}
	info, err := ReadInfo(path, o.kinds)
	if err != nil {
		return nil, err
	}
	network, recipeViews, err := o.build(file, info)
	if err != nil {
		return nil, err
	}
	if o.batch == 0 {
		o.batch = DefaultBatch(info.Images.Height, info.Images.Width)
	}
	net, err := nn.Compile(dev, network, nn.Options{
		Input: info.Images.shape(), Batch: o.batch, DType: o.dtype, Sample: anySample(info.Images.shape()),
	})
	if err != nil {
		return nil, &Error{file, err}
	}
	if err := loadWeights(file, network, net); err != nil {
		return nil, err
	}
	m, err := newModel(net, *info, o.viewsOf(recipeViews))
	if err != nil {
		return nil, err
	}
	m.layers, m.views = network, recipeViews
	return m, nil
}

// viewsOf returns the views to average over, of those that the recipe has.
func (o *options) viewsOf(views []train.TTAView) []train.TTAView {
	if !o.views {
		return nil
	}
	return views
}

// build returns the network that a model's recipe describes, and the views that it has.
func (o *options) build(file string, info *Info) (nn.Layer, []train.TTAView, error) {
	if info.Recipe == "" {
		if o.network == nil {
			return nil, nil, errorf(file, "it has no recipe, because its network was written in Go: open it with WithNetwork")
		}
		return o.network, nil, nil
	}
	r, err := o.kinds.Parse("recipe of "+file, []byte(info.Recipe))
	if mistakes, ok := errors.AsType[recipe.Errors](err); ok {
		return nil, nil, mistakes[0] // the others follow from a damaged text or an unknown kind too
	}
	if err != nil {
		return nil, nil, err
	}
	network := o.network
	if network == nil {
		network = r.Model(len(info.Classes))
	}
	return network, r.Views, nil
}

// New returns a model of a network that is in memory, such as train.Result.Network after a training. The network's batch
// is the largest number of images that it takes at once, and WithBatch and WithNetwork are ignored. The model uses the
// network's buffers: the caller must not use the network at the same time.
func New(net *nn.Network, info Info, opts ...Option) (*Model, error) {
	o := newOptions(opts)
	if err := info.check(); err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	if info.Recipe == "" {
		return newModel(net, info, nil)
	}
	r, err := o.kinds.Parse("model", []byte(info.Recipe))
	if err != nil {
		return nil, err
	}
	m, err := newModel(net, info, o.viewsOf(r.Views))
	if err != nil {
		return nil, err
	}
	m.views = r.Views
	return m, nil
}

// FromResult returns a model of the network that a training returned. prepare says how its pictures were made into images,
// and classes names the network's outputs.
func FromResult(r *train.Result, prepare data.Preparation, classes []string, opts ...Option) (*Model, error) {
	return New(r.Network, Info{Classes: classes, Images: ImagesOf(prepare, r.Mean, r.Std)}, opts...)
}

func newModel(net *nn.Network, info Info, views []train.TTAView) (*Model, error) {
	if n := net.Classes(); n != len(info.Classes) {
		return nil, fmt.Errorf("model: %d classes for a network of %d outputs", len(info.Classes), n)
	}
	p, err := train.NewPredictor(net, info.Images.Mean, info.Images.Std, views)
	if err != nil {
		return nil, err
	}
	return &Model{info: info, net: net, predictor: p, logits: make([]float32, net.Batch()*net.Classes())}, nil
}

// anySample gives the initialisers that look at data something to look at. The weights replace what they compute.
func anySample(input nn.Shape) func(n int) ([]float32, nn.Shape, error) {
	return func(int) ([]float32, nn.Shape, error) {
		const images = 8
		x := make([]float32, images*input.Len())
		nn.InitContext{Stream: device.StreamInit}.Normal(x, 1)
		return x, input, nil
	}
}

// Info returns the model's description.
func (m *Model) Info() Info { return m.info }

// Views returns the views that the model's recipe averages the test over, also without WithViews.
func (m *Model) Views() []train.TTAView { return m.views }

// Graph describes what the network computes: see nn.GraphOf. A model of New has no description.
func (m *Model) Graph() (*graph.Graph, error) {
	if m.layers == nil {
		return nil, errors.New("the model was not opened from a file")
	}
	return nn.GraphOf(m.layers, m.info.Images.shape())
}

// Layers returns the network's layers, or nil for a model of New.
func (m *Model) Layers() nn.Layer { return m.layers }

// Tensor returns the values of a parameter or a running statistic.
func (m *Model) Tensor(name string) ([]float32, error) {
	for _, p := range m.net.Tensors() {
		if p.Name == name {
			m.mu.Lock()
			defer m.mu.Unlock()
			values := make([]float32, p.Value.Len())
			return values, m.net.Device().Download(device.Bytes(values), p.Value)
		}
	}
	return nil, fmt.Errorf("the model has no tensor %s", name)
}

// Network returns the network, which the model uses while a method runs.
func (m *Model) Network() *nn.Network { return m.net }
