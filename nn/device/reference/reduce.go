package reference

import (
	"math"

	"trainer/nn/device"
)

// Reduce returns the reduction of a [batch, rows, c], and b for products, over the dimensions that the spec does not
// keep.
func Reduce(s device.ReduceSpec, batch int, a, b []float64) Sums {
	n := s.Keep.Len(batch, s.Rows, s.C)
	dst := NewSums(n, SumUlps(len(a)/n))
	for i, v := range a {
		at := broadcast(s.Keep, i, s.Rows, s.C)
		switch s.Kind {
		case device.ReduceSum:
			dst.Add(at, v)
		case device.ReduceSumSquares:
			dst.Add(at, v*v)
		case device.ReduceSumProducts:
			dst.Add(at, v*b[i])
		}
	}
	alpha := float64(s.Factor())
	for i, v := range dst.Value {
		dst.Set(i, alpha*v, math.Abs(alpha)*dst.Magnitude[i])
	}
	return dst
}

// broadcast returns the index of the element, in a tensor with some of the dimensions [batch, rows, c], that belongs to
// element i of a tensor with all of them.
func broadcast(axes device.Axes, i, rows, c int) int {
	at := 0
	if axes&device.AxisBatch != 0 {
		at = i / (rows * c)
	}
	if axes&device.AxisRows != 0 {
		at = at*rows + i/c%rows
	}
	if axes&device.AxisC != 0 {
		at = at*c + i%c
	}
	return at
}

type reduce struct {
	*Operations
	s device.ReduceSpec
}

// NewReduce makes a plan of a reduction.
func (o *Operations) NewReduce(s device.ReduceSpec) (device.Reduce, error) {
	s.Check()
	return made[device.Reduce](o, "reduce", reduce{o, s}, o.accepts(s.DType))
}

func (p reduce) Run(dst, a, b *device.Tensor) {
	const op = "reduce"
	batch := p.s.CheckOperands(dst, a, b)
	if p.begin(op) {
		p.store(op, dst, Reduce(p.s, batch, p.load(a), p.load(b)).Value)
	}
}
