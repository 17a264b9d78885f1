package nn

import (
	"fmt"
	"slices"

	"trainer/nn/device"
)

// A network may train on images of several sizes, smaller ones first, which cost less (Fast AI's "progressive resizing";
// Tan and Le, "EfficientNetV2", ICML 2021, section 4). Convolutions, poolings and normalisations work on any size; what
// depends on it are the shapes of activations, and with them the device's plans.

// ForInput compiles the network's model for examples of another shape. The result has plans of its own and shares
// everything else with the network: parameters, gradients, running statistics, statistics of the loss, counters and loss
// scaling. It also shares the buffers of the layers' outputs and gradients where they are large enough, so that only one of
// the two may be between Forward and Backward.
//
// Every parameter must have the same shape for both inputs, as with global pooling before the first dense layer; otherwise
// the error is a *LayerError.
func (n *Network) ForInput(in Shape) (*Network, error) {
	other := *n
	other.opt.Input, other.input, other.logits = in, in.batch(-1), nil
	if err := other.opt.check(); err != nil {
		return nil, fmt.Errorf("compiling the network: %w", err)
	}
	out, err := n.model.OutputShape(in)
	if err != nil {
		return nil, err
	}
	if len(out) != 1 || out[0] != n.classes {
		return nil, fmt.Errorf("compiling the network: its output for %v is %v, needs the %d classes that it has for %v: use global pooling before the dense layers", in, out, n.classes, n.opt.Input)
	}
	b := newBuilder(n.dev, other.opt)
	b.original, b.step = n, n.step
	if other.root, err = n.model.Build(b, in); err != nil {
		return nil, err
	}
	if err := b.allocateShared(); err != nil {
		return nil, err
	}
	if other.head, err = other.buildHead(); err != nil { // it is a part of the network's own last layer
		return nil, err
	}
	other.rows, other.memory, other.sync, other.restart = b.rows, b.memory, b.sync, b.restart
	other.overBatch, other.smallestBatch = b.overBatch, max(n.smallestBatch, b.smallestBatch)
	other.reportBackward()
	return &other, other.buildFreeze(b)
}

// reuse returns the original network's parameter or state at an index, which is what the layer being built asked for.
func reuse(list []*Param, at int, name string, shape []int, original Shape) (*Param, error) {
	if at >= len(list) || list[at].Name != name {
		return nil, fmt.Errorf("%s is missing in the network for %v", name, original)
	}
	if p := list[at]; !slices.Equal(p.Value.Shape(), shape) {
		return nil, fmt.Errorf("%s is %v, and %v for images of %v: it must not depend on the size of the image; use global pooling before dense layers", name, shape, p.Value.Shape(), original)
	}
	return list[at], nil
}

// buffers are a network's buffers for activations and gradients, in the order in which layers asked for them.
type buffers struct {
	outputs []*device.Tensor
	shared  []*device.Tensor
}

// take allocates the next buffer of a list or, in a network that shares the buffers of another, takes that network's if it
// is large enough.
func (b *Builder) take(own *[]*device.Tensor, theirs []*device.Tensor, shape ...int) (*device.Tensor, error) {
	var t *device.Tensor
	var err error
	if i := len(*own); i < len(theirs) && fitsInto(shape, theirs[i]) {
		t = theirs[i].View(shape...)
	} else {
		t, err = b.Tensor(b.dtype, shape...)
	}
	*own = append(*own, t)
	return t, err
}

// fitsInto reports whether a tensor of the shape fits in the buffer of another.
func fitsInto(shape []int, t *device.Tensor) bool {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n <= t.MaxRows()*t.RowLen()
}
