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

// image returns the dimensions of an image, or an error that tells what came instead.
func (s Shape) image() (h, w, c int, err error) {
	if len(s) != 3 {
		return 0, 0, 0, fmt.Errorf("got %v, needs an image, [h w c]", s)
	}
	return s[0], s[1], s[2], nil
}

// batch returns the shape of n examples.
func (s Shape) batch(n int) []int { return append([]int{n}, s...) }

// Mode tells layers that behave differently in training (batch normalisation,
// dropout) what the forward pass is for.
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
	// error that tells what the layer got and what it needs.
	OutputShape(in Shape) (Shape, error)
	// Build allocates the layer's parameters and buffers through b, for inputs of the
	// given shape, which OutputShape has accepted.
	Build(b *Builder, in Shape) (BuiltLayer, error)
}

// BuiltLayer is a layer that has been built: it owns its buffers and allocates nothing in a
// step. The batch may have fewer examples than it was built for.
type BuiltLayer interface {
	// Forward computes the layer's output, in a buffer of the unit's that the next
	// Forward overwrites.
	Forward(x *device.Tensor, mode Mode) *device.Tensor
	// Backward takes the loss's gradient by the output of the last Forward, stores the
	// gradients of the parameters, and returns the gradient by the input, or nil when
	// nothing before this layer is trained. It may overwrite dy.
	Backward(dy *device.Tensor) *device.Tensor
}

// fuser is a layer that can be computed together with layers that follow it.
type fuser interface {
	// buildFused builds a unit for the layer and the first few of the next ones, and
	// returns how many of them. That is 0 when the device or the layers can't, and nothing
	// has been allocated then.
	buildFused(b *Builder, in Shape, next []Layer) (u BuiltLayer, fused int, err error)
}

// Role says what a parameter is, for optimiser groups.
type Role string

// The roles.
const (
	Weight Role = "weight" // of convolutions and dense layers
	Bias   Role = "bias"
	Gain   Role = "gain" // the scale of a normalisation
)

// Param is a tensor that training changes, or keeps: the running statistics of a
// normalisation have no gradient.
//
// Value and Grad are float32. Where the network computes in 16 bits, the weights of convolutions
// and dense layers have a copy in its type, which is what enters the products; the update rule
// goes on to add up small steps in Value, which the copy would round away.
type Param struct {
	Name  string // unique in the network, such as "conv1.weight"
	Role  Role
	Value *device.Tensor
	Grad  *device.Tensor // nil when frozen, in inference, and for state

	// GradSum is the gradient over all batches of a step, where these are several (Options.Accumulate); otherwise nil.
	GradSum *device.Tensor

	// Scaling is the state of the loss scaling (device.LossScalingSpec) that Grad is made with; nil
	// without.
	Scaling *device.Tensor

	// ComputeCopy is what enters products: Value, or its copy in the network's type where the layer asked for
	// one (ParamSpec.Factor). LowPrecisionGrad is where a gradient is stored that comes in the network's type
	// (ParamSpec.RoundedGrad), and becomes Grad at the end of the backward pass; otherwise it is Grad.
	ComputeCopy, LowPrecisionGrad *device.Tensor
}

// StepGrad returns the gradient that an update takes: GradSum, or Grad where every batch has an update.
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
	Memory int64 // bytes of the layer's own buffers and parameters at the batch size; shared ones have no row
}

// LayerError is a layer that can't be built in its place in the network.
type LayerError struct {
	Layer string // its name, such as "conv2", or "block1.conv2" in a container
	Err   error  // what it got and what it needs
}

func (e *LayerError) Error() string { return fmt.Sprintf("layer %s: %v", e.Layer, e.Err) }

// Unwrap returns the cause.
func (e *LayerError) Unwrap() error { return e.Err }

// inLayer says in which layer an error occurred. An error from within a container keeps
// the innermost layer, with the container's name before it.
func inLayer(name string, err error) error {
	var inner *LayerError
	if errors.As(err, &inner) {
		return &LayerError{Layer: name + "." + inner.Layer, Err: inner.Err}
	}
	return &LayerError{Layer: name, Err: err}
}

// declined reports whether a device has a fused operation in general but not this one;
// the layers are then built one by one.
func declined(err error) bool { return errors.Is(err, device.ErrNotSupported) }
