package reference

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

// Loss returns what Forward adds to the stats and what Backward computes.
func Loss(s device.LossSpec, outputs []float64, labels []int32) (stats, doutputs Sums) {
	n := len(labels)
	stats = NewSums(device.StatsLen, FunctionUlps+SumUlps(n))
	doutputs = NewSums(len(outputs), FunctionUlps+SumUlps(s.Classes))
	for i, label := range labels {
		row := outputs[i*s.Classes : (i+1)*s.Classes]
		from, to := i*s.Classes, (i+1)*s.Classes
		loss, magnitude := exampleLoss(s, row, int(label), doutputs.Value[from:to], doutputs.Magnitude[from:to])
		stats.Value[device.StatLoss] += loss
		stats.Magnitude[device.StatLoss] += magnitude
		stats.Value[device.StatCount]++
		if firstLargest(row) == int(label) {
			stats.Value[device.StatCorrect]++
		}
	}
	if !s.Sum {
		for i := range doutputs.Value {
			doutputs.Value[i] /= float64(n)
			doutputs.Magnitude[i] /= float64(n)
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

type loss struct {
	*Operations
	s device.LossSpec
}

// NewLoss makes a plan of a loss.
func (o *Operations) NewLoss(s device.LossSpec) (device.Loss, error) {
	require("loss", s.N > 0 && s.Classes > 0, "%+v", s)
	return made[device.Loss](o, "loss", loss{o, s}, o.scales("loss", s.Scaling))
}

func (p loss) check(op string, outputs, labels *device.Tensor) {
	n := device.CheckRows(op, "outputs", outputs, device.Float32, p.s.N, p.s.Classes)
	device.Check(op, "labels", labels, device.Int32, n)
}

func (p loss) Forward(stats, outputs, labels *device.Tensor) {
	const op = "loss forward"
	p.check(op, outputs, labels)
	device.Check(op, "stats", stats, device.Float32, device.StatsLen)
	if !p.begin(op) {
		return
	}
	batch, _ := Loss(p.s, p.load(outputs), p.loadInts(labels))
	for i, before := range p.load(stats) {
		batch.Value[i] += before
	}
	p.store(op, stats, batch.Value)
}

func (p loss) Backward(doutputs, outputs, labels *device.Tensor) {
	const op = "loss backward"
	p.check(op, outputs, labels)
	device.CheckLen(op, "doutputs", doutputs, device.Float32, outputs.Len())
	if !p.begin(op) {
		return
	}
	_, gradient := Loss(p.s, p.load(outputs), p.loadInts(labels))
	if p.s.Scaling != nil {
		gradient = gradient.Times(p.loadAt(p.s.Scaling, device.ScalingScale))
	}
	p.store(op, doutputs, gradient.Value)
}
