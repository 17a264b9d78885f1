package devicetest

import (
	"math"

	"trainer/nn/device"
)

// lossBatch is what a loss is computed from, n examples of some classes.
type lossBatch struct {
	outputs      []float64 // z [n, classes]
	labels       []int32   // [n]; nil with soft targets
	soft         []float64 // t [n, classes]; nil with labels
	classWeights []float64 // w [classes], or nil: 1 each
	weights      []float64 // v [n], or nil: 1 each
}

// target returns t[k] of example i.
func (b lossBatch) target(classes, i, k int) float64 {
	switch {
	case b.soft != nil:
		return b.soft[i*classes+k]
	case k == int(b.labels[i]):
		return 1
	}
	return 0
}

// classWeight returns w[k].
func (b lossBatch) classWeight(k int) float64 {
	if b.classWeights == nil {
		return 1
	}
	return b.classWeights[k]
}

// exampleWeight returns v[i].
func (b lossBatch) exampleWeight(i int) float64 {
	if b.weights == nil {
		return 1
	}
	return b.weights[i]
}

// unknown reports whether example i has a label that is no class.
func (b lossBatch) unknown(classes, i int) bool {
	return b.soft == nil && (b.labels[i] < 0 || int(b.labels[i]) >= classes)
}

// targetWeight returns u[i] = sum_k w[k] t[i,k], or 1 without class weights, or where the label is no class.
func (b lossBatch) targetWeight(classes, i int) float64 {
	if b.classWeights == nil || b.unknown(classes, i) {
		return 1
	}
	sum := 0.0
	for k, w := range b.classWeights {
		sum += w * b.target(classes, i, k)
	}
	return sum
}

// answer returns the class at which example i's target is largest.
func (b lossBatch) answer(classes, i int) int {
	if b.soft == nil {
		return int(b.labels[i])
	}
	return firstLargest(b.soft[i*classes : (i+1)*classes])
}

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

// crossEntropy returns the loss of example i and its magnitude, and sets its gradient:
//
//	a[k] = w[k] ((1-s) t[k] + s/classes)
//	L = sum_k a[k] (logsumexp(z) - z[k])      dL/dz[k] = (sum_j a[j]) softmax(z)[k] - a[k]
func (b lossBatch) crossEntropy(s device.LossSpec, i int, gradient, gradientMagnitude []float64) (loss, magnitude float64) {
	z := b.outputs[i*s.Classes : (i+1)*s.Classes]
	lse := logSumExp(z)
	a, total := make([]float64, s.Classes), 0.0
	for k := range a {
		a[k] = b.classWeight(k) * ((1-float64(s.Smoothing))*b.target(s.Classes, i, k) + float64(s.Smoothing)/float64(s.Classes))
		total += a[k]
	}
	loss, magnitude = total*lse, total*(math.Abs(lse)+1)
	for k, v := range z {
		p := math.Exp(v - lse)
		loss -= a[k] * v
		magnitude += math.Abs(a[k] * v)
		gradient[k] = total*p - a[k]
		gradientMagnitude[k] = total*p*(1+math.Abs(v-lse)) + a[k]
	}
	return loss, magnitude
}

// meanSquaredError returns the loss of example i and its magnitude, and sets its gradient:
//
//	L = u/classes sum_k (z[k] - t[k])^2      dL/dz[k] = 2 u/classes (z[k] - t[k])
func (b lossBatch) meanSquaredError(s device.LossSpec, i int, gradient, gradientMagnitude []float64) (loss, magnitude float64) {
	each := b.targetWeight(s.Classes, i) / float64(s.Classes)
	for k, v := range b.outputs[i*s.Classes : (i+1)*s.Classes] {
		d := v - b.target(s.Classes, i, k)
		loss += each * d * d
		gradient[k] = 2 * each * d
		gradientMagnitude[k] = 2 * each * (math.Abs(v) + 1)
	}
	return loss, loss
}

// exampleLoss returns the loss of example i and its magnitude, and sets its gradient, all without the example's weight.
// A label outside [0, classes) makes all of it NaN.
func (b lossBatch) exampleLoss(s device.LossSpec, i int, gradient, gradientMagnitude []float64) (loss, magnitude float64) {
	if b.unknown(s.Classes, i) {
		for k := range gradient {
			gradient[k] = math.NaN()
		}
		return math.NaN(), 0
	}
	if s.Kind == device.MeanSquaredError {
		return b.meanSquaredError(s, i, gradient, gradientMagnitude)
	}
	return b.crossEntropy(s, i, gradient, gradientMagnitude)
}

// refLoss returns what Forward adds to the stats and what Backward computes.
func refLoss(s device.LossSpec, b lossBatch) (stats, doutputs sums) {
	n := len(b.outputs) / s.Classes
	stats = newSums(device.StatsLen, functionUlps+sumUlps(n))
	doutputs = newSums(len(b.outputs), functionUlps+sumUlps(s.Classes))
	if !s.Plain() { // sums over classes make the weights of targets, and of the softmax
		stats.ulps += sumUlps(s.Classes)
		doutputs.ulps += sumUlps(s.Classes)
	}
	for i := range n {
		if s.Ignore && b.labels[i] == s.IgnoreIndex {
			continue
		}
		from, to, v := i*s.Classes, (i+1)*s.Classes, b.exampleWeight(i)
		loss, magnitude := b.exampleLoss(s, i, doutputs.value[from:to], doutputs.magnitude[from:to])
		for k := from; k < to; k++ {
			doutputs.value[k] *= v
			doutputs.magnitude[k] *= v
		}
		stats.value[device.StatLoss] += v * loss
		stats.magnitude[device.StatLoss] += v * magnitude
		stats.add(device.StatWeight, v*b.targetWeight(s.Classes, i))
		stats.value[device.StatCount]++
		if !b.unknown(s.Classes, i) && firstLargest(b.outputs[from:to]) == b.answer(s.Classes, i) {
			stats.value[device.StatCorrect]++
		}
	}
	if s.Sum {
		return stats, doutputs
	}
	for i := range doutputs.value {
		if stats.value[device.StatWeight] == 0 { // nothing counts
			doutputs.set(i, 0, 0)
			continue
		}
		doutputs.value[i] /= stats.value[device.StatWeight]
		doutputs.magnitude[i] /= stats.value[device.StatWeight]
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
