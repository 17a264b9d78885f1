package vector

import "trainer/cpu/internal/vmath"

// exponentials computes y = exp(x - shift) and returns the sum.
func exponentials(y, x []float32, shift float32) float64 {
	y = y[:len(x)]
	var sum float64
	for i, v := range x {
		e := vmath.ExpNegative(v - shift)
		y[i] = e
		sum += float64(e)
	}
	return sum
}

// sumOfExponentials returns the sum of exp(x - shift).
func sumOfExponentials(x []float32, shift float32) float64 {
	var sum float64
	for _, v := range x {
		sum += float64(vmath.ExpNegative(v - shift))
	}
	return sum
}
