package vector

// scaled computes y = alpha*a.
func scaled(y, a []float32, alpha float32) {
	y = y[:len(a)]
	for i, v := range a {
		y[i] = alpha * v
	}
}

// weightedSum computes y = alpha*a + beta*b.
func weightedSum(y, a, b []float32, alpha, beta float32) {
	y, b = y[:len(a)], b[:len(a)]
	for i, v := range a {
		y[i] = alpha*v + beta*b[i]
	}
}

// addRows adds every row of len(sum) elements of x to sum: each of four successive rows has
// sums of its own, which are added as (sum + second) + (third + fourth). The last rows, fewer
// than four, are added to sum.
func addRows(sum, x []float32) {
	if len(x) == 0 {
		return
	}
	n := len(sum)
	for i := range sum {
		a, b, c, d := sum[i], float32(0), float32(0), float32(0)
		at := i
		for ; at+3*n < len(x); at += 4 * n {
			a += x[at]
			b += x[at+n]
			c += x[at+2*n]
			d += x[at+3*n]
		}
		for ; at < len(x); at += n {
			a += x[at]
		}
		sum[i] = (a + b) + (c + d)
	}
}

// sum returns the sum of x. With four sums side by side, an addition need not wait for the
// previous one.
func sum(x []float32) float64 {
	var a, b, c, d float64
	for ; len(x) >= 4; x = x[4:] {
		a += float64(x[0])
		b += float64(x[1])
		c += float64(x[2])
		d += float64(x[3])
	}
	for _, v := range x {
		a += float64(v)
	}
	return (a + b) + (c + d)
}

// sumSquares returns the sum of the squares of x.
func sumSquares(x []float32) float64 {
	var a, b, c, d float64
	for ; len(x) >= 4; x = x[4:] {
		a += float64(x[0]) * float64(x[0])
		b += float64(x[1]) * float64(x[1])
		c += float64(x[2]) * float64(x[2])
		d += float64(x[3]) * float64(x[3])
	}
	for _, v := range x {
		a += float64(v) * float64(v)
	}
	return (a + b) + (c + d)
}
