package vector

import "math"

// affineRows computes y = gamma*(a*x + e) + beta, with one a and one e per row.
func affineRows(y, x, a, e, gamma, beta []float32) {
	w := len(gamma)
	beta = beta[:w]
	for i, a := range a {
		e, x, y := e[i], x[i*w:][:w], y[i*w:][:w]
		for j, v := range x {
			y[j] = gamma[j]*(a*v+e) + beta[j]
		}
	}
}

// combineRows computes dx = a*(gamma*dy) + (b*x + e), with one a, one b and one e per row. dx may be dy.
func combineRows(dx, dy, x, a, b, e, gamma []float32) {
	w := len(gamma)
	for i, a := range a {
		b, e, x, dy, dx := b[i], e[i], x[i*w:][:w], dy[i*w:][:w], dx[i*w:][:w]
		for j, v := range x {
			dx[j] = a*(gamma[j]*dy[j]) + (b*v + e)
		}
	}
}

// rowSums computes the sum and the sum of the squares of each row of x.
func rowSums(sum, squares []float64, x []float32, width int) {
	for i := range sum {
		var s, t float64
		for _, v := range x[i*width:][:width] {
			s += float64(v)
			t += float64(v) * float64(v)
		}
		sum[i], squares[i] = s, t
	}
}

// rowProducts computes for each row the sum of u = gamma*dy and the sum of u*x.
func rowProducts(sum, sumX []float64, dy, x, gamma []float32) {
	w := len(gamma)
	for i := range sum {
		x, dy := x[i*w:][:w], dy[i*w:][:w]
		var s, t float64
		for j, v := range x {
			u := float64(gamma[j] * dy[j])
			s += u
			t += u * float64(v)
		}
		sum[i], sumX[i] = s, t
	}
}

// rowMoments computes the mean of each row and r = 1/sqrt(variance + epsilon) from the sums of its count elements and of
// their squares, and the coefficients of xhat = a*x + e. The number of rows is a multiple of RowsTogether.
func rowMoments(mean, r []float64, a, e []float32, sum, squares []float64, count int, epsilon float64) {
	m := float64(count)
	for i, s := range sum {
		average := s / m
		inverse := 1 / math.Sqrt(max(squares[i]/m-average*average, 0)+epsilon)
		mean[i], r[i] = average, inverse
		a[i], e[i] = float32(inverse), float32(0-average*inverse)
	}
}

// rowGradients computes the coefficients of dx = a*u + b*x + e of each row from its mean and r, and from the sums of u
// and of u*x over its count elements. The number of rows is a multiple of RowsTogether.
func rowGradients(a, b, e []float32, mean, r, sum, sumX []float64, count int) {
	m := float64(count)
	for i, s := range sum {
		slope := (0 - r[i]) * r[i] / m * r[i] * (sumX[i] - mean[i]*s)
		a[i], b[i], e[i] = float32(r[i]), float32(slope), float32((0-r[i])/m*s-slope*mean[i])
	}
}

// addRowProducts adds dy to the sums of the columns, and dy*(a*x + e) to those of the products, with one a and one e per row.
func addRowProducts(sum, product []float64, dy, x, a, e []float32) {
	w := len(sum)
	product = product[:w]
	for i, a := range a {
		e, x, dy := e[i], x[i*w:][:w], dy[i*w:][:w]
		for j, d := range dy {
			sum[j] += float64(d)
			product[j] += float64(d) * float64(a*x[j]+e)
		}
	}
}
