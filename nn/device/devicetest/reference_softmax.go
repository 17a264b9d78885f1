package devicetest

import "math"

// refSoftmax returns y[i] = exp(x[i] - logsumexp(x)) for each row of [n, classes]. An
// error of x[i]-max, rounded to float32, appears multiplied by y[i].
func refSoftmax(classes int, x []float64) sums {
	y := newSums(len(x), functionUlps+sumUlps(classes))
	for from := 0; from < len(x); from += classes {
		row := x[from : from+classes]
		lse := logSumExp(row)
		for k, v := range row {
			p := math.Exp(v - lse)
			y.set(from+k, p, p*(1+math.Abs(v-lse)))
		}
	}
	return y
}
