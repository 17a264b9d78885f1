// Package devicetest is the conformance suite of package device: an implementation of
// device.Device is right if RunAll passes on it.
//
// Every operation is compared with package reference, which computes the formula in float64 in plain loops and shares
// no code with any implementation. The suite checks more than the values of each call:
//
//   - outputs are filled with a NaN of a known payload (integers with a known
//     pattern) before, so that an element that is never written, or that is added
//     to instead of overwritten, is found;
//   - behind every buffer lie guard words, which must still be there after; for
//     floating-point inputs they are NaN, so that reading too far shows as well;
//   - inputs must be unchanged;
//   - a second run from the same state must give the same bits.
//
// A device that is a MixedPrecision must pass the same checks on tensors of float16 and bfloat16, and must skip, scale
// and update as LossScaling says; any other device must refuse them.
//
// Only tolerance.go decides how far a result may be from the reference.
package devicetest

import (
	"slices"
	"testing"

	"trainer/nn/device"
	"trainer/nn/device/reference"
)

// Options are properties that a device may declare.
type Options struct {
	// ProductFactor widens the tolerance of convolutions and matrix products of float32 tensors, for
	// algorithms that multiply less exactly than float32 does: 2^13 for TF32. 0 means 1.
	ProductFactor float64
	// Tile is the side of the tiles of pixels that a convolution with transforms, such as
	// Winograd's method, computes at once: every pixel of a tile is then a sum over all of
	// the tile's products, in which the products of other pixels cancel up to rounding. So a
	// pixel's error may be as large as that of any other pixel in a tile that can contain
	// it. 0 means 1: the error is proportional to a pixel's own products.
	Tile int
	// Nondeterministic drops the requirement that a repeated operation gives the same bits,
	// for algorithms that add in the order in which threads arrive.
	Nondeterministic bool

	// BeforeRepeat, unless nil, is called before the repetition. An emulation can run threads in another order from then
	// on, which must not change a bit either: a missing barrier would.
	BeforeRepeat func()

	// storage is the type of images, filters and operands in the cases that run; 0 means Float32.
	storage device.DType
	// cases, unless nil, counts the runs of each operation; every operation must have at least one.
	cases *int
	// largest, unless 0, leaves out convolutions with more FLOPs: for the suite's own test,
	// which computes with the slow references.
	largest int64
}

// dtype returns the type of images, filters and operands.
func (o Options) dtype() device.DType { return o.storage.OrFloat32() }

// round returns the numbers of that type nearest to v.
func (o Options) round(v []float32) []float32 {
	if o.dtype() == device.Float32 {
		return v
	}
	f := reference.FormatOf(o.dtype())
	r := make([]float32, len(v))
	for i, x := range v {
		r[i] = float32(f.Round(float64(x)))
	}
	return r
}

// productFactor returns the factor of the tolerance of sums of products.
func (o Options) productFactor() float64 {
	if o.dtype() == device.Float32 {
		return o.ProductFactor
	}
	return 1
}

// RunAll runs the whole suite on dev, as sub-tests named after operation and case.
func RunAll(t *testing.T, dev device.Device) {
	t.Helper()
	RunAllWith(t, dev, Options{})
}

// RunAllWith is RunAll for a device that needs options.
func RunAllWith(t *testing.T, dev device.Device, opt Options) {
	t.Helper()
	t.Run("tensor", func(t *testing.T) { testTensors(t, dev, opt) })
	for _, op := range Operations() {
		if slices.Contains(op.Types, device.Float32) {
			t.Run(op.Name, func(t *testing.T) { testOperation(t, dev, opt, op) })
		}
	}
	for _, dtype := range halfOnly {
		t.Run(dtype.String(), func(t *testing.T) { testStorage(dtype)(t, dev, opt) })
	}
	t.Run("panics", func(t *testing.T) { testPanics(t, dev, opt) })
	if err := dev.Sync(); err != nil {
		t.Errorf("Sync after the whole suite: %v", err)
	}
}

// RunOperation runs the cases of one operation, in every storage type.
func RunOperation(t *testing.T, dev device.Device, opt Options, op Operation) {
	for _, dtype := range op.Types {
		t.Run(dtype.String(), func(t *testing.T) {
			opt := opt
			if dtype != device.Float32 {
				opt.storage = dtype
			}
			op.Test(t, dev, opt)
		})
	}
}

// testOperation runs the cases of an operation, and fails if there are none.
func testOperation(t *testing.T, dev device.Device, opt Options, op Operation) {
	before := 0
	if opt.cases != nil {
		before = *opt.cases
	}
	op.Test(t, dev, opt)
	if opt.cases != nil && *opt.cases == before {
		t.Errorf("%s has no case in %v", op.Name, opt.dtype())
	}
}

// plan takes the results of a device's New method, and returns the plan or ends the
// sub-test: plan(dev.NewConv2D(spec))(t).
func plan[P any](p P, err error) func(*testing.T) P {
	return func(t *testing.T) P {
		t.Helper()
		if err != nil {
			t.Fatalf("making the plan: %v", err)
		}
		return p
	}
}
