package reference

import (
	"math"

	"trainer/nn/device"
)

// span is a range of images or of filters: from is in it, to is not.
type span struct{ from, to int }

// eachRun calls visit for the products x*w of the convolution's defining sum
//
//	y[b,i,j,o] = sum_{p,q,c} x[b, i*strideH + p*dilationH - padH, j*strideW + q*dilationW - padW, g*inC/groups + c] * w[o,p,q,c]
//
// that belong to the images b and the filters o, with the flat indices of the three elements. A call stands for a run of
// inC/groups products: x and w advance by one from product to product, y stays. Forward adds x*w to y; the gradients come
// from the same sum, read in reverse: dx gets dy*w, and dw gets dy*x.
func eachRun(s device.Conv2DSpec, images, filters span, visit func(y, x, w int)) {
	outH, outW := s.OutH(), s.OutW()
	groupIn, groupOut := s.InC/s.Groups, s.OutC/s.Groups
	for b := images.from; b < images.to; b++ {
		for i := 0; i < outH; i++ {
			for j := 0; j < outW; j++ {
				for p := 0; p < s.KH; p++ {
					for q := 0; q < s.KW; q++ {
						row := i*s.StrideH + p*s.DilationH - s.PadH
						col := j*s.StrideW + q*s.DilationW - s.PadW
						if row < 0 || row >= s.H || col < 0 || col >= s.W {
							continue
						}
						for o := filters.from; o < filters.to; o++ {
							y := ((b*outH+i)*outW+j)*s.OutC + o
							x := ((b*s.H+row)*s.W+col)*s.InC + o/groupOut*groupIn
							w := ((o*s.KH+p)*s.KW + q) * groupIn
							visit(y, x, w)
						}
					}
				}
			}
		}
	}
}

// Conv2DForward returns y. bias may be nil.
func Conv2DForward(s device.Conv2DSpec, n int, x, w, bias []float64) Sums {
	y := NewSums(n*s.OutH()*s.OutW()*s.OutC, SumUlps(s.KH*s.KW*s.InC/s.Groups+1)).WithBias(bias != nil)
	length := s.InC / s.Groups
	eachTask(n, func(b int) {
		eachRun(s, span{b, b + 1}, span{0, s.OutC}, func(yi, xi, wi int) {
			value, magnitude, filter := y.Value[yi], y.Magnitude[yi], w[wi:wi+length]
			for c, v := range x[xi : xi+length] {
				term := v * filter[c]
				value += term
				magnitude += math.Abs(term)
			}
			y.Set(yi, value, magnitude)
		})
	})
	if bias != nil {
		for i := range y.Value {
			y.AddBias(i, bias[i%s.OutC])
		}
	}
	return y
}

// Conv2DBackwardData returns dx.
func Conv2DBackwardData(s device.Conv2DSpec, n int, dy, w []float64) Sums {
	dx := NewSums(n*s.H*s.W*s.InC, SumUlps(s.KH*s.KW*s.OutC/s.Groups))
	length := s.InC / s.Groups
	eachTask(n, func(b int) {
		eachRun(s, span{b, b + 1}, span{0, s.OutC}, func(yi, xi, wi int) { dx.addScaled(xi, dy[yi], w[wi:wi+length]) })
	})
	return dx
}

// Conv2DBackwardFilter returns dw and dbias.
func Conv2DBackwardFilter(s device.Conv2DSpec, n int, dy, x []float64) (dw, dbias Sums) {
	k := n * s.OutH() * s.OutW()
	dw = NewSums(s.OutC*s.KH*s.KW*s.InC/s.Groups, SumUlps(k))
	length := s.InC / s.Groups
	eachTask(s.OutC, func(o int) {
		eachRun(s, span{0, n}, span{o, o + 1}, func(yi, xi, wi int) { dw.addScaled(wi, dy[yi], x[xi:xi+length]) })
	})
	dbias = NewSums(s.OutC, SumUlps(k))
	for i, d := range dy {
		dbias.Add(i%s.OutC, d)
	}
	return dw, dbias
}

type conv2D struct {
	*Operations
	s device.Conv2DSpec
}

// NewConv2D makes a plan of a convolution.
func (o *Operations) NewConv2D(s device.Conv2DSpec) (device.Conv2D, error) {
	s.Check()
	return made[device.Conv2D](o, "conv2d", conv2D{o, s}, o.accepts(s.DType))
}

func (conv2D) Algorithm() string { return "reference" }
func (conv2D) Workspace() int64  { return 0 }

// check checks images x and y and filters w, which may be nil, and returns the number of images.
func (p conv2D) check(op string, x, y, w *device.Tensor, xName, yName, wName string) int {
	s, dtype := p.s, p.s.DType.OrFloat32()
	n := device.CheckRows(op, xName, x, dtype, s.N, s.H, s.W, s.InC)
	device.Check(op, yName, y, dtype, n, s.OutH(), s.OutW(), s.OutC)
	if w != nil {
		device.Check(op, wName, w, dtype, s.OutC, s.KH, s.KW, s.InC/s.Groups)
	}
	return n
}

func (p conv2D) Forward(y, x, w, bias *device.Tensor) {
	const op = "conv2d forward"
	n := p.check(op, x, y, w, "x", "y", "w")
	checkBias(op, bias, p.s.Bias, p.s.OutC)
	if p.begin(op) {
		p.store(op, y, Conv2DForward(p.s, n, p.load(x), p.load(w), p.load(bias)).Value)
	}
}

func (p conv2D) BackwardData(dx, dy, w *device.Tensor) {
	const op = "conv2d backward data"
	n := p.check(op, dx, dy, w, "dx", "dy", "w")
	require(op, !p.s.NoBackward && !p.s.NoBackwardData, "the plan was made without this pass")
	if p.begin(op) {
		p.store(op, dx, Conv2DBackwardData(p.s, n, p.load(dy), p.load(w)).Value)
	}
}

func (p conv2D) BackwardFilter(dw, dbias, dy, x *device.Tensor) {
	const op = "conv2d backward filter"
	n := p.check(op, x, dy, dw, "x", "dy", "dw")
	require(op, !p.s.NoBackward, "the plan was made without this pass")
	if dbias != nil {
		device.Check(op, "dbias", dbias, device.Float32, p.s.OutC)
	}
	if !p.begin(op) {
		return
	}
	gradientW, gradientBias := Conv2DBackwardFilter(p.s, n, p.load(dy), p.load(x))
	p.store(op, dw, gradientW.Value)
	p.store(op, dbias, gradientBias.Value)
}
