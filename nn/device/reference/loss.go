package reference

import (
	"math"

	"trainer/nn/device"
)

// LossBatch is the input of a loss: a batch of n examples.
type LossBatch struct {
	Outputs      []float64 // z [n, classes]
	Labels       []int32   // [n]; nil with soft targets
	Soft         []float64 // t [n, classes]; nil with labels
	ClassWeights []float64 // w [classes], or nil if all are 1
	Weights      []float64 // v [n], or nil if all are 1
}

// target returns t[k] of example i.
func (b LossBatch) target(classes, i, k int) float64 {
	switch {
	case b.Soft != nil:
		return b.Soft[i*classes+k]
	case k == int(b.Labels[i]):
		return 1
	}
	return 0
}

// classWeight returns w[k].
func (b LossBatch) classWeight(k int) float64 {
	if b.ClassWeights == nil {
		return 1
	}
	return b.ClassWeights[k]
}

// exampleWeight returns v[i].
func (b LossBatch) exampleWeight(i int) float64 {
	if b.Weights == nil {
		return 1
	}
	return b.Weights[i]
}

// unknown reports whether example i has a label outside the range of classes.
func (b LossBatch) unknown(classes, i int) bool {
	return b.Soft == nil && (b.Labels[i] < 0 || int(b.Labels[i]) >= classes)
}

// targetWeight returns u[i] = sum_k w[k] t[i,k], or 1 without class weights or if the label is outside the range of
// classes.
func (b LossBatch) targetWeight(classes, i int) float64 {
	if b.ClassWeights == nil || b.unknown(classes, i) {
		return 1
	}
	sum := 0.0
	for k, w := range b.ClassWeights {
		sum += w * b.target(classes, i, k)
	}
	return sum
}

// answer returns the class at which example i's target is largest.
func (b LossBatch) answer(classes, i int) int {
	if b.Soft == nil {
		return int(b.Labels[i])
	}
	return firstLargest(b.Soft[i*classes : (i+1)*classes])
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
func (b LossBatch) crossEntropy(s device.LossSpec, i int, gradient, gradientMagnitude []float64) (loss, magnitude float64) {
	z := b.Outputs[i*s.Classes : (i+1)*s.Classes]
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
func (b LossBatch) meanSquaredError(s device.LossSpec, i int, gradient, gradientMagnitude []float64) (loss, magnitude float64) {
	each := b.targetWeight(s.Classes, i) / float64(s.Classes)
	for k, v := range b.Outputs[i*s.Classes : (i+1)*s.Classes] {
		d := v - b.target(s.Classes, i, k)
		loss += each * d * d
		gradient[k] = 2 * each * d
		gradientMagnitude[k] = 2 * each * (math.Abs(v) + 1)
	}
	return loss, loss
}

// exampleLoss returns the loss of example i and its magnitude, and sets its gradient, all without the example's weight.
// A label outside [0, classes) makes all of them NaN.
func (b LossBatch) exampleLoss(s device.LossSpec, i int, gradient, gradientMagnitude []float64) (loss, magnitude float64) {
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

// Loss returns the numbers that Forward adds to the stats and the gradient that Backward computes.
func Loss(s device.LossSpec, b LossBatch) (stats, doutputs Sums) {
	n := len(b.Outputs) / s.Classes
	stats = NewSums(device.StatsLen, FunctionUlps+SumUlps(n))
	doutputs = NewSums(len(b.Outputs), FunctionUlps+SumUlps(s.Classes))
	if !s.Plain() { // sums over classes make the weights of targets, and of the softmax
		stats.Ulps += SumUlps(s.Classes)
		doutputs.Ulps += SumUlps(s.Classes)
	}
	for i := range n {
		if s.Ignore && b.Labels[i] == s.IgnoreIndex {
			continue
		}
		from, to, v := i*s.Classes, (i+1)*s.Classes, b.exampleWeight(i)
		loss, magnitude := b.exampleLoss(s, i, doutputs.Value[from:to], doutputs.Magnitude[from:to])
		for k := from; k < to; k++ {
			doutputs.Value[k] *= v
			doutputs.Magnitude[k] *= v
		}
		stats.Value[device.StatLoss] += v * loss
		stats.Magnitude[device.StatLoss] += v * magnitude
		stats.Add(device.StatWeight, v*b.targetWeight(s.Classes, i))
		stats.Value[device.StatCount]++
		if !b.unknown(s.Classes, i) && firstLargest(b.Outputs[from:to]) == b.answer(s.Classes, i) {
			stats.Value[device.StatCorrect]++
		}
	}
	if s.Sum {
		return stats, doutputs
	}
	for i := range doutputs.Value {
		if stats.Value[device.StatWeight] == 0 { // no example counts
			doutputs.Set(i, 0, 0)
			continue
		}
		doutputs.Value[i] /= stats.Value[device.StatWeight]
		doutputs.Magnitude[i] /= stats.Value[device.StatWeight]
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
	s.Check()
	return made[device.Loss](o, "loss", loss{o, s}, o.scales("loss", s.Scaling))
}

// batch loads the operands.
func (p loss) batch(outputs, targets, weights *device.Tensor) LossBatch {
	b := LossBatch{Outputs: p.load(outputs), ClassWeights: p.load(p.s.ClassWeights), Weights: p.load(weights)}
	if p.s.SoftTargets {
		b.Soft = p.load(targets)
	} else {
		b.Labels = p.loadInts(targets)
	}
	return b
}

func (p loss) Forward(stats, outputs, targets, weights *device.Tensor) {
	const op = "loss forward"
	p.s.CheckOperands(op, outputs, targets, weights)
	device.Check(op, "stats", stats, device.Float32, device.StatsLen)
	if !p.begin(op) {
		return
	}
	batch, _ := Loss(p.s, p.batch(outputs, targets, weights))
	for i, before := range p.load(stats) {
		batch.Value[i] += before
	}
	p.store(op, stats, batch.Value)
}

func (p loss) Backward(doutputs, outputs, targets, weights *device.Tensor) {
	const op = "loss backward"
	p.s.CheckOperands(op, outputs, targets, weights)
	device.CheckLen(op, "doutputs", doutputs, device.Float32, outputs.Len())
	if !p.begin(op) {
		return
	}
	_, gradient := Loss(p.s, p.batch(outputs, targets, weights))
	if p.s.Scaling != nil {
		gradient = gradient.Times(p.loadAt(p.s.Scaling, device.ScalingScale))
	}
	p.store(op, doutputs, gradient.Value)
}
