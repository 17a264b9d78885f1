// Package winograd holds the transforms of Winograd's method, with which a convolution with small
// filters needs fewer multiplications (Winograd, "Arithmetic Complexity of Computations", 1980; Lavin
// and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016).
//
// A tile x of 6 x 6 pixels and a filter w of r x r taps give m x m pixels, m = 7 - r:
//
//	y = A^T [ (G w G^T) * (B^T x B) ] A        * element by element
//
// So 36 multiplications do the work of (m r)^2: 144 for 3 x 3 taps, 100 for 5 x 5. With many
// channels, each of the 36 becomes a matrix product over the channels, while the transforms only cost
// time proportional to the number of channels. The same matrices with other sizes give the gradient
// of the filters, r x r sums over the m x m pixels of dy.
//
// The matrices come from the interpolation of polynomials (Toom and Cook) at the points
//
//	0, 3/4, -3/4, 3/2, -3/2, infinity
//
// For a point p, a row of G is (1, p, p^2, ...) divided by the product of p's distances from the
// other points, a column of A^T is (1, p, p^2, ...), and a row of B^T has the coefficients of the
// product of (z - q) over the other points q. The usual points 0, +-1, +-2 give matrices of integers,
// but errors 1.6 times as large. With the points above and random operands, TestError measures errors
// with a root mean square of 0.6 to 1.7 and a maximum of 11, in units of 2^-24 of the sum of the
// absolute values of the products; the direct sum has a root mean square of 0.2 to 2.5. (Why:
// Barabasz et al., "Error Analysis and Improving the Accuracy of Winograd Convolution for Deep Neural
// Networks", 2020.)
package winograd

import "fmt"

// Size is the number of pixels along a side of a tile, and the number of values per side of its
// transform.
const Size = 6

// Values is the number of products per tile.
const Values = Size * Size

// scratchLen is the number of elements of scratch memory that a transform uses: Values vectors.
const scratchLen = Values * 16

// NewScratch returns memory for the intermediate results of a transform; allocate must align it to a
// cache line. Each worker needs its own.
func NewScratch(allocate func(n int) []float32) []float32 { return allocate(scratchLen) }

type (
	toTile   func(v *float32, stepV int, x *float32, rowX, columnX, n int, scratch *float32)
	fromTile func(y *float32, rowY, columnY int, v *float32, stepV int, bias *float32, floor float32, n int, scratch *float32)
)

// Kernels holds the transforms for one instruction set. All work on n channels, which are contiguous
// at each pixel, tap or value.
type Kernels struct {
	input  toTile
	filter [Size]toTile // by the number of coefficients along a side, 2 to 5
	output [Size]fromTile
}

// Grid says where the pixels or taps of a tile are: At is the index of the first one in Data, and Row
// and Column are the distances, which may be negative, to the next row and column.
type Grid struct {
	Data        []float32
	At          int
	Row, Column int
}

// check panics unless size x size elements of n channels are all inside Data.
func (g Grid) check(size, n int) {
	first, last := g.At, g.At
	for _, step := range [2]int{g.Row * (size - 1), g.Column * (size - 1)} {
		first, last = first+min(step, 0), last+max(step, 0)
	}
	if n < 1 || first < 0 || last+n > len(g.Data) {
		panic(fmt.Sprintf("winograd: %d x %d elements of %d channels at %d by %d and %d are not inside of %d", size, size, n, g.At, g.Row, g.Column, len(g.Data)))
	}
}

// checkValues panics unless the values of n channels, step apart, are all inside v.
func checkValues(v []float32, step, n int) {
	if n < 1 || step < n || (Values-1)*step+n > len(v) {
		panic(fmt.Sprintf("winograd: %d values of %d channels, %d apart, are not inside of %d", Values, n, step, len(v)))
	}
}

// InputTransform writes B^T x B of the 6 x 6 pixels at x: value i of the channels at v[i*step].
func (k *Kernels) InputTransform(v []float32, step int, x Grid, n int, scratch []float32) {
	x.check(Size, n)
	checkValues(v, step, n)
	k.input(&v[0], step, &x.Data[x.At], x.Row, x.Column, n, &scratch[:scratchLen][0])
}

// FilterTransform writes G x G^T of the r x r taps at x, or of r x r pixels of a gradient.
func (k *Kernels) FilterTransform(r int, v []float32, step int, x Grid, n int, scratch []float32) {
	x.check(r, n)
	checkValues(v, step, n)
	k.filter[r](&v[0], step, &x.Data[x.At], x.Row, x.Column, n, &scratch[:scratchLen][0])
}

// OutputTransform writes max(A^T v A + bias, floor) to the m x m pixels at y, or to m x m taps. The
// bias has n elements.
func (k *Kernels) OutputTransform(m int, y Grid, v []float32, step, n int, bias []float32, floor float32, scratch []float32) {
	y.check(m, n)
	checkValues(v, step, n)
	k.output[m](&y.Data[y.At], y.Row, y.Column, &v[0], step, &bias[:n][0], floor, n, &scratch[:scratchLen][0])
}
