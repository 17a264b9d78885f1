package vector

import "math"

// Position is the type of an element's index in its window, in row-major order. Windows
// are small, so a byte is nearly always enough.
type Position interface{ uint8 | int32 }

// Pool holds the loops of max pooling. Of equal elements the first is the maximum; if an
// element is NaN, the first NaN is. y holds the maxima and arg their positions, of c
// channels each.
type Pool[P Position] struct {
	// Max2x2 computes the maxima of a row of 2x2 windows side by side. upper and lower are
	// the two rows of pixels.
	Max2x2 func(y []float32, arg []P, upper, lower []float32, c int)
	// Max2x2ReLU is Max2x2 with ReLU after it: a maximum that isn't positive gets the
	// position 4.
	Max2x2ReLU func(y []float32, arg []P, upper, lower []float32, c int)
	// Max computes the maxima of one window, whose first pixel is x[0].
	Max func(y []float32, arg []P, x []float32, w Window)
	// ReLU computes y = max(y, 0), and arg = nowhere where y isn't positive.
	ReLU func(y []float32, arg []P, nowhere P)
	// Gather2x2 is the backward pass of Max2x2: dy at the maxima's positions, 0 elsewhere.
	Gather2x2 func(upper, lower, dy []float32, arg []P, c int)
	// Gather computes dx = dy where arg is at, and 0 elsewhere.
	Gather func(dx, dy []float32, arg []P, at P)
	// GatherAdd computes dx += dy where arg is at.
	GatherAdd func(dx, dy []float32, arg []P, at P)
}

// Window is a rectangle of pixels whose rows are Stride elements apart. The first row has
// the positions First, First+1, ..., and each row's positions are Step more than those of
// the row above.
type Window struct {
	Rows, Columns, Stride int
	First, Step           int
}

func genericPool[P Position]() Pool[P] {
	return Pool[P]{
		Max2x2:     max2x2[P],
		Max2x2ReLU: max2x2ReLU[P],
		Max:        maxOf[P],
		ReLU:       dropNegative[P],
		Gather2x2:  gather2x2[P],
		Gather:     gather[P],
		GatherAdd:  gatherAdd[P],
	}
}

func max2x2[P Position](y []float32, arg []P, upper, lower []float32, c int) {
	for ; len(y) > 0; y, arg, upper, lower = y[c:], arg[c:], upper[2*c:], lower[2*c:] {
		largestOf4(y[:c], arg[:c], upper[:c], upper[c:], lower[:c], lower[c:])
	}
}

func max2x2ReLU[P Position](y []float32, arg []P, upper, lower []float32, c int) {
	max2x2(y, arg, upper, lower, c)
	dropNegative(y, arg, 4)
}

func maxOf[P Position](y []float32, arg []P, x []float32, w Window) {
	c := len(y)
	copy(y, x)
	for i := range arg[:c] {
		arg[i] = P(w.First)
	}
	for r := range w.Rows {
		row, k, col := x[r*w.Stride:][:w.Columns*c], P(w.First+r*w.Step), 0
		for ; col+3 <= w.Columns; col += 3 {
			largerOf3(y, arg, row[col*c:], row[(col+1)*c:], row[(col+2)*c:], k+P(col))
		}
		for ; col < w.Columns; col++ {
			larger(y, arg, row[col*c:], k+P(col))
		}
	}
}

func gather2x2[P Position](upper, lower, dy []float32, arg []P, c int) {
	for ; len(dy) > 0; dy, arg, upper, lower = dy[c:], arg[c:], upper[2*c:], lower[2*c:] {
		gather4(upper[:c], upper[c:], lower[:c], lower[c:], dy[:c], arg[:c])
	}
}

// The choices below are between integers, which compile to conditional moves: it is
// practically random which element of a window is the largest, and a mispredicted branch
// would cost more than everything else. The sum of the elements is NaN if one of them is;
// this is rare, and then slower code handles NaN.

// largestOf4 computes y, the first of the largest of x0 to x3, and its position.
func largestOf4[P Position](y []float32, arg []P, x0, x1, x2, x3 []float32) {
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

// larger replaces y by x, and arg by x's position at, where x is larger.
func larger[P Position](y []float32, arg []P, x []float32, at P) {
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

// largerOf3 is larger for three neighbours, at position at and the next two.
func largerOf3[P Position](y []float32, arg []P, x0, x1, x2 []float32, at P) {
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

// largerOrNaN returns v and its position if v is larger than the maximum so far, or is the
// window's first NaN; otherwise best and its position.
func largerOrNaN[P Position](best float32, bestAt P, v float32, at P) (float32, P) {
	if best == best && !(v <= best) {
		return v, at
	}
	return best, bestAt
}

// dropNegative computes y = max(y, 0), and sets the position to nowhere if y isn't
// positive, so that it passes no gradient. NaN stays NaN.
func dropNegative[P Position](y []float32, arg []P, nowhere P) {
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

// gather computes dx = dy where the maximum was at this position, and 0 elsewhere.
func gather[P Position](dx, dy []float32, arg []P, at P) {
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
func gather4[P Position](dx0, dx1, dx2, dx3, dy []float32, arg []P) {
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

func gatherAdd[P Position](dx, dy []float32, arg []P, at P) {
	dx, arg = dx[:len(dy)], arg[:len(dy)]
	for i, v := range dy {
		if arg[i] == at {
			dx[i] += v
		}
	}
}
