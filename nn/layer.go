package nn

import (
	"errors"
	"fmt"
	"strings"

	"trainer/nn/device"
)

// Shape is the shape of one example, without the batch: [h w c] for an image,
// [features] after flattening.
type Shape []int

// Len returns the number of elements.
func (s Shape) Len() int {
	n := 1
	for _, d := range s {
		n *= d
	}
	return n
}

// String returns the dimensions as in "28x28x1".
func (s Shape) String() string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint([]int(s)), " ", "x"), "[]")
}

// image returns the dimensions of an image, or an error that states the shape that came instead.
func (s Shape) image() (h, w, c int, err error) {
	if len(s) != 3 {
		return 0, 0, 0, fmt.Errorf("got %v, needs an image, [h w c]", s)
	}
	return s[0], s[1], s[2], nil
}

// batch returns the shape of n examples.
func (s Shape) batch(n int) []int { return append([]int{n}, s...) }

// Mode says what a forward pass is for, which matters to layers that behave differently in
// training (batch normalisation, dropout).
type Mode uint8

// The modes.
const (
	Training Mode = iota
	Inference
)

// Layer describes a layer: a value without buffers, which can be built any number of
// times, on any device.
type Layer interface {
	// Kind is the name that recipes use, such as "conv2d".
	Kind() string
	// OutputShape returns the shape of one output example for one input example, or an
	// error that states what the layer got and what it needs.
	OutputShape(in Shape) (Shape, error)
	// Build allocates the layer's parameters and buffers through b, for inputs of the
	// given shape, which OutputShape has accepted.
	Build(b *Builder, in Shape) (BuiltLayer, error)
}

// BuiltLayer is a layer that has been built: it owns its buffers and allocates nothing in a
// step. The batch may have fewer examples than it was built for. From one step to the next it
// keeps nothing but parameters and states (Builder.Param, Builder.State), so that checkpoints
// and Network.Restart know of everything.
type BuiltLayer interface {
	// Forward computes the layer's output, in a buffer of the layer's that the next Forward
	// overwrites.
	Forward(x *device.Tensor, mode Mode) *device.Tensor
	// Backward takes dy, the gradient of the loss with respect to the output of the last
	// Forward. It stores the gradients with respect to the parameters and returns the
	// gradient with respect to the input, or nil if nothing before this layer is trained.
	// It may overwrite dy.
	Backward(dy *device.Tensor) *device.Tensor
}

// fuser is a layer that can be fused with layers that follow it.
type fuser interface {
	// buildFused builds one BuiltLayer for this layer and the first few layers of next, and
	// returns how many of next it covers. It returns 0, and has allocated nothing, if the
	// device or the layers can't be fused.
	buildFused(b *Builder, in Shape, next []Layer) (u BuiltLayer, fused int, err error)
}

// Role says what kind of parameter a Param is; optimiser groups select by it.
type Role string

// The roles.
const (
	Weight Role = "weight" // of convolutions and dense layers
	Bias   Role = "bias"
	Gain   Role = "gain" // the scale of a normalisation
)

// Param is a trained or frozen parameter, or a tensor without a gradient that is saved with
// the network, such as the running mean of a normalisation.
//
// Value and Grad are float32. If the network computes in 16 bits, the weights of convolutions
// and dense layers also have a 16-bit copy, which convolutions and matrix products read. Value
// then holds the master weights: the update rule adds its small steps to them, because a 16-bit
// copy would round the steps away.
type Param struct {
	Name  string // unique in the network, such as "conv1.weight"
	Role  Role
	Value *device.Tensor
	Grad  *device.Tensor // nil when frozen, in inference, and for state

	// Frozen is a state that training doesn't change, and Thaws a parameter or state that it doesn't change until the
	// freeze ends: see Options.Freeze. While it is frozen, a parameter's gradient is 0.
	Frozen, Thaws bool

	// GradSum is the gradient summed over all batches of a step, if a step has several (Options.Accumulate), and over all
	// parts of a batch, if it is split (Options.Shards); otherwise nil.
	GradSum *device.Tensor

	// Scaling is the state of the loss scaling (device.LossScalingSpec) under which Grad is
	// computed; nil without loss scaling.
	Scaling *device.Tensor

	// ComputeCopy is the tensor that convolutions and matrix products read: a copy of Value in the network's type if
	// the layer asked for one (ParamSpec.HasComputeCopy), otherwise Value itself. LowPrecisionGrad receives the
	// gradient: in the network's type if the layer asked for that (ParamSpec.HasLowPrecisionGrad), to be converted into
	// Grad at the end of the backward pass; otherwise it is Grad itself.
	ComputeCopy, LowPrecisionGrad *device.Tensor
}

// StepGrad returns the gradient that an update uses: GradSum, or Grad if every batch has its own update.
func (p *Param) StepGrad() *device.Tensor {
	if p.GradSum != nil {
		return p.GradSum
	}
	return p.Grad
}

// LayerInfo is one line of a network's table.
type LayerInfo struct {
	Name   string
	Kind   string
	Output Shape
	Params int   // trained and frozen, without running statistics
	FLOPs  int64 // of the forward pass of one example
	Memory int64 // bytes of the layer's own buffers and parameters at the batch size; shared buffers count in no row
}

// LayerError reports a layer that can't be built in its place in the network.
type LayerError struct {
	Layer string // its name, such as "conv2", or "block1.conv2" in a container
	Place string // where it was declared, such as "my.toml:12"; empty if unknown (see Sequential.Places)
	Err   error  // what it got and what it needs
}

func (e *LayerError) Error() string {
	if e.Place != "" {
		return fmt.Sprintf("%s: layer %s: %v", e.Place, e.Layer, e.Err)
	}
	return fmt.Sprintf("layer %s: %v", e.Layer, e.Err)
}

// Unwrap returns the cause.
func (e *LayerError) Unwrap() error { return e.Err }

// inLayer says in which layer an error occurred. An error from within a container keeps
// the innermost layer, with the container's name before it.
func inLayer(name string, err error) error {
	var inner *LayerError
	if errors.As(err, &inner) {
		return &LayerError{Layer: name + "." + inner.Layer, Place: inner.Place, Err: inner.Err}
	}
	return &LayerError{Layer: name, Err: err}
}

// declined reports whether a device has a fused operation in general but not this one;
// the layers are then built one by one.
func declined(err error) bool { return errors.Is(err, device.ErrNotSupported) }
