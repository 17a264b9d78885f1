package reference

import (
	"trainer/nn/device"
)

// WeightedSum returns y = alpha*a + beta*b. b may be nil.
func WeightedSum(alpha, beta float64, a, b []float64) Sums {
	y := NewSums(len(a), ElementwiseUlps)
	for i := range a {
		y.Add(i, alpha*a[i])
		if b != nil {
			y.Add(i, beta*b[i])
		}
	}
	return y
}

type weightedSum struct {
	*Operations
	s device.WeightedSumSpec
}

// NewWeightedSum makes a plan of a weighted sum.
func (o *Operations) NewWeightedSum(s device.WeightedSumSpec) (device.WeightedSum, error) {
	require("weighted sum", s.Len > 0, "%+v", s)
	return made[device.WeightedSum](o, "weighted sum", weightedSum{o, s}, o.accepts(s.DType))
}

func (p weightedSum) Run(y, a, b *device.Tensor) {
	const op = "weighted sum"
	n := device.CheckUpTo(op, "y", y, p.s.DType.OrFloat32(), p.s.Len)
	device.CheckLen(op, "a", a, p.s.DType.OrFloat32(), n)
	if b != nil {
		device.CheckLen(op, "b", b, p.s.DType.OrFloat32(), n)
	}
	if p.begin(op) {
		p.store(op, y, WeightedSum(float64(p.s.Alpha), float64(p.s.Beta), p.load(a), p.load(b)).Value)
	}
}
