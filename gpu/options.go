package gpu

import "trainer/nn/device"

// Precision is the precision of convolutions and matrix products, which includes the type in which a network's
// activations and weights are multiplied.
type Precision = device.Precision

// The precisions.
const (
	Auto = device.Auto // TF32 if the GPU has compute capability 8.0, else FP32
	FP32 = device.FP32
	TF32 = device.TF32 // compute capability 8.0
	FP16 = device.FP16
	BF16 = device.BF16 // compute capability 8.0
)

// Precisions returns the precisions that a GPU may support.
func Precisions() []Precision { return []Precision{FP32, TF32, FP16, BF16} }

// Option changes how New sets up the device.
type Option func(*options)

type options struct {
	precision      Precision
	deterministic  bool
	autotune       bool
	workspaceLimit int64 // bytes; 0 for the default
}

// WithPrecision sets the precision of convolutions and matrix products; the default is Auto. With FP16 and BF16, products
// of float32 tensors, if there are any, are computed as with Auto.
func WithPrecision(p Precision) Option { return func(o *options) { o.precision = p } }

// WithDeterministic allows only algorithms whose results are bit-identical every time.
func WithDeterministic() Option { return func(o *options) { o.deterministic = true } }

// WithAutotune times cuDNN's algorithms when plans are made, instead of asking its heuristics. The results are kept in
// the user's cache folder.
func WithAutotune() Option { return func(o *options) { o.autotune = true } }

// WithWorkspaceLimit limits the bytes of device memory that an algorithm of cuDNN may use as workspace. The default is
// 1 GiB, or an eighth of the GPU's memory if that is less.
func WithWorkspaceLimit(bytes int64) Option { return func(o *options) { o.workspaceLimit = bytes } }
