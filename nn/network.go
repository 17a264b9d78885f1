package nn

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"trainer/nn/device"
)

// Options says what a network is compiled for.
type Options struct {
	Input    Shape // of one example, [h w c]
	Batch    int   // largest batch
	Training bool  // with gradients
	Seed     uint64
	Loss     Loss // needed for training
	// SoftTargets lets Loss and Backward take soft targets as well as labels: float32 [n, classes], one row of
	// probabilities per example.
	SoftTargets bool
	// ExampleWeights lets LossWeighted and BackwardWeighted take weights.
	ExampleWeights bool
	// DType is the type of activations and of the operands of convolutions and matrix products: Float32 (or 0); or, if
	// the device is a device.MixedPrecision, Float16 or BFloat16.
	DType device.DType
	// Accumulate lets several batches share one update: their gradients are summed in Param.GradSum. See BeginBatch and
	// BeginUpdate.
	Accumulate bool
	// Shards is the number of parts of each batch that this process computes one after the other; their gradients are
	// summed in Param.GradSum. Batch is then the size of the largest part. 0: a batch is not split. See BeginShard.
	Shards int
	// Sync makes BatchNorm normalise by the statistics of the batches of all processes, each of which computes one shard: see
	// SetParts. nil: by those of the shard.
	Sync device.Collective
	// Freeze holds patterns of the names of layers whose parameters and running statistics training doesn't change (see
	// path.Match); a layer is frozen with the container that it is in. A pattern that matches nothing is a *FreezeError.
	// Frozen layers that begin the network have no backward pass. With Thaws, Network.SetFrozen ends the freeze.
	Freeze []string
	Thaws  bool
	// InputGradient lets the backward pass go on to the network's input, although nothing before the first layer is trained.
	// The gradient is what the first layer's Backward returns.
	InputGradient bool
	// Sample returns n normalised images of the training set, without augmentation, and
	// their shape. Only initialisers that look at data need it (see Whitening).
	Sample func(n int) (images []float32, shape Shape, err error)
	// Memo, unless nil, keeps what such initialisers compute. Networks that share one must have the same Sample.
	Memo *Memo
	// ClassCounts returns the number of training examples in each class. Only losses that weight classes by it need it
	// (see LossWeights).
	ClassCounts func() ([]int, error)
}

// Network is a model on a device, with every buffer that a step needs.
type Network struct {
	dev     device.Device
	opt     Options
	model   *Sequential
	root    BuiltLayer
	classes int
	input   []int // shape of a batch, -1 first

	params, state  []*Param
	rows           []LayerInfo
	memory         int64
	buffers        buffers
	overBatch      bool // a layer normalises over the batch
	smallestBatch  int
	step           *device.Tensor  // int32 [1]
	loss, softLoss BuiltLoss       // loss for labels; softLoss for probabilities, nil without Options.SoftTargets
	head           *head           // the last layer with loss; nil unless the device computes them together
	stats          *device.Tensor  // float32 [device.StatsLen]
	dlogits        *device.Tensor  // float32
	logits         *device.Tensor  // float32, of the last Forward
	mode           Mode            // of the last Forward
	mixed          *mixedPrecision // nil in float32
	accumulation   *accumulation   // nil if every batch has its own update, or is split
	sync           *synchronizer   // nil if every process normalises its own batches
	shards         *shards         // nil if batches are not split
	freeze         *freeze         // nil if no layer is frozen
	restart        restart
}

// Compile builds the model on the device. If the model does not fit the input, the error is
// a *LayerError.
func Compile(dev device.Device, model Layer, opt Options) (*Network, error) {
	if err := opt.check(); err != nil {
		return nil, fmt.Errorf("compiling the network: %w", err)
	}
	model = chain(model)
	out, err := model.OutputShape(opt.Input)
	if err != nil {
		return nil, err
	}
	if len(out) != 1 {
		return nil, fmt.Errorf("compiling the network: its output is %v, needs one value a class: end it with flatten and dense", out)
	}
	opt.DType = opt.DType.OrFloat32()
	if err := checkDType(dev, opt.DType); err != nil {
		return nil, fmt.Errorf("compiling the network: %w", err)
	}
	n := &Network{dev: dev, opt: opt, model: chain(model), classes: out[0], input: opt.Input.batch(-1)}
	b := newBuilder(dev, opt)
	defer b.initial.wait()
	if err := n.build(b, model); err != nil {
		return nil, err
	}
	if err := b.initial.upload(dev); err != nil {
		return nil, err
	}
	n.params, n.state, n.rows, n.memory = b.params, b.state, b.rows, b.memory
	n.buffers, n.sync, n.restart = b.buffers, b.sync, b.restart
	if err := n.buildFreeze(b); err != nil {
		return nil, err
	}
	n.overBatch, n.smallestBatch = b.overBatch, b.smallestBatch
	return n, nil
}

func (o Options) check() error {
	if o.Batch < 1 {
		return fmt.Errorf("the batch is %d, needs at least 1", o.Batch)
	}
	if len(o.Input) == 0 {
		return errors.New("the input has no shape")
	}
	for _, d := range o.Input {
		if d < 1 {
			return fmt.Errorf("the input is %v, needs at least 1 in every dimension", o.Input)
		}
	}
	if err := o.Input.checkBatch("the input", o.Batch); err != nil {
		return err
	}
	if o.Training && o.Loss == nil {
		return errors.New("training needs a loss")
	}
	return nil
}

// build allocates everything that the network owns.
func (n *Network) build(b *Builder, model Layer) (err error) {
	if n.step, err = b.Tensor(device.Int32, 1); err != nil {
		return err
	}
	b.step = n.step
	if n.root, err = model.Build(b, n.opt.Input); err != nil {
		return err
	}
	if err = b.allocateShared(); err != nil {
		return err
	}
	if n.stats, err = b.Tensor(device.Float32, device.StatsLen); err != nil {
		return err
	}
	if err := n.buildAccumulation(b); err != nil {
		return err
	}
	if err := n.buildShards(b); err != nil {
		return err
	}
	if err := n.buildMixed(b); err != nil || n.opt.Loss == nil {
		return err
	}
	if err := n.buildLosses(b); err != nil {
		return &LossError{Loss: n.opt.Loss.Kind(), Err: err}
	}
	if n.opt.Training {
		n.dlogits, err = b.Tensor(device.Float32, n.opt.Batch, n.classes)
	}
	return err
}

// buildLosses builds the loss for labels, which evaluation always uses, and with Options.SoftTargets also the loss for
// probabilities.
func (n *Network) buildLosses(b *Builder) (err error) {
	b.scaling, b.scaled = n.Scaling(), false
	in := LossInput{Classes: n.classes, Weights: n.opt.ExampleWeights}
	if n.loss, err = n.opt.Loss.Build(b, in); err != nil {
		return err
	}
	if n.opt.SoftTargets {
		in.SoftTargets = true
		if n.softLoss, err = n.opt.Loss.Build(b, in); err != nil {
			return err
		}
	}
	if n.head, err = n.buildHead(); err != nil {
		return err
	}
	if b.scaling != nil && !b.scaled {
		return errors.New("it doesn't multiply its gradient by the scale of Builder.LossScaling, which float16 needs: train in bfloat16 or float32")
	}
	return nil
}

// Forward computes the outputs, float32 [n, classes], for a batch x, [n, input...] of DType.
// They stay until the next Forward.
func (n *Network) Forward(x *device.Tensor, mode Mode) *device.Tensor {
	n.checkInput(x, mode)
	n.logits = n.forward(x, mode)
	if n.mixed != nil {
		n.logits = n.mixed.widen(n.logits)
	}
	return n.logits
}

// forward computes the outputs in the network's type.
func (n *Network) forward(x *device.Tensor, mode Mode) *device.Tensor {
	n.mode = mode
	if n.mixed != nil {
		n.mixed.prepare(mode)
	}
	return n.root.Forward(x, mode)
}

// TrainBatch does Forward in Training, LossWeighted and BackwardWeighted. A device may compute the loss and its gradient in one
// pass over the outputs, which then are in no float32 tensor.
func (n *Network) TrainBatch(x, targets, weights *device.Tensor) {
	loss, ok := n.lossOf("network training", targets).(*fusedLoss)
	if !ok || weights != nil || !n.opt.Training {
		n.Forward(x, Training)
		n.LossWeighted(targets, weights)
		n.BackwardWeighted(targets, weights)
		return
	}
	n.checkInput(x, Training)
	dy := n.dlogits
	if n.mixed != nil {
		dy = n.mixed.dlogits
	}
	dy.SetRows(x.Rows())
	if n.head != nil && loss == n.loss {
		n.head.run(n, dy, x, targets)
	} else {
		loss.training.Run(n.lossStats(), dy, n.forward(x, Training), targets)
	}
	n.logits = nil
	n.backward(dy)
}

// checkInput panics unless x is a batch for the network.
func (n *Network) checkInput(x *device.Tensor, mode Mode) {
	device.Check("network forward", "x", x, n.opt.DType, n.input...)
	if x.Rows() > n.opt.Batch {
		panic(fmt.Sprintf("network forward: x is %v, want at most %d rows", x, n.opt.Batch))
	}
	if mode == Training && x.Rows() < n.smallestBatch {
		panic(fmt.Sprintf("network forward: x is %v, want at least %d rows in training: a layer normalises over the batch", x, n.smallestBatch))
	}
}

// Loss adds the loss, the correct answers, the count and the weight of the last Forward to Stats, in training with
// Options.Shards to the sums that EndBatch adds to Stats. targets are labels,
// int32 [n], or, with Options.SoftTargets, probabilities, float32 [n, classes].
func (n *Network) Loss(targets *device.Tensor) { n.LossWeighted(targets, nil) }

// LossWeighted is Loss with one weight per example, float32 [n]; nil means that every weight is 1. It needs
// Options.ExampleWeights.
func (n *Network) LossWeighted(targets, weights *device.Tensor) {
	n.lossOf("network loss", targets).Forward(n.lossStats(), n.logits, targets, weights)
}

// lossStats returns what the loss of the last Forward is added to.
func (n *Network) lossStats() *device.Tensor {
	if n.shards != nil && n.mode == Training {
		return n.shards.stats
	}
	return n.stats
}

// Backward computes the gradients of all parameters for the last Forward, which must have
// been in Training. targets are as in Loss.
func (n *Network) Backward(targets *device.Tensor) { n.BackwardWeighted(targets, nil) }

// BackwardWeighted is Backward with the weights of LossWeighted.
func (n *Network) BackwardWeighted(targets, weights *device.Tensor) {
	if !n.opt.Training {
		panic("network backward: the network was compiled for inference")
	}
	n.dlogits.SetRows(n.logits.Rows())
	n.lossOf("network backward", targets).Backward(n.dlogits, n.logits, targets, weights)
	if n.mixed == nil {
		n.backward(n.dlogits)
	} else {
		n.backward(n.mixed.narrow(n.dlogits))
	}
}

// backward computes the gradients of all parameters from that of the outputs, in the network's type.
func (n *Network) backward(dy *device.Tensor) {
	n.root.Backward(dy)
	if n.shards.early() { // buckets convert and drop gradients
		return
	}
	if n.mixed != nil {
		n.mixed.widenGradients()
	}
	n.dropFrozenGradients()
	switch {
	case n.accumulation != nil:
		n.accumulation.run()
	case n.shards == nil && n.mixed != nil && n.mixed.scaling != nil:
		n.mixed.scaling.Update()
	}
}

// lossOf returns the loss for targets of the given element type.
func (n *Network) lossOf(op string, targets *device.Tensor) BuiltLoss {
	if n.loss == nil {
		panic(op + ": the network was compiled without a loss")
	}
	if targets != nil && targets.DType() == device.Float32 {
		if n.softLoss == nil {
			panic(fmt.Sprintf("%s: targets are %v, want int32 labels: the network was compiled without SoftTargets", op, targets))
		}
		return n.softLoss
	}
	return n.loss
}

// Ignores reports whether examples with the given label are left out of the loss and the accuracy.
func (n *Network) Ignores(label int32) bool {
	l, ok := n.opt.Loss.(interface{ Ignores(label int32) bool })
	return ok && l.Ignores(label)
}

// Device returns the device.
func (n *Network) Device() device.Device { return n.dev }

// DType returns the element type of activations and of Forward's input.
func (n *Network) DType() device.DType { return n.opt.DType }

// Scaling returns the state of the loss scaling (device.LossScalingSpec), which training changes and checkpoints keep,
// or nil without loss scaling.
func (n *Network) Scaling() *device.Tensor {
	if n.mixed == nil {
		return nil
	}
	return n.mixed.state
}

// Input returns the shape of one example.
func (n *Network) Input() Shape { return n.opt.Input }

// Batch returns the largest batch.
func (n *Network) Batch() int { return n.opt.Batch }

// NormalizesOverBatch reports whether a layer that normalises over the batch, such as BatchNorm, makes the results of
// training depend on which examples share a batch, and on how many.
func (n *Network) NormalizesOverBatch() bool { return n.overBatch }

// SmallestBatch returns the smallest batch that the network can train with: 1, or 2 if a layer normalises over the batch
// and an example has one value per channel there.
func (n *Network) SmallestBatch() int { return n.smallestBatch }

// Classes returns the number of outputs.
func (n *Network) Classes() int { return n.classes }

// Stats returns the accumulated loss, correct answers, count and weight, float32
// [device.StatsLen]. The caller zeroes it.
func (n *Network) Stats() *device.Tensor { return n.stats }

// Step returns the step counter, int32 [1], which dropout masks depend on. The caller sets it.
func (n *Network) Step() *device.Tensor { return n.step }

// Params returns the trained and the frozen parameters, first layer first.
func (n *Network) Params() []*Param { return n.params }

// State returns the tensors that are saved but not trained: running statistics.
func (n *Network) State() []*Param { return n.state }

// Tensors returns what must be saved to restore the network: the parameters, then the
// state.
func (n *Network) Tensors() []*Param { return slices.Concat(n.params, n.state) }

// Layers returns the network's table: a row for each layer and container, in order.
func (n *Network) Layers() []LayerInfo { return n.rows }

// NumParams returns the number of trained and frozen weights.
func (n *Network) NumParams() int {
	total := 0
	for _, p := range n.params {
		total += p.Value.Len()
	}
	return total
}

// FLOPs returns the floating-point operations of the forward pass of one example, as
// Builder.AddFLOPs counts them. A training step takes about three times as many.
func (n *Network) FLOPs() int64 {
	var total int64
	for _, r := range n.rows {
		total += r.FLOPs
	}
	return total
}

// Memory returns the bytes of all buffers and parameters: those that the table lists per
// layer and those that layers share.
func (n *Network) Memory() int64 { return n.memory }

// FirstNonFinite looks for a NaN or infinite element, causes before effects: in the parameters, then in the layers'
// outputs of the last Forward in the order in which they were computed, then in the state, then in the gradients, last
// layer first. It returns the name of the tensor that holds the element, such as "output of layer conv2", or "". In
// inference only the last output is checked, because layers share the memory of their outputs.
func (n *Network) FirstNonFinite() (string, error) {
	var places []place
	for _, p := range n.params {
		places = append(places, place{"parameter " + p.Name, p.Value})
	}
	if n.opt.Training {
		places = append(places, outputs(n.root)...)
	} else if n.logits != nil {
		places = append(places, place{"output of the network", n.logits})
	}
	for _, p := range n.state {
		places = append(places, place{"state " + p.Name, p.Value})
	}
	for _, p := range slices.Backward(n.params) {
		if p.Grad != nil {
			places = append(places, place{"gradient of " + p.Name, p.Grad})
		}
	}
	for _, p := range places {
		bad, err := n.nonFinite(p.tensor)
		if err != nil {
			return "", fmt.Errorf("looking for NaN in the %s: %w", p.name, err)
		}
		if bad {
			return p.name, nil
		}
	}
	return "", nil
}

// place is a tensor with the name to report for it.
type place struct {
	name   string
	tensor *device.Tensor
}

// outputs returns the outputs of the last Forward of a container's layers, in order.
func outputs(u BuiltLayer) []place {
	var all []place
	switch u := u.(type) {
	case *residual:
		all = outputs(u.body)
		if u.shortcut != nil {
			all = append(all, outputs(u.shortcut)...)
		}
	case *sequential:
		for i, child := range u.units {
			all = append(all, outputs(child)...)
			if activated, ok := child.(*activatedConv2D); ok && activated.hidden {
				continue
			}
			if u.outputs[i] != nil {
				all = append(all, place{"output of layer " + u.names[i], u.outputs[i]})
			}
		}
	}
	return all
}

func (n *Network) nonFinite(t *device.Tensor) (bool, error) {
	bytes := make([]byte, t.Len()*t.DType().Size())
	if err := n.dev.Download(bytes, t); err != nil {
		return false, err
	}
	exponent := map[device.DType]uint32{device.Float32: 0x7F800000, device.Float16: 0x7C00, device.BFloat16: 0x7F80}[t.DType()]
	size := t.DType().Size()
	for i := 0; i < len(bytes); i += size {
		bits := uint32(binary.NativeEndian.Uint16(bytes[i:]))
		if size == 4 {
			bits = binary.NativeEndian.Uint32(bytes[i:])
		}
		if bits&exponent == exponent { // all ones: NaN or infinite
			return true, nil
		}
	}
	return false, nil
}
