//go:build amd64 && !noasm

package vector

// transposeOf computes any number of rows and columns by a kernel for tiles of at most side x side elements, along the rows
// of x.
func transposeOf(f func(y, x *float32, yStep, xStep, rows, cols int), side int) func(y, x []float32, yStep, xStep, rows, cols int) {
	return func(y, x []float32, yStep, xStep, rows, cols int) {
		_, _ = y[(cols-1)*yStep+rows-1], x[(rows-1)*xStep+cols-1]
		for i := 0; i < rows; i += side {
			for j := 0; j < cols; j += side {
				f(&y[j*yStep+i], &x[i*xStep+j], bytesPerFloat*yStep, bytesPerFloat*xStep, min(side, rows-i), min(side, cols-j))
			}
		}
	}
}
