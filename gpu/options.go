package gpu

import "fmt"

// Precision is what convolutions and matrix products are computed in.
type Precision uint8

// The precisions. Sums are float32 in all of them.
const (
	FP32 Precision = iota // float32 factors
	TF32                  // float32 storage, factors rounded to TF32; compute capability 8.0
	FP16                  // float16 storage; not supported yet
	BF16                  // bfloat16 storage; not supported yet
)

var precisionNames = [...]string{"fp32", "tf32", "fp16", "bf16"}

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
	return 0, fmt.Errorf("precision %q: want fp32, tf32, fp16 or bf16", name)
}

// Option changes how New sets up the device.
type Option func(*options)

type options struct {
	precision      Precision
	deterministic  bool
	autotune       bool
	workspaceLimit int64 // bytes; 0 for the default
}

// WithPrecision sets what convolutions and matrix products are computed in; the default is FP32.
func WithPrecision(p Precision) Option { return func(o *options) { o.precision = p } }

// WithDeterministic keeps to algorithms that give the same bits each time.
func WithDeterministic() Option { return func(o *options) { o.deterministic = true } }

// WithAutotune measures cuDNN's algorithms as plans are made, instead of asking its
// heuristics. What won is kept in the user's cache folder for the next time.
func WithAutotune() Option { return func(o *options) { o.autotune = true } }

// WithWorkspaceLimit sets how many bytes of device memory an algorithm of cuDNN may work in. The
// default is 1 GiB, or an eighth of the GPU's memory where that is less.
func WithWorkspaceLimit(bytes int64) Option { return func(o *options) { o.workspaceLimit = bytes } }
