//go:build amd64 && !noasm

package vector

import "fmt"

// The functions below turn a kernel, which takes addresses and a length, into a function of
// type Kernels, which takes slices. They check that every slice is long enough.

func activation(forward func(y, x *float32, n int, alpha float32), backward func(dx, dy, x *float32, n int, alpha float32)) Activation {
	return Activation{Forward: forwardOf(forward), Backward: func(dx, dy, x []float32, alpha float32) {
		n := len(x)
		if n == 0 {
			return
		}
		dx, dy = dx[:n], dy[:n]
		backward(&dx[0], &dy[0], &x[0], n, alpha)
	}}
}

func forwardOf(f func(y, x *float32, n int, alpha float32)) func(y, x []float32, alpha float32) {
	return func(y, x []float32, alpha float32) {
		n := len(x)
		if n == 0 {
			return
		}
		y = y[:n]
		f(&y[0], &x[0], n, alpha)
	}
}

func affineOf(f func(y, x *float32, n int, scale, shift *float32, width int)) func(y, x, scale, shift []float32) {
	return func(y, x, scale, shift []float32) {
		n, width := len(x), len(scale)
		if n == 0 {
			return
		}
		y, shift = y[:n], shift[:width]
		f(&y[0], &x[0], n, &scale[0], &shift[0], width)
	}
}

func combineAffineOf(f func(dx, dy, x *float32, n int, a, b, e *float32, width int)) func(dx, dy, x, a, b, e []float32) {
	return func(dx, dy, x, a, b, e []float32) {
		n, width := len(x), len(a)
		if n == 0 {
			return
		}
		dx, dy, b, e = dx[:n], dy[:n], b[:width], e[:width]
		f(&dx[0], &dy[0], &x[0], n, &a[0], &b[0], &e[0], width)
	}
}

func combineAffineReLUOf(f func(dx, dy, x *float32, n int, a, b, e, scale, shift *float32, width int)) func(dx, dy, x, a, b, e, scale, shift []float32) {
	return func(dx, dy, x, a, b, e, scale, shift []float32) {
		n, width := len(x), len(a)
		if n == 0 {
			return
		}
		dx, dy, b, e, scale, shift = dx[:n], dy[:n], b[:width], e[:width], scale[:width], shift[:width]
		f(&dx[0], &dy[0], &x[0], n, &a[0], &b[0], &e[0], &scale[0], &shift[0], width)
	}
}

func addColumnsOf(f func(sum *float64, width int, x *float32, n int)) func(sum []float64, x []float32) {
	return func(sum []float64, x []float32) {
		if len(x) > 0 {
			f(&sum[0], len(sum), &x[0], len(x))
		}
	}
}

func addMomentsOf(f func(sum, second *float64, width int, x *float32, n int)) func(sum, sumSq []float64, x []float32) {
	return func(sum, sumSq []float64, x []float32) {
		if len(x) == 0 {
			return
		}
		sumSq = sumSq[:len(sum)]
		f(&sum[0], &sumSq[0], len(sum), &x[0], len(x))
	}
}

func addProductsOf(f func(sum, second *float64, width int, x *float32, n int, dy *float32)) func(sum, sumX []float64, dy, x []float32) {
	return func(sum, sumX []float64, dy, x []float32) {
		n, width := len(x), len(sum)
		if n == 0 {
			return
		}
		sumX, dy = sumX[:width], dy[:n]
		f(&sum[0], &sumX[0], width, &x[0], n, &dy[0])
	}
}

func addProductsReLUOf(f func(sum, second *float64, width int, x *float32, n int, dy, scale, shift *float32)) func(sum, sumX []float64, dy, x, scale, shift []float32) {
	return func(sum, sumX []float64, dy, x, scale, shift []float32) {
		n, width := len(x), len(sum)
		if n == 0 {
			return
		}
		sumX, dy, scale, shift = sumX[:width], dy[:n], scale[:width], shift[:width]
		f(&sum[0], &sumX[0], width, &x[0], n, &dy[0], &scale[0], &shift[0])
	}
}

func affineRowsOf(f func(y, x, a, e *float32, rows int, gamma, beta *float32, width int)) func(y, x, a, e, gamma, beta []float32) {
	return func(y, x, a, e, gamma, beta []float32) {
		rows, width := len(a), len(gamma)
		if rows == 0 {
			return
		}
		y, x, e, beta = y[:rows*width], x[:rows*width], e[:rows], beta[:width]
		f(&y[0], &x[0], &a[0], &e[0], rows, &gamma[0], &beta[0], width)
	}
}

func combineRowsOf(f func(dx, dy, x, a, b, e *float32, rows int, gamma *float32, width int)) func(dx, dy, x, a, b, e, gamma []float32) {
	return func(dx, dy, x, a, b, e, gamma []float32) {
		rows, width := len(a), len(gamma)
		if rows == 0 {
			return
		}
		dx, dy, x, b, e = dx[:rows*width], dy[:rows*width], x[:rows*width], b[:rows], e[:rows]
		f(&dx[0], &dy[0], &x[0], &a[0], &b[0], &e[0], rows, &gamma[0], width)
	}
}

func rowProductsOf(f func(sum, sumX *float64, rows int, dy, x, gamma *float32, width int)) func(sum, sumX []float64, dy, x, gamma []float32) {
	return func(sum, sumX []float64, dy, x, gamma []float32) {
		rows, width := len(sum), len(gamma)
		if rows == 0 {
			return
		}
		sumX, dy, x = sumX[:rows], dy[:rows*width], x[:rows*width]
		f(&sum[0], &sumX[0], rows, &dy[0], &x[0], &gamma[0], width)
	}
}

func weightedSumOf(f func(y, a, b *float32, n int, alpha, beta float32)) func(y, a, b []float32, alpha, beta float32) {
	return func(y, a, b []float32, alpha, beta float32) {
		n := len(a)
		if n == 0 {
			return
		}
		y, b = y[:n], b[:n]
		f(&y[0], &a[0], &b[0], n, alpha, beta)
	}
}

func mapOneOf(f func(y, a *float32, n int, alpha, beta float32)) MapOne {
	return func(y, a []float32, alpha, beta float32) {
		n := len(a)
		if n == 0 {
			return
		}
		y = y[:n]
		f(&y[0], &a[0], n, alpha, beta)
	}
}

func mapTwoOf(f func(y, a, b *float32, n int, alpha, beta float32)) MapTwo {
	return func(y, a, b []float32, alpha, beta float32) {
		n := len(a)
		if n == 0 {
			return
		}
		y, b = y[:n], b[:n]
		f(&y[0], &a[0], &b[0], n, alpha, beta)
	}
}

func productOf(f func(y, a, b *float32, n int, alpha float32)) func(y, a, b []float32, alpha float32) {
	return func(y, a, b []float32, alpha float32) {
		n := len(a)
		if n == 0 {
			return
		}
		y, b = y[:n], b[:n]
		f(&y[0], &a[0], &b[0], n, alpha)
	}
}

func dotOf(f func(a, b *float32, n int) float64) func(a, b []float32) float64 {
	return func(a, b []float32) float64 {
		n := len(a)
		if n == 0 {
			return 0
		}
		b = b[:n]
		return f(&a[0], &b[0], n)
	}
}

func addRowsOf(f func(sum *float32, width int, x *float32, rows int)) func(sum, x []float32) {
	return func(sum, x []float32) {
		if len(x) == 0 {
			return
		}
		if len(x)%len(sum) != 0 {
			panic("vector: AddRows: x has a part of a row")
		}
		f(&sum[0], len(sum), &x[0], len(x)/len(sum))
	}
}

func sumOf(f func(x *float32, n int) float64) func(x []float32) float64 {
	return func(x []float32) float64 {
		if len(x) == 0 {
			return 0
		}
		return f(&x[0], len(x))
	}
}

func exponentialsOf(f func(y, x *float32, n int, shift float32) float64) func(y, x []float32, shift float32) float64 {
	return func(y, x []float32, shift float32) float64 {
		n := len(x)
		if n == 0 {
			return 0
		}
		y = y[:n]
		return f(&y[0], &x[0], n, shift)
	}
}

func sumOfExponentialsOf(f func(x *float32, n int, shift float32) float64) func(x []float32, shift float32) float64 {
	return func(x []float32, shift float32) float64 {
		if len(x) == 0 {
			return 0
		}
		return f(&x[0], len(x), shift)
	}
}

func max2x2Of(f func(y *float32, arg *byte, upper, lower *float32, c, windows int)) func(y []float32, arg []uint8, upper, lower []float32, c int) {
	return func(y []float32, arg []uint8, upper, lower []float32, c int) {
		windows := wholeWindows(len(y), c)
		if windows == 0 {
			return
		}
		arg, upper, lower = arg[:len(y)], upper[:2*len(y)], lower[:2*len(y)]
		f(&y[0], &arg[0], &upper[0], &lower[0], c, windows)
	}
}

// wholeWindows returns the number of windows of c channels in n elements.
func wholeWindows(n, c int) int {
	if n%c != 0 {
		panic("vector: the elements are no whole number of windows")
	}
	return n / c
}

func maxPoolOf(f func(y *float32, arg *byte, x *float32, c, rows, columns, stride int, first, step uint32)) func(y []float32, arg []uint8, x []float32, w Window) {
	return func(y []float32, arg []uint8, x []float32, w Window) {
		c := len(y)
		arg, x = arg[:c], x[:(w.Rows-1)*w.Stride+w.Columns*c]
		f(&y[0], &arg[0], &x[0], c, w.Rows, w.Columns, w.Stride, uint32(w.First), uint32(w.Step))
	}
}

func poolReLUOf(f func(y *float32, arg *byte, n int, nowhere uint32)) func(y []float32, arg []uint8, nowhere uint8) {
	return func(y []float32, arg []uint8, nowhere uint8) {
		n := len(y)
		if n == 0 {
			return
		}
		arg = arg[:n]
		f(&y[0], &arg[0], n, uint32(nowhere))
	}
}

func gather2x2Of(f func(upper, lower, dy *float32, arg *byte, c, windows int)) func(upper, lower, dy []float32, arg []uint8, c int) {
	return func(upper, lower, dy []float32, arg []uint8, c int) {
		windows := wholeWindows(len(dy), c)
		if windows == 0 {
			return
		}
		arg, upper, lower = arg[:len(dy)], upper[:2*len(dy)], lower[:2*len(dy)]
		f(&upper[0], &lower[0], &dy[0], &arg[0], c, windows)
	}
}

func gatherOf(f func(dx, dy *float32, arg *byte, n int, at uint32)) func(dx, dy []float32, arg []uint8, at uint8) {
	return func(dx, dy []float32, arg []uint8, at uint8) {
		n := len(dy)
		if n == 0 {
			return
		}
		dx, arg = dx[:n], arg[:n]
		f(&dx[0], &dy[0], &arg[0], n, uint32(at))
	}
}

// dropoutOf uses the kernel for whole groups of elements and the Go loop for the rest; both
// give the same bits.
func dropoutOf(f func(y, x *float32, groups int, scale float32, threshold uint32, keys *uint32, block, step, stream, high uint32), group int) func(y, x []float32, m *Mask, step uint32, block uint64) {
	return func(y, x []float32, m *Mask, step uint32, block uint64) {
		y = y[:len(x)]
		groups := len(x) / group
		last := block + uint64(len(x)/4)
		// The kernel counts blocks in 32 bits.
		if groups > 0 && block>>32 == last>>32 {
			f(&y[0], &x[0], groups, m.scale, m.threshold, &m.keys[0], uint32(block), step, uint32(m.stream), uint32(block>>32))
			done := groups * group
			x, y, block = x[done:], y[done:], block+uint64(done/4)
		}
		dropout(y, x, m, step, block)
	}
}

func updateOf(f func(w, grad *float32, n int, rates *float32)) func(w, grad []float32, u *Hyperparameters) {
	return func(w, grad []float32, u *Hyperparameters) {
		n := len(w)
		if n == 0 {
			return
		}
		grad = grad[:n]
		f(&w[0], &grad[0], n, &u.LR)
	}
}

func update1Of(f func(w, grad, first *float32, n int, rates *float32)) func(w, grad, first []float32, u *Hyperparameters) {
	return func(w, grad, first []float32, u *Hyperparameters) {
		n := len(w)
		if n == 0 {
			return
		}
		grad, first = grad[:n], first[:n]
		f(&w[0], &grad[0], &first[0], n, &u.LR)
	}
}

func update2Of(f func(w, grad, first, second *float32, n int, rates *float32)) func(w, grad, first, second []float32, u *Hyperparameters) {
	return func(w, grad, first, second []float32, u *Hyperparameters) {
		n := len(w)
		if n == 0 {
			return
		}
		grad, first, second = grad[:n], first[:n], second[:n]
		f(&w[0], &grad[0], &first[0], &second[0], n, &u.LR)
	}
}

func rowMomentsOf(f func(mean, r *float64, a, e *float32, sum, squares *float64, n int, count, epsilon, one float64)) func(mean, r []float64, a, e []float32, sum, squares []float64, count int, epsilon float64) {
	return func(mean, r []float64, a, e []float32, sum, squares []float64, count int, epsilon float64) {
		n := wholeGroups(len(sum))
		if n == 0 {
			return
		}
		mean, r, a, e, squares = mean[:n], r[:n], a[:n], e[:n], squares[:n]
		f(&mean[0], &r[0], &a[0], &e[0], &sum[0], &squares[0], n, float64(count), epsilon, 1)
	}
}

func rowGradientsOf(f func(a, b, e *float32, mean, r, sum, sumX *float64, n int, count float64)) func(a, b, e []float32, mean, r, sum, sumX []float64, count int) {
	return func(a, b, e []float32, mean, r, sum, sumX []float64, count int) {
		n := wholeGroups(len(sum))
		if n == 0 {
			return
		}
		a, b, e, mean, r, sumX = a[:n], b[:n], e[:n], mean[:n], r[:n], sumX[:n]
		f(&a[0], &b[0], &e[0], &mean[0], &r[0], &sum[0], &sumX[0], n, float64(count))
	}
}

// wholeGroups returns n, and panics unless it is a multiple of RowsTogether.
func wholeGroups(n int) int {
	if n%RowsTogether != 0 {
		panic(fmt.Sprintf("vector: %d rows, want a multiple of %d", n, RowsTogether))
	}
	return n
}

func addRowProductsOf(f func(sum, product *float64, width int, dy, x, a, e *float32, rows int)) func(sum, product []float64, dy, x, a, e []float32) {
	return func(sum, product []float64, dy, x, a, e []float32) {
		rows, width := len(a), len(sum)
		if rows == 0 {
			return
		}
		product, dy, x, e = product[:width], dy[:rows*width], x[:rows*width], e[:rows]
		f(&sum[0], &product[0], width, &dy[0], &x[0], &a[0], &e[0], rows)
	}
}

func rowSumsOf(f func(sum, squares *float64, rows int, x *float32, width int)) func(sum, squares []float64, x []float32, width int) {
	return func(sum, squares []float64, x []float32, width int) {
		rows := len(sum)
		if rows == 0 {
			return
		}
		squares, x = squares[:rows], x[:rows*width]
		f(&sum[0], &squares[0], rows, &x[0], width)
	}
}
