package winograd

import "unsafe"

// The points are 0, +-a, +-b and infinity; a, b and all constants before weight0 are
// exact.
const (
	a, b    = 0.75, 1.5
	a2, b2  = a * a, b * b
	weight0 = 1 / (a2 * b2)            // 1 / the product of 0's distances from the other points
	weightA = 1 / (2 * a2 * (a2 - b2)) // the same for a and -a
	weightB = 1 / (2 * b2 * (b2 - a2))
)

// generic returns the transforms in Go: the definition of what the kernels compute.
func generic() *Kernels {
	k := &Kernels{input: func(v *float32, stepV int, x *float32, rowX, columnX, n int, _ *float32) {
		transformTile(v, stepV, x, rowX, columnX, n, Size, inputLine)
	}}
	for r := 2; r < Size; r++ {
		k.filter[r] = func(v *float32, stepV int, x *float32, rowX, columnX, n int, _ *float32) {
			transformTile(v, stepV, x, rowX, columnX, n, r, filterLine)
		}
		k.output[r] = func(y *float32, rowY, columnY int, v *float32, stepV int, bias *float32, floor float32, n int, _ *float32) {
			outputTile(r, y, rowY, columnY, v, stepV, bias, floor, n)
		}
	}
	return k
}

// tile holds one channel of a tile; a line is one of its rows or columns.
type (
	tile [Size][Size]float32
	line [Size]float32
)

func transformTile(v *float32, stepV int, x *float32, rowX, columnX, n, size int, transform func(x line, size int) line) {
	for c := range n {
		var half tile
		for j := range size {
			var column line
			for i := range size {
				column[i] = *at(x, i*rowX+j*columnX+c)
			}
			for i, value := range transform(column, size) {
				half[i][j] = value
			}
		}
		for i := range half {
			row := line(half[i])
			for j, value := range transform(row, size) {
				*at(v, (Size*i+j)*stepV+c) = value
			}
		}
	}
}

func outputTile(m int, y *float32, rowY, columnY int, v *float32, stepV int, bias *float32, floor float32, n int) {
	for c := range n {
		var half tile
		for i := range Size {
			var row line
			for j := range row {
				row[j] = *at(v, (Size*i+j)*stepV+c)
			}
			half[i] = outputLine(row, m)
		}
		for j := range m {
			var column line
			for i := range column {
				column[i] = half[i][j]
			}
			result := outputLine(column, m)
			for i := range m {
				sum := result[i] + *at(bias, c)
				if sum < floor {
					sum = floor
				}
				*at(y, i*rowY+j*columnY+c) = sum
			}
		}
	}
}

// inputLine is B^T x.
func inputLine(x line, _ int) line {
	evenA, oddA := x[4]-b2*x[2], a*(x[3]-b2*x[1])
	evenB, oddB := x[4]-a2*x[2], b*(x[3]-a2*x[1])
	return line{
		a2*b2*x[0] - (a2+b2)*x[2] + x[4],
		evenA + oddA, evenA - oddA,
		evenB + oddB, evenB - oddB,
		a2*b2*x[1] - (a2+b2)*x[3] + x[5],
	}
}

// filterLine is G x.
func filterLine(x line, size int) line {
	half := func(first int, point, weight float32) (sum float32) {
		for j := first; j < size; j += 2 {
			sum += weight * x[j]
			weight *= point * point
		}
		return sum
	}
	evenA, oddA := half(0, a, weightA), half(1, a, weightA*a)
	evenB, oddB := half(0, b, weightB), half(1, b, weightB*b)
	return line{weight0 * x[0], evenA + oddA, evenA - oddA, evenB + oddB, evenB - oddB, x[size-1]}
}

// outputLine is A^T x, in the first m elements.
func outputLine(x line, m int) (y line) {
	sumA, sumB := x[1]+x[2], x[3]+x[4]
	differenceA, differenceB := x[1]-x[2], x[3]-x[4]
	y[0] = x[0] + sumA + sumB
	powerA, powerB := float32(1), float32(1)
	for j := 1; j < m; j++ {
		powerA, powerB = powerA*a, powerB*b
		if j%2 == 0 {
			y[j] = powerA*sumA + powerB*sumB
		} else {
			y[j] = powerA*differenceA + powerB*differenceB
		}
	}
	y[m-1] += x[5]
	return y
}

func at(p *float32, elements int) *float32 {
	return (*float32)(unsafe.Add(unsafe.Pointer(p), elements*4))
}
