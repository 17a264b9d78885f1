package devicetest

// refCombine returns y = alpha*a + beta*b. b may be nil.
func refCombine(alpha, beta float64, a, b []float64) sums {
	y := newSums(len(a), elementwiseUlps)
	for i := range a {
		y.add(i, alpha*a[i])
		if b != nil {
			y.add(i, beta*b[i])
		}
	}
	return y
}
