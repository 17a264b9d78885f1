package cpu

import (
	"testing"

	"trainer/nn/device"
)

func TestWeightedSum(t *testing.T) {
	o := newOperands(t)
	p := must(o.d.NewWeightedSum(device.WeightedSumSpec{Len: 4, Alpha: 2, Beta: -1}))
	a, b, y := o.floats([]float32{1, 2, 3}), o.floats([]float32{10, 20, 30}), o.zeros(3)
	p.Run(y, a, b)
	wantFloats(t, "y", y, 0, -8, -16, -24)
	p.Run(y, a, nil)
	wantFloats(t, "y of a alone", y, 0, 2, 4, 6)
	p.Run(b, a, b)
	wantFloats(t, "y over b", b, 0, -8, -16, -24)
}
