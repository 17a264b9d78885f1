package cpu

import (
	"math"

	"trainer/nn/device"
)

// loss is the plan of a loss over the rows z of outputs [n, classes], with one label per row. Softmax
// cross-entropy, with the smoothed target q[k] = (1-s)[k = label] + s/classes and the shift m = max z, which
// changes nothing in exact arithmetic and keeps large logits from overflowing:
//
//	L = log sum_k exp(z[k]-m) - sum_k q[k] (z[k]-m)
//	dL/dz[k] = softmax(z)[k] - q[k]
//
// Mean squared error, with the one-hot target:
//
//	L = 1/classes sum_k (z[k] - [k = label])^2
//	dL/dz[k] = 2/classes (z[k] - [k = label])
//
// The gradient is that of the batch's mean loss unless the spec says Sum. For soft targets, weights and
// ignored labels see weightedLossForward.
type loss struct {
	d           *Device
	spec        device.LossSpec
	rowsPerTask int
	partial     []lossStats // one per task, added in the order of the tasks

	// Operands of the current call. labels is nil with soft targets.
	outputs, doutputs          []float32
	labels                     []int32
	soft, classWeights, weight []float32 // nil if there are none
	n                          int
	factor                     float64 // for every example's gradient: 1, or 1/W for the mean
}

// lossStats holds what the rows of one task add to the statistics.
type lossStats struct {
	loss, weight   float64
	correct, count int
}

// NewLoss returns a plan for a loss.
func (d *Device) NewLoss(s device.LossSpec) (device.Loss, error) {
	s.Check()
	if err := d.unscaled("loss", s.Scaling); err != nil {
		return nil, err
	}
	rows := max(1, exponentialsPerTask/s.Classes)
	return &loss{d: d, spec: s, rowsPerTask: rows, partial: make([]lossStats, divideUp(s.N, rows))}, nil
}

func (p *loss) Forward(stats, outputs, targets, weights *device.Tensor) {
	const op = "cpu: loss forward"
	p.n = p.spec.CheckOperands(op, outputs, targets, weights)
	device.CheckLen(op, "stats", stats, device.Float32, device.StatsLen)
	p.read(outputs, targets, weights)
	tasks := divideUp(p.n, p.rowsPerTask)
	if p.spec.Plain() {
		p.d.pool.Run(tasks, (*lossForward)(p))
	} else {
		p.d.pool.Run(tasks, (*weightedLossForward)(p))
	}
	var sum lossStats
	for _, s := range p.partial[:tasks] {
		sum.loss += s.loss
		sum.weight += s.weight
		sum.correct += s.correct
		sum.count += s.count
	}
	total := floats(stats)
	total[device.StatLoss] = float32(float64(total[device.StatLoss]) + sum.loss)
	total[device.StatCorrect] += float32(sum.correct)
	total[device.StatCount] += float32(sum.count)
	total[device.StatWeight] = float32(float64(total[device.StatWeight]) + sum.weight)
}

func (p *loss) Backward(doutputs, outputs, targets, weights *device.Tensor) {
	const op = "cpu: loss backward"
	p.n = p.spec.CheckOperands(op, outputs, targets, weights)
	device.Check(op, "doutputs", doutputs, device.Float32, p.n, p.spec.Classes)
	p.read(outputs, targets, weights)
	p.doutputs = floats(doutputs)
	p.factor = 1
	tasks := divideUp(p.n, p.rowsPerTask)
	if p.spec.Plain() {
		if !p.spec.Sum {
			p.factor = 1 / float64(p.n)
		}
		p.d.pool.Run(tasks, (*lossBackward)(p))
		return
	}
	if !p.spec.Sum {
		p.factor = p.inverseWeight()
	}
	p.d.pool.Run(tasks, (*weightedLossBackward)(p))
}

// read keeps the operands of a call.
func (p *loss) read(outputs, targets, weights *device.Tensor) {
	p.outputs, p.labels, p.soft = floats(outputs), nil, nil
	if p.spec.SoftTargets {
		p.soft = floats(targets)
	} else {
		p.labels = ints(targets)
	}
	p.classWeights, p.weight = optionalFloats(p.spec.ClassWeights), optionalFloats(weights)
}

// lossForward is the loop over groups of rows of Forward.
type lossForward loss

func (p *lossForward) Do(i, _ int) {
	c := p.spec.Classes
	from, to := i*p.rowsPerTask, min((i+1)*p.rowsPerTask, p.n)
	sum := lossStats{count: to - from, weight: float64(to - from)}
	for r := from; r < to; r++ {
		z, label := p.outputs[r*c:(r+1)*c], int(p.labels[r])
		switch {
		case label < 0 || label >= c:
			sum.loss = math.NaN()
		case p.spec.Kind == device.SoftmaxCrossEntropy:
			sum.loss += p.crossEntropy(z, label, float64(p.spec.Smoothing))
		default:
			sum.loss += squaredError(z, label)
		}
		if firstLargest(z) == label {
			sum.correct++
		}
	}
	p.partial[i] = sum
}

// lossBackward is the loop over groups of rows of Backward.
type lossBackward loss

func (p *lossBackward) Do(i, _ int) {
	c, weight := p.spec.Classes, float32(p.factor)
	for r := i * p.rowsPerTask; r < min((i+1)*p.rowsPerTask, p.n); r++ {
		dz, z, label := p.doutputs[r*c:(r+1)*c], p.outputs[r*c:(r+1)*c], int(p.labels[r])
		switch {
		case label < 0 || label >= c:
			fillNaN(dz)
		case p.spec.Kind == device.SoftmaxCrossEntropy:
			p.crossEntropyGradient(dz, z, label, p.spec.Smoothing, weight)
		default:
			p.squaredErrorGradient(dz, z, label, weight)
		}
	}
}

func fillNaN(x []float32) {
	for k := range x {
		x[k] = float32(math.NaN())
	}
}

// firstLargest returns the index of the first of the largest elements.
func firstLargest(z []float32) int {
	best := 0
	for k, v := range z {
		if v > z[best] {
			best = k
		}
	}
	return best
}

// crossEntropy returns log sum_k exp(z[k]-m) - sum_k q[k] (z[k]-m), where m is the largest element of z.
func (p *lossForward) crossEntropy(z []float32, label int, smoothing float64) float64 {
	m := largest(z)
	l := math.Log(p.d.vector.SumOfExponentials(z, m)) - (1-smoothing)*(float64(z[label])-float64(m))
	if smoothing == 0 {
		return l
	}
	var sum float64
	for _, v := range z {
		sum += float64(v) - float64(m)
	}
	return l - smoothing/float64(len(z))*sum
}

// crossEntropyGradient computes dz = weight (softmax(z) - q).
func (p *lossBackward) crossEntropyGradient(dz, z []float32, label int, smoothing, weight float32) {
	sum := p.d.vector.Exponentials(dz, z, largest(z))
	scale, share := float32(1/sum), smoothing/float32(len(z))
	of := dz[label] * scale
	for k, e := range dz {
		dz[k] = weight * (e*scale - share)
	}
	dz[label] = weight * (of - (1 - smoothing + share))
}

// squaredError returns 1/classes sum_k (z[k] - [k = label])^2.
func squaredError(z []float32, label int) float64 {
	var sum float64
	for k, v := range z {
		d := float64(v)
		if k == label {
			d--
		}
		sum += d * d
	}
	return sum / float64(len(z))
}

// squaredErrorGradient computes dz = weight 2/classes (z - [k = label]).
func (p *lossBackward) squaredErrorGradient(dz, z []float32, label int, weight float32) {
	weight *= 2 / float32(len(z))
	p.d.vector.Scaled(dz, z, weight)
	dz[label] = weight * (z[label] - 1)
}
