package metric

import "math"

// The range of temperatures that FitTemperature considers.
const (
	minTemperature = 1e-2
	maxTemperature = 1e2
)

// FitTemperature returns the temperature T for which the probabilities softmax(z/T) of outputs z [n, classes] have the
// smallest loss, L(T) = mean of -log softmax(z/T)[label] (Guo et al., "On Calibration of Modern Neural Networks", ICML
// 2017). The images must not be those that the network was trained on. It returns 1 for no images.
//
// With b = 1/T, L is convex: its derivative, the mean of (sum over k of p[k] z[k]) - z[label], grows with b. So its zero is
// found by bisection, and where it has none in the range, as when every answer is right, T is at the end of the range.
func FitTemperature(z []float32, labels []int32, classes int) float64 {
	if len(labels) == 0 {
		return 1
	}
	low, high := math.Log(1/maxTemperature), math.Log(1/minTemperature)
	for range 50 {
		middle := (low + high) / 2
		if lossSlope(z, labels, classes, math.Exp(middle)) > 0 {
			high = middle
		} else {
			low = middle
		}
	}
	return math.Exp(-(low + high) / 2)
}

// lossSlope returns the derivative of the loss with respect to b.
func lossSlope(z []float32, labels []int32, classes int, b float64) float64 {
	total := 0.0
	for i, label := range labels {
		row := z[i*classes:][:classes]
		top := float64(row[0])
		for _, v := range row {
			top = max(top, float64(v))
		}
		sum, mean := 0.0, 0.0
		for _, v := range row {
			e := math.Exp(b * (float64(v) - top))
			sum += e
			mean += e * float64(v)
		}
		total += mean/sum - float64(row[label])
	}
	return total / float64(len(labels))
}
