package reference

import (
	"math"

	"trainer/nn/device"
)

// eachWindow calls visit for every window of a pooling with the flat index of its
// output, those of its elements inside the image, in row-major order, and the number of its elements inside the padded
// image.
func eachWindow(s device.Pool2DSpec, n int, visit func(y int, inside []int, padded int)) {
	for b := 0; b < n; b++ {
		for i := 0; i < s.OutH(); i++ {
			for j := 0; j < s.OutW(); j++ {
				for c := 0; c < s.C; c++ {
					var inside []int
					padded := 0
					for p := 0; p < s.KH; p++ {
						for q := 0; q < s.KW; q++ {
							row, col := i*s.StrideH+p*max(s.DilationH, 1)-s.PadH, j*s.StrideW+q*max(s.DilationW, 1)-s.PadW
							if row >= 0 && row < s.H && col >= 0 && col < s.W {
								inside = append(inside, ((b*s.H+row)*s.W+col)*s.C+c)
							}
							if row < s.H+s.PadH+s.ExtraPadH && col < s.W+s.PadW+s.ExtraPadW {
								padded++
							}
						}
					}
					visit(((b*s.OutH()+i)*s.OutW()+j)*s.C+c, inside, padded)
				}
			}
		}
	}
}

// divisor returns the number by which a window's sum is divided.
func divisor(s device.Pool2DSpec, inside []int, padded int) float64 {
	if s.Mode == device.AvgPoolExcluding {
		return float64(len(inside))
	}
	return float64(padded)
}

// argMax returns the window's first NaN, or otherwise the first of its largest elements.
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

// Pool2DForward returns y. A maximum is exact.
func Pool2DForward(s device.Pool2DSpec, n int, x []float64) Sums {
	y := NewSums(n*s.OutH()*s.OutW()*s.C, SumUlps(s.KH*s.KW))
	if s.Mode == device.MaxPool {
		y.Ulps = 0
	}
	eachWindow(s, n, func(yi int, inside []int, padded int) {
		if s.Mode == device.MaxPool {
			y.Add(yi, x[argMax(x, inside)])
			return
		}
		for _, xi := range inside {
			y.Add(yi, x[xi]/divisor(s, inside, padded))
		}
	})
	return y
}

// Pool2DBackward returns dx.
func Pool2DBackward(s device.Pool2DSpec, n int, dy, x []float64) Sums {
	dx := NewSums(n*s.H*s.W*s.C, SumUlps(s.KH*s.KW))
	eachWindow(s, n, func(yi int, inside []int, padded int) {
		if s.Mode == device.MaxPool {
			dx.Add(argMax(x, inside), dy[yi])
			return
		}
		for _, xi := range inside {
			dx.Add(xi, dy[yi]/divisor(s, inside, padded))
		}
	})
	return dx
}

type pool2D struct {
	*Operations
	s device.Pool2DSpec
}

// NewPool2D makes a plan of a pooling.
func (o *Operations) NewPool2D(s device.Pool2DSpec) (device.Pool2D, error) {
	s.Check()
	return made[device.Pool2D](o, "pool2d", pool2D{o, s}, o.accepts(s.DType))
}

// check checks images x and y and returns their number.
func (p pool2D) check(op string, x, y *device.Tensor, xName, yName string) int {
	dtype := p.s.DType.OrFloat32()
	n := device.CheckRows(op, xName, x, dtype, p.s.N, p.s.H, p.s.W, p.s.C)
	device.Check(op, yName, y, dtype, n, p.s.OutH(), p.s.OutW(), p.s.C)
	return n
}

func (p pool2D) Forward(y, x *device.Tensor) {
	const op = "pool2d forward"
	n := p.check(op, x, y, "x", "y")
	if p.begin(op) {
		p.store(op, y, Pool2DForward(p.s, n, p.load(x)).Value)
	}
}

func (p pool2D) Backward(dx, dy, y, x *device.Tensor) {
	const op = "pool2d backward"
	p.check(op, x, y, "x", "y")
	n := p.check(op, dx, dy, "dx", "dy")
	require(op, !p.s.NoBackward, "the plan was made with NoBackward")
	if p.begin(op) {
		p.store(op, dx, Pool2DBackward(p.s, n, p.load(dy), p.load(x)).Value)
	}
}
