package nn

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"trainer/nn/device"
)

// Builder allocates what layers need and keeps track of names, parameters, FLOPs and
// memory. A network is built once, for one device, one batch size and one purpose.
//
// Short-lived buffers are shared: the gradients in training, and the outputs in inference.
// Along a chain each layer reads one and writes the next, so that two buffers, used in
// turn, serve a chain of any length.
type Builder struct {
	dev    device.Device
	batch  int
	dtype  device.DType // of activations, of their gradients, and of the operands of products
	train  bool
	seed   uint64
	sample func(n int) (images []float32, shape Shape, err error)
	memo   *Memo
	step   *device.Tensor

	classCounts func() ([]int, error)
	scaling     *device.Tensor // state of the loss scaling, or nil
	scaled      bool           // the loss being built has asked for the loss scaling

	overBatch     bool // a layer normalises over the batch
	smallestBatch int  // that all layers can train with

	params []*Param // trained or frozen
	state  []*Param // running statistics
	rows   []LayerInfo

	sync     *synchronizer // nil unless statistics are those of all processes' batches
	freeze   *freeze       // nil if no layer is frozen
	upstream bool          // something before the layer that is being built is trained, or Options.InputGradient is set
	dropouts int           // dropout layers so far, each with its own stream
	restart  restart
	initial  initial
	previous BuiltLayer // the unit before the one that is being built, in the same chain; nil for the first
	path     []string   // names of the containers and the layer that are being built
	place    string     // where the layer was declared; "" if unknown
	building []int      // rows of the layers that are being built, innermost last
	memory   int64      // total bytes

	original *Network // whose parameters the network that is being built shares: see Network.ForInput; nil otherwise
	buffers  buffers

	pairs  []*pair // shared buffers: one pair for each level of branches
	level  int     // index of the pair that the current chain uses
	levels int     // number of pairs in use at this place in the network
}

// pair is two shared buffers that a chain uses in turn. Their sizes are known only when
// the whole network has been built; the claims are satisfied then.
type pair struct {
	turn    int
	largest [2]int // elements per example
	claims  [2][]claim
}

// claim is a request for a tensor in a shared buffer, with the place to store the tensor.
type claim struct {
	shape Shape
	dst   **device.Tensor
}

func newBuilder(dev device.Device, opt Options) *Builder {
	return &Builder{
		dev: dev, batch: opt.Batch, dtype: opt.DType.OrFloat32(), train: opt.Training, seed: opt.Seed, sample: opt.Sample, memo: opt.Memo,
		classCounts: opt.ClassCounts, smallestBatch: 1, upstream: opt.InputGradient,
		sync: newSynchronizer(opt), freeze: newFreeze(opt),
		pairs: []*pair{{}}, levels: 1,
	}
}

// Device returns the device that the network is built on.
func (b *Builder) Device() device.Device { return b.dev }

// Batch returns the largest batch.
func (b *Builder) Batch() int { return b.batch }

// DType returns the element type of activations and of their gradients.
func (b *Builder) DType() device.DType { return b.dtype }

// Training reports whether gradients are needed.
func (b *Builder) Training() bool { return b.train }

// Seed returns the run's seed. A network whose layers use it can't be restarted with another one.
func (b *Builder) Seed() uint64 {
	b.restart.usesSeed = true
	return b.seed
}

// Step returns the step counter, int32 [1] on the device.
func (b *Builder) Step() *device.Tensor { return b.step }

// ClassCounts returns the number of training examples in each class, for losses that weight classes by these counts.
func (b *Builder) ClassCounts() ([]int, error) {
	if b.classCounts == nil {
		return nil, errors.New("the network was compiled without nn.Options.ClassCounts, the number of training examples in each class")
	}
	return b.classCounts()
}

// LossScaling returns the state of the loss scaling (device.LossScalingSpec), or nil without loss scaling. A loss must
// multiply its gradient by the state's element device.ScalingScale, and calls LossScaling to get it.
func (b *Builder) LossScaling() *device.Tensor {
	b.scaled = true
	return b.scaling
}

// NormalizesOverBatch declares that in training the layer normalises each channel over the batch, of which an example has
// the given number of values: h*w, or 1 for a vector. One value has no variance: normalised it is 0, whatever it was, and
// its gradient is 0 too. So a channel needs two values, and NormalizesOverBatch returns an error if the batch has fewer.
func (b *Builder) NormalizesOverBatch(values int) error {
	if !b.train {
		return nil
	}
	b.overBatch = true
	if values > 1 {
		return nil
	}
	b.smallestBatch = 2
	if b.batch < b.smallestBatch {
		return fmt.Errorf("a batch of %d has one value per channel to normalise, needs 2 or more: use a larger batch, or group-norm or layer-norm", b.batch)
	}
	return nil
}

// DropoutStream returns a new random stream, for one dropout layer only.
func (b *Builder) DropoutStream() device.Stream {
	b.dropouts++
	return device.StreamDropout.Sub(b.dropouts - 1)
}

// Tensor allocates a tensor and counts its memory.
func (b *Builder) Tensor(dtype device.DType, shape ...int) (*device.Tensor, error) {
	t, err := b.dev.NewTensor(dtype, shape...)
	if err != nil {
		return nil, fmt.Errorf("allocating %v%v: %w", dtype, shape, err)
	}
	b.AddMemory(int64(t.Len()) * int64(dtype.Size()))
	return t, nil
}

// Constant allocates a float32 tensor that holds the values, such as class weights.
func (b *Builder) Constant(values []float32, shape ...int) (*device.Tensor, error) {
	t, err := b.Tensor(device.Float32, shape...)
	if err != nil {
		return nil, err
	}
	if err := b.dev.Upload(t, device.Bytes(values)); err != nil {
		return nil, fmt.Errorf("uploading float32%v: %w", shape, err)
	}
	return t, nil
}

// Output provides the buffer for a layer's output, [batch, shape...] of DType, and stores
// it in dst before the first Forward. In training each layer has its own output buffer,
// because later layers read their inputs again in the backward pass; in inference the
// buffer is shared, and holds the output until the layer after next writes its own.
func (b *Builder) Output(shape Shape, dst **device.Tensor) error {
	if !b.train {
		b.claim(shape, dst)
		return nil
	}
	t, err := b.take(&b.buffers.outputs, b.theirs().outputs, shape.batch(b.batch)...)
	if err != nil {
		return err
	}
	*dst = t
	return nil
}

// theirs returns the buffers of the network that this one shares its parameters with, if there is one.
func (b *Builder) theirs() buffers {
	if b.original == nil {
		return buffers{}
	}
	return b.original.buffers
}

// NeedsInputGradient reports whether the layer being built must compute the gradient with
// respect to its input: it must in training, if something before it is trained. Call it
// before adding the layer's own parameters.
func (b *Builder) NeedsInputGradient() bool { return b.train && b.upstream }

// InputGradient provides the buffer for the gradient with respect to the layer's input,
// [batch, in...] of DType, and stores it in dst before the first Backward; dst stays nil if
// NeedsInputGradient is false. The buffer is shared with later layers: it holds the gradient
// until the preceding layer has used it. A layer whose Backward works in place needs no such
// buffer.
func (b *Builder) InputGradient(in Shape, dst **device.Tensor) {
	if b.NeedsInputGradient() {
		b.claim(in, dst)
	}
}

// claim asks for a tensor in the other buffer of the current chain's pair.
func (b *Builder) claim(shape Shape, dst **device.Tensor) {
	p := b.pairs[b.level]
	p.turn ^= 1
	p.largest[p.turn] = max(p.largest[p.turn], shape.Len())
	p.claims[p.turn] = append(p.claims[p.turn], claim{shape, dst})
}

// openBranch gives the layers built next their own pair of buffers, because the pair in use
// holds data that another branch still needs. It returns the level to pass to resumeChain.
// closeBranch releases the pair, for branches elsewhere in the network.
func (b *Builder) openBranch() (chain int) {
	chain = b.level
	b.level = b.levels
	b.levels++
	if b.levels > len(b.pairs) {
		b.pairs = append(b.pairs, &pair{})
	}
	return chain
}

func (b *Builder) resumeChain(level int) { b.level = level }

func (b *Builder) closeBranch() { b.levels-- }

// allocateShared allocates the shared buffers and satisfies the claims.
func (b *Builder) allocateShared() error {
	for _, p := range b.pairs {
		for side, claims := range p.claims {
			if len(claims) == 0 {
				continue
			}
			buffer, err := b.take(&b.buffers.shared, b.theirs().shared, b.batch, p.largest[side])
			if err != nil {
				return err
			}
			for _, c := range claims {
				*c.dst = buffer.View(c.shape.batch(b.batch)...)
			}
		}
	}
	return nil
}

// ParamSpec describes a parameter that a layer asks for.
type ParamSpec struct {
	Name   string // within the layer, such as "weight"
	Role   Role
	Shape  []int
	Init   Initializer
	FanIn  int // inputs that one output sums over
	FanOut int // outputs that one input goes to
	Frozen bool

	// HasComputeCopy says that convolutions or matrix products read the parameter, as Param.ComputeCopy;
	// HasLowPrecisionGrad says that they also compute its gradient, as Param.LowPrecisionGrad.
	HasComputeCopy, HasLowPrecisionGrad bool
}

// Param allocates a parameter and gives it its initial value, which depends on the seed
// and on how many parameters came before.
func (b *Builder) Param(s ParamSpec) (*Param, error) {
	if b.original != nil {
		return b.sharedParam(s)
	}
	p := &Param{Name: b.qualify(s.Name), Role: s.Role}
	if b.frozen() {
		p.Thaws = b.freeze.thaws && !s.Frozen
		s.Frozen = s.Frozen || !p.Thaws
	}
	var err error
	if p.Value, err = b.Tensor(device.Float32, s.Shape...); err != nil {
		return nil, err
	}
	if b.train && !s.Frozen {
		if p.Grad, err = b.Tensor(device.Float32, s.Shape...); err != nil {
			return nil, err
		}
		b.upstream = true
		b.freeze.trains(p)
	}
	if err := b.operands(p, s); err != nil {
		return nil, err
	}
	c := InitContext{
		Shape: s.Shape, FanIn: s.FanIn, FanOut: s.FanOut,
		Stream: device.StreamInit.Sub(len(b.params)), Sample: b.sample, Memo: b.memo,
	}
	b.initialise(p, func(values []float32, seed uint64) error {
		c.Seed = seed
		return s.Init.Fill(values, c)
	})
	b.params = append(b.params, p)
	if r := b.row(); r != nil {
		r.Params += p.Value.Len()
	}
	return p, nil
}

// initialise gives a parameter or state its initial value, which fill writes to zeros, once the network is built and in
// Network.Restart.
func (b *Builder) initialise(p *Param, fill func(values []float32, seed uint64) error) {
	dev, value := b.dev, initialValue{name: p.Name, tensor: p.Value, fill: fill, seed: b.seed}
	b.restart.initial = append(b.restart.initial, func(seed uint64) error {
		again := value
		again.seed = seed
		again.compute()
		return again.upload(dev)
	})
	b.initial.begin(value, LayerError{Layer: strings.Join(b.path, "."), Place: b.place})
}

// sharedParam returns the parameter of the original network.
func (b *Builder) sharedParam(s ParamSpec) (*Param, error) {
	p, err := reuse(b.original.params, len(b.params), b.qualify(s.Name), s.Shape, b.original.opt.Input)
	if err != nil {
		return nil, err
	}
	if p.Grad != nil {
		b.upstream = true
		b.freeze.trains(p)
	}
	b.params = append(b.params, p)
	if r := b.row(); r != nil {
		r.Params += p.Value.Len()
	}
	return p, nil
}

// operands gives an operand of products its copies in the network's type.
func (b *Builder) operands(p *Param, s ParamSpec) (err error) {
	p.ComputeCopy, p.LowPrecisionGrad = p.Value, p.Grad
	if b.dtype == device.Float32 {
		return nil
	}
	if s.HasComputeCopy {
		if p.ComputeCopy, err = b.Tensor(b.dtype, s.Shape...); err != nil {
			return err
		}
	}
	if s.HasLowPrecisionGrad && p.Grad != nil {
		p.LowPrecisionGrad, err = b.Tensor(b.dtype, s.Shape...)
	}
	return err
}

// State allocates a tensor that is saved with the network but not trained, filled with
// one value, such as a running mean.
func (b *Builder) State(name string, fill float32, shape ...int) (*Param, error) {
	if b.original != nil {
		p, err := reuse(b.original.state, len(b.state), b.qualify(name), shape, b.original.opt.Input)
		b.state = append(b.state, p)
		return p, err
	}
	p := &Param{Name: b.qualify(name), Frozen: b.frozen() && !b.freeze.thaws, Thaws: b.frozen() && b.freeze.thaws}
	var err error
	if p.Value, err = b.Tensor(device.Float32, shape...); err != nil {
		return nil, err
	}
	b.initialise(p, func(values []float32, _ uint64) error {
		for i := range values {
			values[i] = fill
		}
		return nil
	})
	b.state = append(b.state, p)
	return p, nil
}

// AddFLOPs counts the floating-point operations of the layer's forward pass for one
// example: those of convolutions and matrix products, with a multiply and an add counted as
// two. As is usual, elementwise operations are not counted.
func (b *Builder) AddFLOPs(perExample int64) {
	if r := b.row(); r != nil {
		r.FLOPs += perExample
	}
}

// AddMemory counts bytes that the layer owns outside Tensor, such as a plan's workspace.
func (b *Builder) AddMemory(bytes int64) {
	b.memory += bytes
	if r := b.row(); r != nil {
		r.Memory += bytes
	}
}

// qualify prefixes a name with the names of the containers and of the layer.
func (b *Builder) qualify(name string) string {
	return strings.Join(append(slices.Clone(b.path), name), ".")
}

// enter begins a layer of a container, with a row in the table, whose index it returns.
func (b *Builder) enter(name, kind string) (row int) {
	b.rows = append(b.rows, LayerInfo{Name: b.qualify(name), Kind: kind})
	b.path = append(b.path, name)
	row = len(b.rows) - 1
	b.building = append(b.building, row)
	b.freeze.enter(b.rows[row].Name)
	return row
}

// leave ends the layer that enter began.
func (b *Builder) leave() {
	b.path = b.path[:len(b.path)-1]
	b.building = b.building[:len(b.building)-1]
	b.freeze.leave()
}

// row returns the row of the layer that is being built, or nil outside any.
func (b *Builder) row() *LayerInfo {
	if len(b.building) == 0 {
		return nil
	}
	return &b.rows[b.building[len(b.building)-1]]
}
