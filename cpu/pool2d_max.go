package cpu

import (
	"math"

	"trainer/nn/device"
)

// position is the type that numbers a window's elements in row-major order. Windows are
// small, so that a byte is nearly always enough.
type position interface{ uint8 | int32 }

// maxPool is the plan of max pooling. Forward keeps where in its window each maximum
// was, and Backward sends the gradient there:
//
//	y = max over the window       dx[argmax] += dy
//
// With ReLU, a maximum that isn't positive passes no gradient: its position is that of
// no element.
type maxPool[P position] struct {
	pool2D
	arg     []P   // [n,outH,outW,c]; without Backward, scratch of [workers,c]
	nowhere P     // kH*kW
	offset  []int // from the first pixel of a window to each of its elements, in dx
}

func newMaxPool[P position](g pool2D) *maxPool[P] {
	s := g.spec
	p := &maxPool[P]{pool2D: g, nowhere: P(s.KH * s.KW)}
	for i := 0; i < s.KH*s.KW; i++ {
		p.offset = append(p.offset, (i/s.KW*s.W+i%s.KW)*s.C)
	}
	n := s.N * g.outH * g.outW
	if s.NoBackward {
		n = g.d.pool.Workers()
	}
	p.arg = make([]P, n*s.C)
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
type maxPoolForward[P position] maxPool[P]

func (p *maxPoolForward[P]) Do(task, worker int) {
	c := p.spec.C
	for r := task * p.rows; r < min((task+1)*p.rows, p.n*p.outH); r++ {
		for j := 0; j < p.outW; j++ {
			at := p.output(r, j)
			y, arg := p.y[at:][:c], p.arg[worker*c:][:c]
			if !p.spec.NoBackward {
				arg = p.arg[at:][:c]
			}
			p.largest(y, arg, r/p.outH, p.window(r%p.outH, j))
			if p.relu {
				dropNegative(y, arg, p.nowhere)
			}
		}
	}
}

// largest computes the maxima of one window and their positions, for each channel.
func (p *maxPoolForward[P]) largest(y []float32, arg []P, n int, w poolWindow) {
	c, kW := len(y), p.spec.KW
	if p.spec.KH == 2 && kW == 2 && w.bottom-w.top == 2 && w.right-w.left == 2 {
		upper, lower := p.x[p.pixel(n, w.top, w.left):][:2*c], p.x[p.pixel(n, w.top+1, w.left):][:2*c]
		largestOf4(y, arg, upper[:c], upper[c:], lower[:c], lower[c:])
		return
	}
	first := P((w.top-w.y)*kW + w.left - w.x)
	copy(y, p.x[p.pixel(n, w.top, w.left):][:c])
	for i := range arg {
		arg[i] = first
	}
	for row := w.top; row < w.bottom; row++ {
		k := (row-w.y)*kW - w.x
		col := w.left
		for ; col+3 <= w.right; col += 3 {
			x := p.x[p.pixel(n, row, col):][:3*c]
			largerOf3(y, arg, x[:c], x[c:2*c], x[2*c:], P(k+col))
		}
		for ; col < w.right; col++ {
			larger(y, arg, p.x[p.pixel(n, row, col):][:c], P(k+col))
		}
	}
}

// The choices below are between integers, which compile to conditional moves: which
// element of a window is the largest is as good as random, and a mispredicted branch
// would cost more than all the rest. A sum tells whether NaN may be among the
// elements, which is rare, and then the careful way is taken.

// largestOf4 computes y, the first of the largest of x0 to x3, and its position.
func largestOf4[P position](y []float32, arg []P, x0, x1, x2, x3 []float32) {
	n := len(y)
	arg, x0, x1, x2, x3 = arg[:n], x0[:n], x1[:n], x2[:n], x3[:n]
	for i := range y {
		a, b, c, d := x0[i], x1[i], x2[i], x3[i]
		if s := (a + b) + (c + d); s != s {
			y[i], arg[i] = a, 0
			y[i], arg[i] = largerOrNaN(y[i], arg[i], b, 1)
			y[i], arg[i] = largerOrNaN(y[i], arg[i], c, 2)
			y[i], arg[i] = largerOrNaN(y[i], arg[i], d, 3)
			continue
		}
		upper, lower, right, lowerRight := math.Float32bits(a), math.Float32bits(c), math.Float32bits(b), math.Float32bits(d)
		upperAt, lowerAt := uint32(0), uint32(2)
		if b > a {
			upper, upperAt = right, 1
		}
		if d > c {
			lower, lowerAt = lowerRight, 3
		}
		best, bestAt := upper, upperAt
		if math.Float32frombits(lower) > math.Float32frombits(upper) {
			best, bestAt = lower, lowerAt
		}
		y[i], arg[i] = math.Float32frombits(best), P(bestAt)
	}
}

// larger replaces y by x, whose position is at, where x is larger.
func larger[P position](y []float32, arg []P, x []float32, at P) {
	n := len(y)
	arg, x = arg[:n], x[:n]
	for i, v := range x {
		old := y[i]
		if s := v + old; s != s {
			y[i], arg[i] = largerOrNaN(old, arg[i], v, at)
			continue
		}
		best, bestAt, bits := math.Float32bits(old), uint32(arg[i]), math.Float32bits(v)
		if v > old {
			best, bestAt = bits, uint32(at)
		}
		y[i], arg[i] = math.Float32frombits(best), P(bestAt)
	}
}

// largerOf3 is larger for three neighbours, at position at and the two behind it.
func largerOf3[P position](y []float32, arg []P, x0, x1, x2 []float32, at P) {
	n := len(y)
	arg, x0, x1, x2 = arg[:n], x0[:n], x1[:n], x2[:n]
	for i, old := range y {
		a, b, c := x0[i], x1[i], x2[i]
		if s := (old + a) + (b + c); s != s {
			v, k := largerOrNaN(old, arg[i], a, at)
			v, k = largerOrNaN(v, k, b, at+1)
			y[i], arg[i] = largerOrNaN(v, k, c, at+2)
			continue
		}
		best, bestAt := math.Float32bits(old), uint32(arg[i])
		bits0, bits1, bits2 := math.Float32bits(a), math.Float32bits(b), math.Float32bits(c)
		if a > old {
			best, bestAt = bits0, uint32(at)
		}
		if b > math.Float32frombits(best) {
			best, bestAt = bits1, uint32(at)+1
		}
		if c > math.Float32frombits(best) {
			best, bestAt = bits2, uint32(at)+2
		}
		y[i], arg[i] = math.Float32frombits(best), P(bestAt)
	}
}

// largerOrNaN returns v and its position where it is larger than the maximum so far,
// or is the window's first NaN.
func largerOrNaN[P position](best float32, bestAt P, v float32, at P) (float32, P) {
	if best == best && !(v <= best) {
		return v, at
	}
	return best, bestAt
}

// dropNegative computes y = max(y, 0), and sends the gradients of what isn't positive
// nowhere. NaN stays NaN.
func dropNegative[P position](y []float32, arg []P, nowhere P) {
	arg = arg[:len(y)]
	for i, v := range y {
		b := math.Float32bits(v)
		at := uint32(arg[i])
		if !isPositive(b) {
			at = uint32(nowhere)
		}
		if isNegative(b) {
			b = 0
		}
		y[i], arg[i] = math.Float32frombits(b), P(at)
	}
}

// maxPoolGather is Backward for disjoint windows, over groups of rows of windows: each
// element of dx asks its window whether it was the maximum, and is 0 otherwise.
type maxPoolGather[P position] maxPool[P]

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
				gather(dx[start+b*s.C:][:s.C], dy, arg, P(a*s.KW+b))
			}
			done = start + s.KW*s.C
		}
		clear(dx[done:])
	}
}

// pairOfRows is row for 2x2 windows with stride 2: both rows of dx at once.
func (p *maxPoolGather[P]) pairOfRows(r int, upper, lower []float32) {
	c := p.spec.C
	for j := 0; j < p.outW; j++ {
		at := p.output(r, j)
		gather4(upper[:c], upper[c:2*c], lower[:c], lower[c:2*c], p.dy[at:][:c], p.arg[at:][:c])
		upper, lower = upper[2*c:], lower[2*c:]
	}
	clear(upper)
	clear(lower)
}

// gather computes dx = dy where the maximum was at this position, and 0 elsewhere.
func gather[P position](dx, dy []float32, arg []P, at P) {
	dx, arg = dx[:len(dy)], arg[:len(dy)]
	for i, v := range dy {
		b := math.Float32bits(v)
		if arg[i] != at {
			b = 0
		}
		dx[i] = math.Float32frombits(b)
	}
}

// gather4 is gather for the four positions of a 2x2 window.
func gather4[P position](dx0, dx1, dx2, dx3, dy []float32, arg []P) {
	n := len(dy)
	dx0, dx1, dx2, dx3, arg = dx0[:n], dx1[:n], dx2[:n], dx3[:n], arg[:n]
	for i, v := range dy {
		bits, k := math.Float32bits(v), arg[i]
		var b0, b1, b2, b3 uint32
		if k == 0 {
			b0 = bits
		}
		if k == 1 {
			b1 = bits
		}
		if k == 2 {
			b2 = bits
		}
		if k == 3 {
			b3 = bits
		}
		dx0[i], dx1[i] = math.Float32frombits(b0), math.Float32frombits(b1)
		dx2[i], dx3[i] = math.Float32frombits(b2), math.Float32frombits(b3)
	}
}

// maxPoolScatter is Backward for overlapping windows, over images: each output adds its
// gradient to the element that was the maximum.
type maxPoolScatter[P position] maxPool[P]

func (p *maxPoolScatter[P]) Do(n, _ int) {
	s := p.spec
	clear(p.dx[p.pixel(n, 0, 0):p.pixel(n+1, 0, 0)])
	for i := 0; i < p.outH; i++ {
		for j := 0; j < p.outW; j++ {
			at := p.output(n*p.outH+i, j)
			// The window's first pixel may be outside; its maximum isn't.
			first := p.pixel(n, i*s.StrideH-s.PadH, j*s.StrideW-s.PadW)
			scatter(p.dx, first, p.dy[at:][:s.C], p.arg[at:][:s.C], p.offset)
		}
	}
}

// scatter adds each dy to the element of dx at first + its position's offset + channel.
func scatter[P position](dx []float32, first int, dy []float32, arg []P, offset []int) {
	arg = arg[:len(dy)]
	for c, v := range dy {
		if k := int(arg[c]); k < len(offset) {
			dx[first+offset[k]+c] += v
		}
	}
}
