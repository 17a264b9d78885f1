package cpu

import (
	"trainer/cpu/internal/vector"
	"trainer/nn/device"
)

// maxPool is the plan of max pooling. Forward stores the position of each maximum in its
// window, and Backward adds the gradient there:
//
//	y = max over the window       dx[argmax] += dy
//
// With ReLU, a maximum that isn't positive passes no gradient: its position is set to
// nowhere, which no element has.
type maxPool[P vector.Position] struct {
	pool2D
	loops   vector.Pool[P]
	arg     []P         // [n,outH,outW,c]; without Backward, scratch of [workers,outW,c]
	nowhere P           // kH*kW
	packed  [][]float32 // one per worker, if windows have gaps between their columns: the elements of one window, side by side
}

func newMaxPool[P vector.Position](g pool2D, loops vector.Pool[P]) *maxPool[P] {
	s := g.spec
	p := &maxPool[P]{pool2D: g, loops: loops, nowhere: P(s.KH * s.KW)}
	rows := s.N * g.outH
	if s.NoBackward {
		rows = g.d.pool.Workers()
	}
	p.arg = zeroed[P](rows * g.outW * s.C)
	if g.dilationW > 1 {
		p.packed = make([][]float32, g.d.pool.Workers())
		for i := range p.packed {
			p.packed[i] = zeroed[float32](s.KH * s.KW * s.C)
		}
	}
	return p
}

func (p *maxPool[P]) Forward(y, x *device.Tensor) {
	p.d.pool.Run(p.takeForward(y, x), (*maxPoolForward[P])(p))
}

func (p *maxPool[P]) Backward(dx, dy, y, x *device.Tensor) {
	tasks := p.takeBackward(dx, dy, y, x)
	if p.disjoint {
		p.d.pool.Run(tasks, (*maxPoolGather[P])(p))
		return
	}
	p.d.pool.Run(tasks, (*maxPoolScatter[P])(p))
}

// maxPoolForward is the loop over groups of rows of outputs.
type maxPoolForward[P vector.Position] maxPool[P]

func (p *maxPoolForward[P]) Do(task, worker int) {
	length := p.outW * p.spec.C
	for r := task * p.rows; r < min((task+1)*p.rows, p.n*p.outH); r++ {
		kept := r
		if p.spec.NoBackward {
			kept = worker
		}
		p.row(p.y[r*length:][:length], p.arg[kept*length:][:length], r, worker)
	}
}

// row computes row r of outputs; r counts the rows of all images.
func (p *maxPoolForward[P]) row(y []float32, arg []P, r, worker int) {
	s, n, i := p.spec, r/p.outH, r%p.outH
	if s.KH == 2 && s.KW == 2 && s.StrideW == 2 && p.plain {
		upper, lower := p.x[p.pixel(n, i*s.StrideH, 0):], p.x[p.pixel(n, i*s.StrideH+1, 0):]
		if p.relu {
			p.loops.Max2x2ReLU(y, arg, upper, lower, s.C)
			return
		}
		p.loops.Max2x2(y, arg, upper, lower, s.C)
		return
	}
	for j := range p.outW {
		w := p.window(i, j)
		x, stride := p.x[p.pixel(n, w.y, w.x):], p.dilationH*s.W*s.C
		if p.packed != nil {
			x, stride = p.pack(p.packed[worker], n, w), w.columns*s.C
		}
		p.loops.Max(y[j*s.C:][:s.C], arg[j*s.C:][:s.C], x, vector.Window{
			Rows: w.rows, Columns: w.columns, Stride: stride, First: w.a*s.KW + w.b, Step: s.KW,
		})
	}
	if p.relu {
		p.loops.ReLU(y, arg, p.nowhere)
	}
}

// pack copies the elements of a window of image n to dst.
func (p *maxPoolForward[P]) pack(dst []float32, n int, w poolWindow) []float32 {
	c, at := p.spec.C, 0
	for a := range w.rows {
		for b := range w.columns {
			at += copy(dst[at:at+c], p.x[p.pixel(n, w.y+a*p.dilationH, w.x+b*p.dilationW):])
		}
	}
	return dst
}

// maxPoolGather is Backward for disjoint windows, over groups of rows of windows: each
// element of dx is its window's dy if it was the maximum, otherwise 0.
type maxPoolGather[P vector.Position] maxPool[P]

func (p *maxPoolGather[P]) Do(task, _ int) {
	for r := task * p.rows; r < min((task+1)*p.rows, p.n*p.outH); r++ {
		p.row(r)
	}
}

// row computes the rows of dx that row r of windows covers.
func (p *maxPoolGather[P]) row(r int) {
	s := p.spec
	n, i := r/p.outH, r%p.outH
	from, to := p.covered(i)
	if s.KH == 2 && s.KW == 2 && s.StrideW == 2 && to-from >= 2 {
		p.pairOfRows(r, p.dx[p.pixel(n, from, 0):][:s.W*s.C], p.dx[p.pixel(n, from+1, 0):][:s.W*s.C])
		from += 2
	}
	for ; from < to; from++ {
		dx := p.dx[p.pixel(n, from, 0):][:s.W*s.C]
		a := from - i*s.StrideH // row in the window
		if a >= s.KH {
			clear(dx)
			continue
		}
		done := 0
		for j := 0; j < p.outW; j++ {
			at := p.output(r, j)
			dy, arg := p.dy[at:][:s.C], p.arg[at:][:s.C]
			start := j * s.StrideW * s.C
			clear(dx[done:start])
			for b := 0; b < s.KW; b++ {
				p.loops.Gather(dx[start+b*s.C:][:s.C], dy, arg, P(a*s.KW+b))
			}
			done = start + s.KW*s.C
		}
		clear(dx[done:])
	}
}

// pairOfRows is row for 2x2 windows with stride 2: it computes both rows of dx at once.
func (p *maxPoolGather[P]) pairOfRows(r int, upper, lower []float32) {
	length := p.outW * p.spec.C
	p.loops.Gather2x2(upper, lower, p.dy[r*length:][:length], p.arg[r*length:][:length], p.spec.C)
	clear(upper[2*length:])
	clear(lower[2*length:])
}

// maxPoolScatter is Backward for overlapping windows, over images: each window adds its
// gradient to the element that was its maximum.
type maxPoolScatter[P vector.Position] maxPool[P]

func (p *maxPoolScatter[P]) Do(n, _ int) {
	s := p.spec
	clear(p.dx[p.pixel(n, 0, 0):p.pixel(n+1, 0, 0)])
	for i := range p.outH {
		for j := range p.outW {
			at, w := p.output(n*p.outH+i, j), p.window(i, j)
			dy, arg := p.dy[at:][:s.C], p.arg[at:][:s.C]
			for a := range w.rows {
				for b := range w.columns {
					dx := p.dx[p.pixel(n, w.y+a*p.dilationH, w.x+b*p.dilationW):][:s.C]
					p.loops.GatherAdd(dx, dy, arg, P((w.a+a)*s.KW+w.b+b))
				}
			}
		}
	}
}
