package reference

import (
	"fmt"
	"slices"

	"trainer/nn/device"
)

// Operations makes every plan of device.Device for a device that has only memory and copies: a plan downloads its
// operands, computes in float64 with the loops of this package, rounds to the destination's type and uploads the
// result.
//
// A device embeds Operations and overrides the constructors of the operations that it implements. The operations that
// it lacks then work, slowly; Fallbacks names them. The fused forms, which are optional interfaces, are not included.
//
// If a copy fails, the destination is unchanged; the error is a fault of the device, which the device's Sync returns.
type Operations struct {
	memory    device.Memory
	mixed     bool     // supports 16-bit tensors and loss scaling
	fallbacks []string // operations for which plans were made, in the order of their first plan

	// Before, unless nil, is called before a plan runs; if it returns false, the plan does nothing. A device that is
	// recording a step refuses, because a recorded step can't contain copies to the host.
	Before func(op string) bool
	// After, unless nil, is called with each tensor that a plan has written. Tests corrupt the tensor there.
	After func(op string, dst *device.Tensor)
}

// On returns the operations of a device. They take Float16 and BFloat16 if the device is a device.MixedPrecision, and
// refuse them with device.ErrNotSupported otherwise.
func On(m device.Memory) *Operations {
	_, mixed := m.(device.MixedPrecision)
	return &Operations{memory: m, mixed: mixed}
}

// Mixed is Operations with the plans of device.MixedPrecision.
type Mixed struct{ *Operations }

// MixedOn returns the operations of a device, including those of device.MixedPrecision.
func MixedOn(m device.Memory) Mixed { return Mixed{&Operations{memory: m, mixed: true}} }

// Fallbacks returns the names of the operations for which plans were made here, each once.
func (o *Operations) Fallbacks() []string { return slices.Clone(o.fallbacks) }

// made records the operation's name and returns the plan, or the error if there is one.
func made[P any](o *Operations, name string, plan P, err error) (P, error) {
	if err != nil {
		var none P
		return none, &device.Error{Device: o.memory.Name(), Op: name, Err: err}
	}
	if !slices.Contains(o.fallbacks, name) {
		o.fallbacks = append(o.fallbacks, name)
	}
	return plan, nil
}

// accepts returns an error unless the device supports the types.
func (o *Operations) accepts(dtypes ...device.DType) error {
	if o.mixed {
		return nil
	}
	return device.CheckFloat32(dtypes...)
}

// scales returns an error if a device without 16-bit types gets the state of a LossScaling.
func (o *Operations) scales(op string, scaling *device.Tensor) error {
	device.CheckScaling(op, scaling)
	if scaling != nil && !o.mixed {
		return fmt.Errorf("loss scaling: %w", device.ErrNotSupported)
	}
	return nil
}

// begin reports whether a plan may run now.
func (o *Operations) begin(op string) bool { return o.Before == nil || o.Before(op) }

// bytes returns the contents of a tensor.
func (o *Operations) bytes(t *device.Tensor) []byte {
	b := make([]byte, t.Len()*t.DType().Size())
	if o.memory.Download(b, t) != nil {
		clear(b)
	}
	return b
}

// load returns the numbers in a tensor of a float type; nil for nil.
func (o *Operations) load(t *device.Tensor) []float64 {
	if t == nil {
		return nil
	}
	return Unpack(t.DType(), o.bytes(t))
}

// loadAt returns element i of a float32 tensor.
func (o *Operations) loadAt(t *device.Tensor, i int) float64 { return o.load(t)[i] }

// loadInts returns the numbers in an int32 tensor.
func (o *Operations) loadInts(t *device.Tensor) []int32 { return Int32s(o.bytes(t)) }

// store rounds numbers to dst's type and writes them, unless dst is nil.
func (o *Operations) store(op string, dst *device.Tensor, numbers []float64) {
	if dst != nil {
		o.storeBytes(op, dst, Round(dst.DType(), numbers))
	}
}

func (o *Operations) storeBytes(op string, dst *device.Tensor, elements []byte) {
	// The device keeps the error as its fault.
	if o.memory.Upload(dst, elements) == nil && o.After != nil {
		o.After(op, dst)
	}
}

// require panics with the operation unless ok.
func require(op string, ok bool, format string, args ...any) {
	if !ok {
		panic(op + ": " + fmt.Sprintf(format, args...))
	}
}

// checkBias panics unless bias is non-nil if and only if the spec has a bias.
func checkBias(op string, bias *device.Tensor, wanted bool, n int) {
	if wanted {
		device.Check(op, "bias", bias, device.Float32, n)
		return
	}
	require(op, bias == nil, "bias is %v, the spec has none", bias)
}
