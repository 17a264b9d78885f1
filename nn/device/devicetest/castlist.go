package devicetest

import (
	"fmt"
	"math"
	"testing"

	"trainer/nn/device"
	"trainer/nn/device/reference"
)

// testCastList checks the conversion of lists of tensors, from float32 and back, number by number.
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
