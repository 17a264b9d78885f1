package devicetest

import (
	"fmt"
	"math"
	"testing"

	"trainer/nn/device"
	"trainer/nn/device/reference"
)

func testCast(t *testing.T, dev device.Device, opt Options) {
	floats := []device.DType{device.Float32, device.Float16, device.BFloat16}
	for _, from := range floats {
		for _, to := range floats {
			if from == to {
				continue
			}
			patterns := castPatterns(from, to)
			for _, n := range []int{1, 7, 1031, len(patterns)} {
				t.Run(fmt.Sprintf("%v-to-%v/%s", from, to, sizeName(n)), func(t *testing.T) {
					runFloatCast(t, dev, opt, device.CastSpec{From: from, To: to, Len: len(patterns)}, patterns[len(patterns)-n:])
				})
			}
		}
	}
}

// castPatterns returns bit patterns of from that are worth converting to to: every
// pattern of a 16-bit type; for float32 random numbers of all sizes, and the
// neighbourhoods of the points where rounding to a 16-bit type changes. Of the NaNs
// only a few are kept, so that none can become the one that marks what is unwritten.
func castPatterns(from, to device.DType) []uint32 {
	var patterns []uint32
	if from != device.Float32 {
		f := reference.FormatOf(from)
		for b := uint32(0); b < 1<<16; b++ {
			payload := b & (1<<f.Fraction - 1)
			if math.IsNaN(f.Decode(b)) && payload != 1 && payload != 1<<f.Fraction-1 {
				continue
			}
			patterns = append(patterns, b)
		}
		return patterns
	}
	src := newSource("cast")
	for len(patterns) < 4000 {
		if b := src.word(); b&0x7FFFFFFF <= 0x7F800000 {
			patterns = append(patterns, b)
		}
	}
	f := reference.FormatOf(to)
	for b := uint32(0); b < 1<<15; b += 1 + b%37 {
		low, high := f.Decode(b), f.Decode(b+1)
		if math.IsNaN(low) || math.IsNaN(high) || math.IsInf(high, 0) {
			continue
		}
		middle := math.Float32bits(float32((low + high) / 2)) // exact in float32
		patterns = append(patterns, middle-1, middle, middle+1, middle|1<<31, math.Float32bits(float32(low)))
	}
	for _, x := range []float64{65504, 65519.996, 65520, 65536, 1e30, math.MaxFloat32, 0x1p-24, 0x1p-25, 0x1.8p-25, 0x1p-26, 0x1p-149, 0x1p-134, 0x1p-133, math.Inf(1), 0} {
		b := math.Float32bits(float32(x))
		patterns = append(patterns, b, b|1<<31)
	}
	return append(patterns, math.Float32bits(float32(math.NaN())), 0x7F800001, 0x7FFFFFFF, 0xFFC00001)
}

// runFloatCast checks that every number is rounded exactly, signs of zero included,
// and that NaN stays NaN.
func runFloatCast(t *testing.T, dev device.Device, opt Options, s device.CastSpec, patterns []uint32) {
	cast := plan(dev.NewCast(s))(t)
	n := len(patterns)
	r := newRig(t, dev, opt)
	src := r.newOperand("src", input, s.From, reference.Pack(s.From, patterns), []int{n})
	dst := r.newOperand("dst", output, s.To, nil, []int{n})
	r.run(func() { cast.Run(dst, src) })
	if err := compareCast(s.From, s.To, patterns, r.bits(dst)); err != nil {
		t.Error(err)
	}
}

func castOperation() Operation {
	return Operation{
		Name: "cast", Constructor: "NewCast", Group: Elementwise, Types: float32Only, Test: testCast, Panics: panicsOfCast,
		Calls: castCalls,
	}
}

// castCalls are the conversions between all types.
func castCalls(Size) []Call {
	var calls []Call
	for _, from := range allFloats {
		for _, to := range allFloats {
			if from == to {
				continue
			}
			calls = append(calls, Call{fmt.Sprintf("cast/%v-to-%v", from, to), "Run", func(o *Operands) (Work, error) {
				n := o.elements()
				p, err := o.Device.NewCast(device.CastSpec{From: from, To: to, Len: n})
				if err != nil {
					return Work{}, err
				}
				src, dst := o.uniformOf(from, -1, 1, n), o.zerosOf(to, n)
				return Work{Run: func() { p.Run(dst, src) }, Results: []*device.Tensor{dst}, Bytes: bytesOf(src, dst)}, nil
			}})
		}
	}
	return calls
}

func panicsOfCast(t *testing.T, dev device.Device) {
	m := memory{t, dev}
	cast := plan(dev.NewCast(device.CastSpec{From: device.Float32, To: device.Float16, Len: 8}))(t)
	mustPanic(t, "a cast of different lengths", func() {
		cast.Run(m.tensor(device.Float16, []int{7}), m.tensor(device.Float32, []int{8}))
	}, "7", "8")
	mustPanic(t, "a cast of another type", func() {
		cast.Run(m.tensor(device.BFloat16, []int{8}), m.tensor(device.Float32, []int{8}))
	}, "bfloat16", "float16")
	mustPanic(t, "a cast from uint8", func() {
		_, _ = dev.NewCast(device.CastSpec{From: device.Uint8, To: device.Float32, Len: 8})
	})
	mustPanic(t, "a cast to int32", func() {
		_, _ = dev.NewCast(device.CastSpec{From: device.Float32, To: device.Int32, Len: 8})
	})
}
