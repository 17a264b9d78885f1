// Package vector holds the loops that are not matrix products: activations, normalisation,
// pooling, update rules, sums, dropout and the exponentials of softmax.
//
// Each exists as a plain Go loop, which is its definition, and as kernels for AVX-512 and
// AVX2, which _generate generates. These fuse multiplications with additions, so results of
// different instruction sets differ in the last bits. NaN, infinities, signs of zero,
// positions and random words are the same.
package vector

// Activation is y = f(x) and dx = dy f'(x) over slices, as many elements as the last slice
// has. alpha is a constant of the function. y may be x, and dx may be dy or x.
type Activation struct {
	Forward  func(y, x []float32, alpha float32)
	Backward func(dx, dy, x []float32, alpha float32)
}

// RowsTogether is the number of rows that RowMoments and RowGradients take at a time.
const RowsTogether = 8

// Kernels is the set of loops for one instruction set.
type Kernels struct {
	Name string // "avx512", "avx2" or "generic"

	Activations map[string]Activation // by the name of the device.Function
	ReLU        Activation            // the one named "relu", which convolutions and pooling apply too

	// These work column by column: coefficient j belongs to elements j, j+len, j+2 len... of
	// x, y, dx and dy, where len is the number of coefficients. The last row may be shorter.

	// Affine computes y = scale*x + shift. y may be x.
	Affine func(y, x, scale, shift []float32)
	// AffineReLU computes y = max(scale*x + shift, 0).
	AffineReLU func(y, x, scale, shift []float32)
	// CombineAffine computes dx = a*dy + (b*x + e). dx may be dy.
	CombineAffine func(dx, dy, x, a, b, e []float32)
	// CombineAffineReLU is CombineAffine of dy where scale*x + shift > 0, and 0 elsewhere.
	CombineAffineReLU func(dx, dy, x, a, b, e, scale, shift []float32)
	// AddColumns adds x to the sums.
	AddColumns func(sum []float64, x []float32)
	// AddMoments adds x and x^2 to the sums.
	AddMoments func(sum, sumSq []float64, x []float32)
	// AddProducts adds dy and dy*x to the sums.
	AddProducts func(sum, sumX []float64, dy, x []float32)
	// AddProductsReLU is AddProducts of dy where scale*x + shift > 0, and 0 elsewhere.
	AddProductsReLU func(sum, sumX []float64, dy, x, scale, shift []float32)

	// These work row by row, with one a, b and e per row of x, y, dx and dy and one gamma and beta per column.

	// AffineRows computes y = gamma*(a*x + e) + beta. y may be x.
	AffineRows func(y, x, a, e, gamma, beta []float32)
	// CombineRows computes dx = a*(gamma*dy) + (b*x + e). dx may be dy.
	CombineRows func(dx, dy, x, a, b, e, gamma []float32)
	// RowSums computes the sum and the sum of the squares of each row of x.
	RowSums func(sum, squares []float64, x []float32, width int)
	// RowProducts computes for each row the sum of u = gamma*dy and the sum of u*x.
	RowProducts func(sum, sumX []float64, dy, x, gamma []float32)
	// AddRowProducts adds dy and dy*(a*x + e) to the sums of the columns, with one a and one e per row.
	AddRowProducts func(sum, product []float64, dy, x, a, e []float32)
	// RowMoments computes mean and r = 1/sqrt(variance + epsilon) of each row from the sums of its count elements and of
	// their squares, and a and e of xhat = a*x + e. The number of rows is a multiple of RowsTogether.
	RowMoments func(mean, r []float64, a, e []float32, sum, squares []float64, count int, epsilon float64)
	// RowGradients computes a, b and e of dx = a*u + b*x + e for each row, from the sums of u and of u*x over its count
	// elements. The number of rows is a multiple of RowsTogether.
	RowGradients func(a, b, e []float32, mean, r, sum, sumX []float64, count int)

	// Scaled computes y = alpha*a. y may be a.
	Scaled func(y, a []float32, alpha float32)
	// WeightedSum computes y = alpha*a + beta*b. y may be a or b.
	WeightedSum func(y, a, b []float32, alpha, beta float32)
	Map         Map
	// Product computes y = alpha*a*b. y may be a or b.
	Product func(y, a, b []float32, alpha float32)
	// AddRows adds every row of len(sum) elements of x to sum.
	AddRows func(sum, x []float32)
	// Sum returns the sum of x, taken in float64.
	Sum func(x []float32) float64
	// SumSquares returns the sum of x^2, taken in float64.
	SumSquares func(x []float32) float64
	// Dot returns the sum of a*b, taken in float64.
	Dot func(a, b []float32) float64
	// Exponentials computes y = exp(x - shift), where shift >= x, and returns the sum.
	Exponentials func(y, x []float32, shift float32) float64
	// SumOfExponentials returns the sum of exp(x - shift), where shift >= x.
	SumOfExponentials func(x []float32, shift float32) float64

	// Correlate and CorrelateFilter are rows of depthwise convolutions: see Correlation.
	Correlate       func(y, bias, x, w []float32, g *Correlation)
	CorrelateFilter func(w, y, x []float32, g *Correlation)
	// Correlate3x3 and CorrelateFilter3x3 are several rows of depthwise convolutions with 3 x 3 taps: see Band.
	Correlate3x3       func(y, bias, x, w []float32, g *Band)
	CorrelateFilter3x3 func(w, y, x []float32, g *Band)

	// Transpose computes y[j][i] = x[i][j], for rows rows and cols columns of x, at least one of each. The rows of x are
	// xStep elements apart, and those of y yStep.
	Transpose func(y, x []float32, yStep, xStep, rows, cols int)

	// Pool8 is for windows of fewer than 255 elements, Pool32 for any.
	Pool8  Pool[uint8]
	Pool32 Pool[int32]

	// Dropout computes y = x/(1-rate) where the mask keeps the element, and 0 elsewhere. The
	// first element uses the first random word of the block. y may be x.
	Dropout func(y, x []float32, m *Mask, step uint32, block uint64)

	Update Update
}
