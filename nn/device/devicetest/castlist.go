package devicetest

import (
	"fmt"
	"math"
	"testing"

	"trainer/nn/device"
	"trainer/nn/device/reference"
)

// testCastList checks the conversion of lists of tensors, from float32 and back, element by element.
func testCastList(t *testing.T, dev device.Device, opt Options, mixed device.MixedPrecision) {
	for _, way := range [][2]device.DType{{device.Float32, opt.dtype()}, {opt.dtype(), device.Float32}} {
		patterns := castPatterns(way[0], way[1])
		for _, sizes := range [][]int{{1}, {7, 1, 1031}, {len(patterns)}, {33, 4099 % len(patterns), 2048, 64}} {
			t.Run(fmt.Sprintf("%v-to-%v/%v", way[0], way[1], sizes), func(t *testing.T) {
				runCastList(t, dev, opt, mixed, way[0], way[1], patterns, sizes)
			})
		}
	}
	t.Run("empty", func(t *testing.T) { plan(mixed.NewCastList(device.CastListSpec{}))(t).Run() })
}

func runCastList(t *testing.T, dev device.Device, opt Options, mixed device.MixedPrecision, from, to device.DType, patterns []uint32, sizes []int) {
	r := newRig(t, dev, opt)
	var s device.CastListSpec
	var parts [][]uint32
	for i, n := range sizes {
		part := patterns[len(patterns)-n:]
		parts = append(parts, part)
		s.Src = append(s.Src, r.newOperand(fmt.Sprintf("src %d", i), input, from, reference.Pack(from, part), []int{n}))
		s.Dst = append(s.Dst, r.newOperand(fmt.Sprintf("dst %d", i), output, to, nil, []int{n}))
	}
	casts := plan(mixed.NewCastList(s))(t)
	r.run(casts.Run)
	for i, part := range parts {
		if err := compareCast(from, to, part, r.bits(s.Dst[i])); err != nil {
			t.Errorf("tensor %d: %v", i, err)
		}
	}
}

// compareCast returns an error that names the first elements which are not the patterns' numbers rounded to
// the type, signs of zero included; NaN stays NaN.
func compareCast(from, to device.DType, patterns []uint32, elements []byte) error {
	numbers := reference.Unpack(from, reference.Pack(from, patterns))
	wrong := mismatches{total: len(patterns)}
	for i, got := range reference.Unpack(to, elements) {
		want := reference.FormatOf(to).Round(numbers[i])
		same := got == want && math.Signbit(got) == math.Signbit(want)
		if !same && !(math.IsNaN(got) && math.IsNaN(want)) {
			wrong.add("[%d]: %v (%#x) became %v, want %v", i, numbers[i], patterns[i], got, want)
		}
	}
	return wrong.err()
}

func castListOperation() Operation {
	return Operation{
		Name: "cast-list", Constructor: "NewCastList", Group: Elementwise, Types: halfOnly, Test: testCastLists, Panics: panicsOfCastLists,
		Calls: castListCalls,
	}
}

func testCastLists(t *testing.T, dev device.Device, opt Options) {
	testCastList(t, dev, opt, mixedPrecision(t, dev))
}

// mixedPrecision returns the device as a device.MixedPrecision, or skips the test.
func mixedPrecision(t *testing.T, dev device.Device) device.MixedPrecision {
	t.Helper()
	mixed, ok := dev.(device.MixedPrecision)
	if !ok {
		t.Skip("the device has no MixedPrecision")
	}
	return mixed
}

// castListCalls are the conversions of weights to a type of 16 bits and from it.
func castListCalls(Size) []Call {
	call := func(name string, narrow bool) Call {
		return Call{name, "Run", func(o *Operands) (Work, error) {
			mixed, ok := o.Device.(device.MixedPrecision)
			if !ok {
				return Work{}, device.ErrNotSupported
			}
			var s device.CastListSpec
			for _, n := range o.weightSizes() {
				if narrow {
					s.Dst, s.Src = append(s.Dst, o.zeros(n)), append(s.Src, o.uniformFloat32(-1, 1, n))
				} else {
					s.Dst, s.Src = append(s.Dst, o.zerosFloat32(n)), append(s.Src, o.uniform(-1, 1, n))
				}
			}
			p, err := mixed.NewCastList(s)
			if err != nil {
				return Work{}, err
			}
			return Work{Run: p.Run, Results: s.Dst, Bytes: bytesOf(s.Dst...) + bytesOf(s.Src...)}, nil
		}}
	}
	return []Call{call("cast-list/from-float32", true), call("cast-list/to-float32", false)}
}

func panicsOfCastLists(t *testing.T, dev device.Device) {
	panicsOfCastList(t, dev, mixedPrecision(t, dev))
}

func panicsOfCastList(t *testing.T, dev device.Device, mixed device.MixedPrecision) {
	m := memory{t, dev}
	of := func(dtype device.DType, n int) *device.Tensor { return m.tensor(dtype, []int{n}) }
	list := func(dst, src []*device.Tensor) func() {
		return func() { _, _ = mixed.NewCastList(device.CastListSpec{Dst: dst, Src: src}) }
	}
	half, single := []*device.Tensor{of(device.Float16, 8)}, []*device.Tensor{of(device.Float32, 8)}
	mustPanic(t, "lists of different lengths", list(half, nil), "1", "0")
	mustPanic(t, "tensors of different lengths", list(half, []*device.Tensor{of(device.Float32, 7)}), "7", "8")
	mustPanic(t, "a list from float32 to float32", list(single, single), "float32")
	mustPanic(t, "a list between 16-bit types", list(half, []*device.Tensor{of(device.BFloat16, 8)}), "bfloat16")
	mustPanic(t, "a list of two types", list(append(half, of(device.BFloat16, 8)), append(single, of(device.Float32, 8))), "bfloat16")
}
