package devicetest

import (
	"math"

	"trainer/nn/device"
)

// eachWindow calls visit for every window of a pooling with the flat index of its
// output and those of its elements inside the image, in row-major order.
func eachWindow(s device.Pool2DSpec, n int, visit func(y int, inside []int)) {
	for b := 0; b < n; b++ {
		for i := 0; i < s.OutH(); i++ {
			for j := 0; j < s.OutW(); j++ {
				for c := 0; c < s.C; c++ {
					var inside []int
					for p := 0; p < s.KH; p++ {
						for q := 0; q < s.KW; q++ {
							row, col := i*s.StrideH+p-s.PadH, j*s.StrideW+q-s.PadW
							if row >= 0 && row < s.H && col >= 0 && col < s.W {
								inside = append(inside, ((b*s.H+row)*s.W+col)*s.C+c)
							}
						}
					}
					visit(((b*s.OutH()+i)*s.OutW()+j)*s.C+c, inside)
				}
			}
		}
	}
}

// divisor returns what a window's sum is divided by.
func divisor(s device.Pool2DSpec, inside []int) float64 {
	if s.Mode == device.AvgPoolExcluding {
		return float64(len(inside))
	}
	return float64(s.KH * s.KW)
}

// argMax returns the window's first NaN, or else the first of its largest elements.
func argMax(x []float64, inside []int) int {
	best := inside[0]
	for _, i := range inside {
		if math.IsNaN(x[i]) {
			return i
		}
		if x[i] > x[best] {
			best = i
		}
	}
	return best
}

// refPool2DForward returns y. A maximum is exact.
func refPool2DForward(s device.Pool2DSpec, n int, x []float64) sums {
	y := newSums(n*s.OutH()*s.OutW()*s.C, sumUlps(s.KH*s.KW))
	if s.Mode == device.MaxPool {
		y.ulps = 0
	}
	eachWindow(s, n, func(yi int, inside []int) {
		if s.Mode == device.MaxPool {
			y.add(yi, x[argMax(x, inside)])
			return
		}
		for _, xi := range inside {
			y.add(yi, x[xi]/divisor(s, inside))
		}
	})
	return y
}

// refPool2DBackward returns dx.
func refPool2DBackward(s device.Pool2DSpec, n int, dy, x []float64) sums {
	dx := newSums(n*s.H*s.W*s.C, sumUlps(s.KH*s.KW))
	eachWindow(s, n, func(yi int, inside []int) {
		if s.Mode == device.MaxPool {
			dx.add(argMax(x, inside), dy[yi])
			return
		}
		for _, xi := range inside {
			dx.add(xi, dy[yi]/divisor(s, inside))
		}
	})
	return dx
}
