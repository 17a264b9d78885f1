package devicetest

import (
	"math"

	"trainer/nn/device"
)

// logSumExp returns log sum_k exp(z[k]).
func logSumExp(z []float64) float64 {
	largest := math.Inf(-1)
	for _, v := range z {
		largest = math.Max(largest, v)
	}
	sum := 0.0
	for _, v := range z {
		sum += math.Exp(v - largest)
	}
	return largest + math.Log(sum)
}

// target returns q[k] of label smoothing, or the one-hot vector without.
func target(smoothing float64, classes, k, label int) float64 {
	q := smoothing / float64(classes)
	if k == label {
		q += 1 - smoothing
	}
	return q
}

// exampleLoss returns one example's loss and its magnitude, and sets its gradient.
// A label outside [0, len(z)) makes all of it NaN.
func exampleLoss(s device.LossSpec, z []float64, label int, gradient, gradientMagnitude []float64) (loss, magnitude float64) {
	if label < 0 || label >= len(z) {
		for k := range gradient {
			gradient[k] = math.NaN()
		}
		return math.NaN(), 0
	}
	classes := float64(len(z))
	if s.Kind == device.MeanSquaredError {
		for k, v := range z {
			d := v - target(0, len(z), k, label)
			loss += d * d / classes
			magnitude += d * d / classes
			gradient[k] = 2 * d / classes
			gradientMagnitude[k] = 2 * (math.Abs(v) + 1) / classes
		}
		return loss, magnitude
	}
	// L = logsumexp(z) - sum_k q[k] z[k]      dL/dz[k] = softmax(z)[k] - q[k]
	lse := logSumExp(z)
	loss, magnitude = lse, math.Abs(lse)+1
	for k, v := range z {
		q, p := target(float64(s.Smoothing), len(z), k, label), math.Exp(v-lse)
		loss -= q * v
		magnitude += math.Abs(q * v)
		gradient[k] = p - q
		gradientMagnitude[k] = p*(1+math.Abs(v-lse)) + q
	}
	return loss, magnitude
}

// refLoss returns what Forward adds to the stats and what Backward computes.
func refLoss(s device.LossSpec, outputs []float64, labels []int32) (stats, doutputs sums) {
	n := len(labels)
	stats = newSums(device.StatsLen, functionUlps+sumUlps(n))
	doutputs = newSums(len(outputs), functionUlps+sumUlps(s.Classes))
	for i, label := range labels {
		row := outputs[i*s.Classes : (i+1)*s.Classes]
		from, to := i*s.Classes, (i+1)*s.Classes
		loss, magnitude := exampleLoss(s, row, int(label), doutputs.value[from:to], doutputs.magnitude[from:to])
		stats.value[device.StatLoss] += loss
		stats.magnitude[device.StatLoss] += magnitude
		stats.value[device.StatCount]++
		if firstLargest(row) == int(label) {
			stats.value[device.StatCorrect]++
		}
	}
	if !s.Sum {
		for i := range doutputs.value {
			doutputs.value[i] /= float64(n)
			doutputs.magnitude[i] /= float64(n)
		}
	}
	return stats, doutputs
}

// firstLargest returns the index of the first of the largest elements.
func firstLargest(z []float64) int {
	best := 0
	for k, v := range z {
		if v > z[best] {
			best = k
		}
	}
	return best
}
