package vector

// linear computes y = alpha*a + beta.
func linear(y, a []float32, alpha, beta float32) {
	y = y[:len(a)]
	for i, v := range a {
		y[i] = alpha*v + beta
	}
}

// product computes y = alpha*a*b.
func product(y, a, b []float32, alpha float32) {
	y, b = y[:len(a)], b[:len(a)]
	for i, v := range a {
		y[i] = alpha * v * b[i]
	}
}

// dot returns the sum of a*b. Four sums side by side wait less for each other.
func dot(a, b []float32) float64 {
	b = b[:len(a)]
	var s0, s1, s2, s3 float64
	for ; len(a) >= 4; a, b = a[4:], b[4:] {
		s0 += float64(a[0]) * float64(b[0])
		s1 += float64(a[1]) * float64(b[1])
		s2 += float64(a[2]) * float64(b[2])
		s3 += float64(a[3]) * float64(b[3])
	}
	for i, v := range a {
		s0 += float64(v) * float64(b[i])
	}
	return (s0 + s1) + (s2 + s3)
}
