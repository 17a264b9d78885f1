package devicetest

import (
	"math"

	"trainer/nn/device"
)

// refReduce returns the reduction of x [rows, c].
func refReduce(kind device.ReduceKind, c int, x []float64) sums {
	if kind == device.ReduceSumRows {
		dst := newSums(c, sumUlps(len(x)/c))
		for i, v := range x {
			dst.add(i%c, v)
		}
		return dst
	}
	dst := newSums(1, sumUlps(len(x)))
	for _, v := range x {
		switch {
		case kind == device.ReduceSum:
			dst.add(0, v)
		case kind == device.ReduceSumSquares:
			dst.add(0, v*v)
		case math.IsNaN(v) || math.IsInf(v, 0):
			dst.add(0, 1)
		}
	}
	if kind == device.ReduceNonFinite {
		dst.ulps = 0
	}
	return dst
}
