package gpu

import (
	"fmt"
	"strings"

	"trainer/nn/device"
)

// Precision is what convolutions and matrix products are computed in, and with it the type in which a network's
// images and factors are kept.
type Precision uint8

// The precisions. Sums are float32 in all of them.
const (
	Auto Precision = iota // TF32 where the GPU has compute capability 8.0, else FP32
	FP32                  // float32 factors
	TF32                  // float32 storage, factors rounded to TF32; compute capability 8.0
	FP16                  // float16 storage
	BF16                  // bfloat16 storage; compute capability 8.0
)

var precisionNames = [...]string{"auto", "fp32", "tf32", "fp16", "bf16"}

// wantPrecision lists the names.
var wantPrecision = "want " + strings.Join(precisionNames[:len(precisionNames)-1], ", ") + " or " + precisionNames[len(precisionNames)-1]

// String returns the name that flags use, such as "tf32".
func (p Precision) String() string {
	if int(p) >= len(precisionNames) {
		return fmt.Sprintf("Precision(%d)", uint8(p))
	}
	return precisionNames[p]
}

// ParsePrecision returns the precision of a name.
func ParsePrecision(name string) (Precision, error) {
	for i, known := range precisionNames {
		if name == known {
			return Precision(i), nil
		}
	}
	return 0, fmt.Errorf("precision %q: %s", name, wantPrecision)
}

// DType returns the type that a network is to be compiled with: Float16 for FP16, BFloat16 for BF16, and otherwise
// Float32.
func (p Precision) DType() device.DType {
	switch p {
	case FP16:
		return device.Float16
	case BF16:
		return device.BFloat16
	}
	return device.Float32
}

// PrecisionOf returns the precision that a device of New has settled on, which is never Auto. ok is false for
// devices of other packages.
func PrecisionOf(dev device.Device) (p Precision, ok bool) {
	settled, ok := dev.(interface{ Precision() Precision })
	if !ok {
		return 0, false
	}
	return settled.Precision(), true
}

// Option changes how New sets up the device.
type Option func(*options)

type options struct {
	precision      Precision
	deterministic  bool
	autotune       bool
	workspaceLimit int64 // bytes; 0 for the default
}

// WithPrecision sets what convolutions and matrix products are computed in; the default is Auto. With FP16 and BF16
// products of float32 tensors, if there are any, are computed as with Auto.
func WithPrecision(p Precision) Option { return func(o *options) { o.precision = p } }

// WithDeterministic keeps to algorithms that give the same bits each time.
func WithDeterministic() Option { return func(o *options) { o.deterministic = true } }

// WithAutotune measures cuDNN's algorithms as plans are made, instead of asking its
// heuristics. What won is kept in the user's cache folder for the next time.
func WithAutotune() Option { return func(o *options) { o.autotune = true } }

// WithWorkspaceLimit sets how many bytes of device memory an algorithm of cuDNN may work in. The
// default is 1 GiB, or an eighth of the GPU's memory where that is less.
func WithWorkspaceLimit(bytes int64) Option { return func(o *options) { o.workspaceLimit = bytes } }
