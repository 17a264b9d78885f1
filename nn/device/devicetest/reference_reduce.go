package devicetest

import (
	"math"

	"trainer/nn/device"
)

// refReduce returns the reduction of a [batch, rows, c], and b for products, over what the spec does not keep.
func refReduce(s device.ReduceSpec, batch int, a, b []float64) sums {
	n := s.Keep.Len(batch, s.Rows, s.C)
	dst := newSums(n, sumUlps(len(a)/n))
	if s.Kind == device.ReduceMax {
		for i := range dst.value {
			dst.value[i] = math.Inf(-1)
		}
	}
	for i, v := range a {
		at := broadcast(s.Keep, i, s.Rows, s.C)
		switch s.Kind {
		case device.ReduceSum:
			dst.add(at, v)
		case device.ReduceSumSquares:
			dst.add(at, v*v)
		case device.ReduceSumProducts:
			dst.add(at, v*b[i])
		case device.ReduceMax:
			largest := max(dst.value[at], v)
			dst.set(at, largest, math.Abs(largest))
		}
	}
	alpha := float64(s.Factor())
	for i, v := range dst.value {
		dst.set(i, alpha*v, math.Abs(alpha)*dst.magnitude[i])
	}
	if s.Kind == device.ReduceMax {
		dst.ulps = 1 // alpha's product
	}
	return dst
}

// broadcast returns which element of a tensor with some dimensions of [batch, rows, c] belongs to element i of
// one with all of them.
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
