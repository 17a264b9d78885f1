package cpu

import (
	"fmt"
	"math"

	"trainer/nn/device"
)

// loss is the plan of a loss over rows z of outputs [n, classes] with one label each.
// Softmax cross-entropy, with the smoothed target q[k] = (1-s)[k = label] + s/classes and
// the shift m = max z, which changes nothing in exact arithmetic and keeps large logits
// from overflowing:
//
//	L = log sum_k exp(z[k]-m) - sum_k q[k] (z[k]-m)
//	dL/dz[k] = softmax(z)[k] - q[k]
//
// Mean squared error, with the one-hot target:
//
//	L = 1/classes sum_k (z[k] - [k = label])^2
//	dL/dz[k] = 2/classes (z[k] - [k = label])
//
// The gradient is that of the batch's mean unless the spec says Sum.
type loss struct {
	d           *Device
	spec        device.LossSpec
	rowsPerTask int
	partial     []lossStats // one a task, added in their order

	// Operands of the call that is running.
	outputs, doutputs []float32
	labels            []int32
}

// lossStats is what the rows of a task add to the stats.
type lossStats struct {
	loss    float64
	correct int
}

// NewLoss makes a plan for a loss.
func (d *Device) NewLoss(s device.LossSpec) (device.Loss, error) {
	if err := d.unscaled("loss", s.Scaling); err != nil {
		return nil, err
	}
	known := s.Kind == device.SoftmaxCrossEntropy || s.Kind == device.MeanSquaredError
	if !known || s.N < 1 || s.Classes < 1 || !(s.Smoothing >= 0 && s.Smoothing <= 1) {
		panic(fmt.Sprintf("cpu: NewLoss: kind %d, outputs [%d %d], smoothing %v, want 0 to 1", s.Kind, s.N, s.Classes, s.Smoothing))
	}
	rows := max(1, exponentialsPerTask/s.Classes)
	return &loss{d: d, spec: s, rowsPerTask: rows, partial: make([]lossStats, divideUp(s.N, rows))}, nil
}

func (p *loss) Forward(stats, outputs, labels *device.Tensor) {
	const op = "cpu: loss forward"
	n := device.CheckRows(op, "outputs", outputs, device.Float32, p.spec.N, p.spec.Classes)
	device.CheckLen(op, "labels", labels, device.Int32, n)
	device.CheckLen(op, "stats", stats, device.Float32, device.StatsLen)
	p.outputs, p.labels = floats(outputs), ints(labels)
	tasks := divideUp(n, p.rowsPerTask)
	p.d.pool.Run(tasks, (*lossForward)(p))
	var sum lossStats
	for _, s := range p.partial[:tasks] {
		sum.loss += s.loss
		sum.correct += s.correct
	}
	total := floats(stats)
	total[device.StatLoss] = float32(float64(total[device.StatLoss]) + sum.loss)
	total[device.StatCorrect] += float32(sum.correct)
	total[device.StatCount] += float32(n)
}

func (p *loss) Backward(doutputs, outputs, labels *device.Tensor) {
	const op = "cpu: loss backward"
	n := device.CheckRows(op, "outputs", outputs, device.Float32, p.spec.N, p.spec.Classes)
	device.Check(op, "doutputs", doutputs, device.Float32, n, p.spec.Classes)
	device.CheckLen(op, "labels", labels, device.Int32, n)
	p.outputs, p.doutputs, p.labels = floats(outputs), floats(doutputs), ints(labels)
	p.d.pool.Run(divideUp(n, p.rowsPerTask), (*lossBackward)(p))
}

// lossForward is the loop over groups of rows of Forward.
type lossForward loss

func (p *lossForward) Do(i, _ int) {
	c := p.spec.Classes
	var sum lossStats
	for r := i * p.rowsPerTask; r < min((i+1)*p.rowsPerTask, len(p.labels)); r++ {
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
	c := p.spec.Classes
	weight := float32(1)
	if !p.spec.Sum {
		weight = float32(1 / float64(len(p.labels)))
	}
	for r := i * p.rowsPerTask; r < min((i+1)*p.rowsPerTask, len(p.labels)); r++ {
		dz, z, label := p.doutputs[r*c:(r+1)*c], p.outputs[r*c:(r+1)*c], int(p.labels[r])
		switch {
		case label < 0 || label >= c:
			for k := range dz {
				dz[k] = float32(math.NaN())
			}
		case p.spec.Kind == device.SoftmaxCrossEntropy:
			p.crossEntropyGradient(dz, z, label, p.spec.Smoothing, weight)
		default:
			p.squaredErrorGradient(dz, z, label, weight)
		}
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

// crossEntropy returns log sum_k exp(z[k]-m) - sum_k q[k] (z[k]-m), m being the largest.
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
