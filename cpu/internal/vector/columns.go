package vector

import "math"

// addColumns adds to each sum[j] the elements j, j+len(sum), j+2 len(sum)... of x.
func addColumns(sum []float64, x []float32) {
	w := len(sum)
	for ; len(x) >= 2*w; x = x[2*w:] {
		x0, x1 := x[:w], x[w:][:w]
		for j := range sum {
			sum[j] += float64(x0[j]) + float64(x1[j])
		}
	}
	for len(x) > 0 {
		n := min(w, len(x))
		for j, v := range x[:n] {
			sum[j] += float64(v)
		}
		x = x[n:]
	}
}

// addMoments adds x and x^2 to the sums, column by column, as addColumns does.
func addMoments(sum, sumSq []float64, x []float32) {
	w := len(sum)
	sumSq = sumSq[:w]
	for ; len(x) >= 2*w; x = x[2*w:] {
		x0, x1 := x[:w], x[w:][:w]
		for j := range sum {
			v0, v1 := float64(x0[j]), float64(x1[j])
			sum[j] += v0 + v1
			sumSq[j] += v0*v0 + v1*v1
		}
	}
	for len(x) > 0 {
		n := min(w, len(x))
		for j, f := range x[:n] {
			v := float64(f)
			sum[j] += v
			sumSq[j] += v * v
		}
		x = x[n:]
	}
}

// addProducts adds dz and dz*x to the sums, column by column.
func addProducts(sum, sumX []float64, dz, x []float32) {
	w := len(sum)
	sumX = sumX[:w]
	for ; len(x) >= 2*w; x, dz = x[2*w:], dz[2*w:] {
		x0, x1, d0, d1 := x[:w], x[w:][:w], dz[:w], dz[w:][:w]
		for j := range sum {
			g0, g1 := float64(d0[j]), float64(d1[j])
			sum[j] += g0 + g1
			sumX[j] += g0*float64(x0[j]) + g1*float64(x1[j])
		}
	}
	for len(x) > 0 {
		n := min(w, len(x))
		d := dz[:n]
		for j, v := range x[:n] {
			g := float64(d[j])
			sum[j] += g
			sumX[j] += g * float64(v)
		}
		x, dz = x[n:], dz[n:]
	}
}

// addProductsReLU is addProducts of dz = dy where scale*x + shift > 0, and 0 elsewhere.
func addProductsReLU(sum, sumX []float64, dy, x, scale, shift []float32) {
	w := len(sum)
	sumX, scale, shift = sumX[:w], scale[:w], shift[:w]
	for ; len(x) >= 2*w; x, dy = x[2*w:], dy[2*w:] {
		x0, x1, d0, d1 := x[:w], x[w:][:w], dy[:w], dy[w:][:w]
		for j := range sum {
			g0 := float64(gate(d0[j], scale[j]*x0[j]+shift[j]))
			g1 := float64(gate(d1[j], scale[j]*x1[j]+shift[j]))
			sum[j] += g0 + g1
			sumX[j] += g0*float64(x0[j]) + g1*float64(x1[j])
		}
	}
	for len(x) > 0 {
		n := min(w, len(x))
		d := dy[:n]
		for j, v := range x[:n] {
			g := float64(gate(d[j], scale[j]*v+shift[j]))
			sum[j] += g
			sumX[j] += g * float64(v)
		}
		x, dy = x[n:], dy[n:]
	}
}

// gate returns d where z > 0, else 0.
func gate(d, z float32) float32 {
	b := math.Float32bits(d)
	if !isPositive(math.Float32bits(z)) {
		b = 0
	}
	return math.Float32frombits(b)
}

// affine computes y = scale*x + shift, column by column.
func affine(y, x, scale, shift []float32) {
	for len(x) > 0 {
		n := min(len(scale), len(x))
		row, s, t := y[:n], scale[:n], shift[:n]
		for j, v := range x[:n] {
			row[j] = s[j]*v + t[j]
		}
		x, y = x[n:], y[n:]
	}
}

// affineReLU computes y = max(scale*x + shift, 0), column by column.
func affineReLU(y, x, scale, shift []float32) {
	for len(x) > 0 {
		n := min(len(scale), len(x))
		row, s, t := y[:n], scale[:n], shift[:n]
		for j, v := range x[:n] {
			b := math.Float32bits(s[j]*v + t[j])
			if isNegative(b) {
				b = 0
			}
			row[j] = math.Float32frombits(b)
		}
		x, y = x[n:], y[n:]
	}
}

// combineAffine computes dx = a*dz + b*x + e, column by column. dx may be dz.
func combineAffine(dx, dz, x, a, b, e []float32) {
	for len(x) > 0 {
		n := min(len(a), len(x))
		row, d, a, b, e := dx[:n], dz[:n], a[:n], b[:n], e[:n]
		for j, v := range x[:n] {
			row[j] = a[j]*d[j] + (b[j]*v + e[j])
		}
		x, dz, dx = x[n:], dz[n:], dx[n:]
	}
}

// combineAffineReLU is combineAffine of dz = dy where scale*x + shift > 0, and 0 elsewhere.
func combineAffineReLU(dx, dy, x, a, b, e, scale, shift []float32) {
	for len(x) > 0 {
		n := min(len(a), len(x))
		row, d, a, b, e, s, t := dx[:n], dy[:n], a[:n], b[:n], e[:n], scale[:n], shift[:n]
		for j, v := range x[:n] {
			row[j] = a[j]*gate(d[j], s[j]*v+t[j]) + (b[j]*v + e[j])
		}
		x, dy, dx = x[n:], dy[n:], dx[n:]
	}
}
