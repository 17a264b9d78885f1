package devicetest

import (
	"bytes"
	"fmt"
	"math"
	"testing"

	"trainer/nn/device"
	"trainer/nn/device/reference"
)

func testDropout(t *testing.T, dev device.Device, opt Options) {
	for _, rate := range []float32{0, 0.1, 0.5, 0.9} {
		for _, n := range []int{1, 3, 4, 67, 4099} {
			s := device.DropoutSpec{Len: 4099, Rate: rate, Seed: 0x9E3779B97F4A7C15, Stream: device.StreamDropout.Sub(3), DType: opt.storage}
			t.Run(fmt.Sprintf("rate-%v/%s", rate, sizeName(n)), func(t *testing.T) {
				drop := plan(dev.NewDropout(s))(t)
				for _, step := range []int32{0, 1, 123456789} {
					runDropout(t, dev, opt, drop, s, n, step)
				}
				other := s
				other.Seed = 1<<40 + 3
				drop.Reseed(other.Seed)
				runDropout(t, dev, opt, drop, other, n, 1)
			})
		}
	}
	if opt.dtype() == device.Float32 { // the masks of other types are the same
		t.Run("statistics", func(t *testing.T) { testDropoutStatistics(t, dev, opt) })
	}
}

// runDropout checks Forward, and Backward out of place and in place.
func runDropout(t *testing.T, dev device.Device, opt Options, drop device.Dropout, s device.DropoutSpec, n int, at int32) {
	src := newSource("dropout")
	xData, dyData := opt.round(src.values(n)), opt.round(src.values(n))
	if n > 4 { // an element that is dropped becomes 0, whatever it was
		for i, special := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
			xData[7*i+1], dyData[n-7*i-1] = float32(special), float32(special)
		}
	}
	r := newRig(t, dev, opt)
	x, dy, step := r.input("x", xData, n), r.input("dy", dyData, n), r.inputInt32("step", []int32{at}, 1)
	inPlace := r.inout("dy and dx", dyData, n)
	y, dx := r.output("y", n), r.output("dx", n)
	r.run(func() {
		drop.Forward(y, x, step)
		drop.Backward(dx, dy, step)
		drop.Backward(inPlace, inPlace, step)
	})
	r.check(y, reference.Dropout(s, at, reference.Widen(xData)))
	r.check(dx, reference.Dropout(s, at, reference.Widen(dyData)))
	r.check(inPlace, reference.Dropout(s, at, reference.Widen(dyData)))
}

// testDropoutStatistics counts the kept elements, and compares the masks of two steps and
// of two streams.
func testDropoutStatistics(t *testing.T, dev device.Device, opt Options) {
	const n, rate = 20000, 0.25
	ones := make([]float32, n)
	for i := range ones {
		ones[i] = 1
	}
	mask := func(stream device.Stream, at int32) []byte {
		drop := plan(dev.NewDropout(device.DropoutSpec{Len: n, Rate: rate, Seed: 1, Stream: stream}))(t)
		r := newRig(t, dev, opt)
		x, step, y := r.input("x", ones, n), r.inputInt32("step", []int32{at}, 1), r.output("y", n)
		r.run(func() { drop.Forward(y, x, step) })
		return r.bits(y)
	}
	first := mask(device.StreamDropout, 0)
	kept := 0
	for _, v := range reference.Float32s(first) {
		if v != 0 {
			kept++
		}
	}
	// Five standard deviations of a binomial distribution.
	if off := math.Abs(float64(kept) - n*(1-rate)); off > 5*math.Sqrt(n*rate*(1-rate)) {
		t.Errorf("%d of %d elements kept at rate %v", kept, n, rate)
	}
	if bytes.Equal(first, mask(device.StreamDropout, 1)) {
		t.Error("two steps have the same mask")
	}
	if bytes.Equal(first, mask(device.StreamDropout.Sub(1), 0)) {
		t.Error("two streams have the same mask")
	}
}

func dropoutOperation() Operation {
	return Operation{
		Name: "dropout", Constructor: "NewDropout", Group: Elementwise, Types: allFloats, Test: testDropout, Panics: panicsOfDropout,
		Calls: dropoutCalls,
	}
}

func dropoutCalls(Size) []Call {
	call := func(name, method string, run func(p device.Dropout, y, x, step *device.Tensor)) Call {
		return Call{name, method, func(o *Operands) (Work, error) {
			n := o.elements()
			p, err := o.Device.NewDropout(device.DropoutSpec{Len: n, Rate: 0.3, Seed: 5, Stream: device.StreamDropout, DType: o.DType})
			if err != nil {
				return Work{}, err
			}
			x, y, step := o.uniform(-4, 4, n), o.zeros(n), o.integers(1000, 1)
			return Work{Run: func() { run(p, y, x, step) }, Results: []*device.Tensor{y}, Bytes: bytesOf(x, y)}, nil
		}}
	}
	return []Call{
		call("dropout/forward", "Forward", device.Dropout.Forward),
		call("dropout/backward", "Backward", device.Dropout.Backward),
	}
}

func panicsOfDropout(t *testing.T, dev device.Device) {
	m := memory{t, dev}
	f32 := func(n int) *device.Tensor { return m.tensor(device.Float32, []int{n}) }
	drop := plan(dev.NewDropout(device.DropoutSpec{Len: 8, Rate: 0.5}))(t)
	mustPanic(t, "dropout with a step of another type", func() { drop.Forward(f32(8), f32(8), f32(1)) }, "step", "int32")
	mustPanic(t, "dropout of everything", func() { _, _ = dev.NewDropout(device.DropoutSpec{Len: 8, Rate: 1}) }, "dropout", "1")
}
