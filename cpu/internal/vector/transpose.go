package vector

// transpose is the definition of Transpose.
func transpose(y, x []float32, yStep, xStep, rows, cols int) {
	for j := range cols {
		to := y[j*yStep:][:rows]
		for i := range to {
			to[i] = x[i*xStep+j]
		}
	}
}
