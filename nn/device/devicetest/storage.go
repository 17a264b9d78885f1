package devicetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"trainer/nn/device"
	"trainer/nn/device/reference"
)

// testStorage returns the suite of one 16-bit type: every operation that takes tensors of it.
func testStorage(dtype device.DType) func(*testing.T, device.Device, Options) {
	return func(t *testing.T, dev device.Device, opt Options) {
		if _, mixed := dev.(device.MixedPrecision); !mixed {
			testRefusal(t, dev, dtype)
			return
		}
		opt.storage = dtype
		for _, op := range Operations() {
			if slices.Contains(op.Types, dtype) {
				t.Run(op.Name, func(t *testing.T) { testOperation(t, dev, opt, op) })
			}
		}
		t.Run("range", func(t *testing.T) { testRange(t, dev, opt) })
	}
}

// testRefusal checks that a device without 16-bit storage returns ErrNotSupported for every plan.
func testRefusal(t *testing.T, dev device.Device, dtype device.DType) {
	wantRefused := func(name string, err error) {
		if !errors.Is(err, device.ErrNotSupported) {
			t.Errorf("%s of %v: the error is %v, want one that is ErrNotSupported from a device without MixedPrecision", name, dtype, err)
		}
	}
	for _, op := range Operations() {
		if slices.Contains(op.Types, dtype) {
			wantRefused(op.Name, refusal(op.Calls(Small)[0].Make(NewOperands(t, dev, dtype, Small))))
		}
	}
}

// refusal returns the error of a New method.
func refusal[P any](_ P, err error) error { return err }

// testRange checks what happens at the ends of the type's range: results that are too large become infinite, and
// results that are too small become 0 or subnormal. Sums of twice and half the type's extreme numbers produce them.
func testRange(t *testing.T, dev device.Device, opt Options) {
	f := reference.FormatOf(opt.dtype())
	largest, smallest := f.Largest(), f.Spacing(0)
	var data []float32
	for _, x := range []float64{largest, largest / 2, largest * 0.75, 1, 0} {
		data = append(data, float32(f.Round(x)), float32(-f.Round(x)))
	}
	if opt.dtype() == device.Float16 { // bfloat16's are subnormal in float32 too, and may be flushed
		for k := range 8 {
			data = append(data, float32(float64(k)*smallest), float32(-float64(k)*smallest))
		}
	}
	for _, alpha := range []float32{2, 1, 0.5, 0.25} {
		t.Run(fmt.Sprintf("times-%v", alpha), func(t *testing.T) {
			scaled := plan(dev.NewWeightedSum(device.WeightedSumSpec{Len: len(data), Alpha: alpha, DType: opt.storage}))(t)
			r := newRig(t, dev, opt)
			a, y := r.input("a", data, len(data)), r.output("y", len(data))
			r.run(func() { scaled.Run(y, a, nil) })
			wrong := mismatches{total: len(data)}
			for i, got := range reference.Unpack(opt.dtype(), r.bits(y)) {
				// The product is exact in float32, so that the result is too.
				if want := f.Round(float64(alpha) * float64(data[i])); got != want {
					wrong.add("%v times %v is %v, want %v", alpha, data[i], got, want)
				}
			}
			if err := wrong.err(); err != nil {
				t.Error(err)
			}
		})
	}
}
