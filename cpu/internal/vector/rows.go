package vector

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
