package devicetest

import (
	"slices"
	"testing"

	"trainer/nn/device"
)

// testSlices checks device.Slicer: a slice has the elements of its part, whatever changes one is seen through the other, and nothing
// beside the part changes.
func testSlices(t *testing.T, dev device.Device) {
	slicer, ok := dev.(device.Slicer)
	if !ok {
		return
	}
	const unit = device.SliceAlignment
	for name, part := range map[string]struct{ from, n int }{
		"all": {0, 5*unit + 7}, "begin": {0, 3}, "middle": {2 * unit, unit + 1}, "end": {5 * unit, 7},
	} {
		t.Run("slice-"+name, func(t *testing.T) {
			m := memory{t, dev}
			x := m.tensor(device.Float32, []int{1, 5*unit + 7})
			want := ramp(x.Len(), 1)
			m.upload(x, device.Bytes(want))
			s := slicer.Slice(x, part.from, part.n)
			device.Check("Slice", "result", s, device.Float32, part.n)
			own := want[part.from : part.from+part.n]
			m.holds("slice", s, device.Bytes(own))

			copy(own, ramp(part.n, 1000)) // own is a part of want
			m.upload(s, device.Bytes(own))
			m.holds("all after an upload to the slice", x, device.Bytes(want))

			doubled := m.tensor(device.Float32, []int{part.n})
			twice, err := dev.NewMap(device.MapSpec{Kind: device.MapAffine, Batch: 1, Rows: 1, C: part.n, Alpha: 2, DType: device.Float32})
			if err != nil {
				t.Fatal(err)
			}
			twice.Run(doubled, s, nil)
			twice.Run(s, s, nil)
			for i := range own {
				own[i] *= 2
			}
			m.holds("a result of the slice", doubled, device.Bytes(own))
			m.holds("all after an operation on the slice", x, device.Bytes(want))

			dev.Zero(s)
			clear(own)
			m.holds("all after the slice was cleared", x, device.Bytes(want))
			dev.Copy(s, doubled)
			m.upload(x, device.Bytes(ramp(x.Len(), 3)))
			m.holds("slice after an upload to all", s, device.Bytes(ramp(x.Len(), 3)[part.from:part.from+part.n]))
		})
	}
	t.Run("slice-uploads-in-order", func(t *testing.T) { // as small uploads may wait for each other
		m := memory{t, dev}
		x := m.tensor(device.Float32, []int{2 * unit})
		s := slicer.Slice(x, unit, unit)
		again := slicer.Slice(s, 0, 3)
		m.upload(x, device.Bytes(ramp(2*unit, 1)))
		m.upload(s, device.Bytes(ramp(unit, 500)))
		m.upload(again, device.Bytes(ramp(3, 900)))
		want := slices.Concat(ramp(unit, 1), ramp(3, 900), ramp(unit, 500)[3:])
		m.holds("all after uploads to it, a slice, and a slice of that", x, device.Bytes(want))
		m.upload(s, device.Bytes(ramp(unit, 700)))
		m.upload(x, device.Bytes(ramp(2*unit, 2)))
		m.holds("slice after an upload to all", s, device.Bytes(ramp(2*unit, 2)[unit:]))
	})
}

// ramp returns n different numbers.
func ramp(n int, from float32) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = from + float32(i)
	}
	return x
}

func panicsOfSlices(t *testing.T, dev device.Device) {
	slicer, ok := dev.(device.Slicer)
	if !ok {
		return
	}
	m := memory{t, dev}
	x, ints := m.tensor(device.Float32, []int{3, 64}), m.tensor(device.Int32, []int{64})
	mustPanic(t, "slice from within a unit", func() { slicer.Slice(x, 1, 5) }, "float32[3 64]", "5 elements from 1 on", "multiple of 64")
	mustPanic(t, "slice of too many", func() { slicer.Slice(x, 128, 65) }, "float32[3 64]", "65 elements from 128 on")
	mustPanic(t, "slice of none", func() { slicer.Slice(x, 64, 0) }, "float32[3 64]")
	mustPanic(t, "slice before the first", func() { slicer.Slice(x, -64, 64) }, "float32[3 64]")
	mustPanic(t, "slice of another type", func() { slicer.Slice(ints, 0, 64) }, "int32[64]")
	x.SetRows(2)
	mustPanic(t, "slice beyond the rows", func() { slicer.Slice(x, 64, 65) }, "float32[2 64]")
}
