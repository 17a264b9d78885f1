package reference

import (
	"math"

	"trainer/nn/device"
)

// Reduce returns the reduction of x [rows, c].
func Reduce(kind device.ReduceKind, c int, x []float64) Sums {
	if kind == device.ReduceSumRows {
		dst := NewSums(c, SumUlps(len(x)/c))
		for i, v := range x {
			dst.Add(i%c, v)
		}
		return dst
	}
	dst := NewSums(1, SumUlps(len(x)))
	for _, v := range x {
		switch {
		case kind == device.ReduceSum:
			dst.Add(0, v)
		case kind == device.ReduceSumSquares:
			dst.Add(0, v*v)
		case math.IsNaN(v) || math.IsInf(v, 0):
			dst.Add(0, 1)
		}
	}
	if kind == device.ReduceNonFinite {
		dst.Ulps = 0
	}
	return dst
}

type reduce struct {
	*Operations
	s device.ReduceSpec
}

// NewReduce makes a plan of a reduction.
func (o *Operations) NewReduce(s device.ReduceSpec) (device.Reduce, error) {
	require("reduce", s.Rows > 0 && s.C > 0, "%+v", s)
	return made[device.Reduce](o, "reduce", reduce{o, s}, o.accepts(s.DType))
}

func (p reduce) Run(dst, src *device.Tensor) {
	const op = "reduce"
	device.CheckUpTo(op, "src", src, p.s.DType.OrFloat32(), p.s.Rows*p.s.C)
	if p.begin(op) {
		p.store(op, dst, Reduce(p.s.Kind, p.s.C, p.load(src)).Value)
	}
}
