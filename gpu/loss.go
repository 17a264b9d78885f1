//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"trainer/gpu/internal/cuda"
	"trainer/kernels"
	"trainer/nn/device"
)

// loss is the plan of a loss over rows z of outputs [n, classes] with one label each, computed by the kernels in
// loss.cu. Softmax cross-entropy, with the smoothed target q[k] = (1-s)[k = label] + s/classes:
//
//	L = logsumexp(z) - sum_k q[k] z[k]      dL/dz[k] = softmax(z)[k] - q[k]
//
// Mean squared error, with the one-hot target:
//
//	L = 1/classes sum_k (z[k] - [k = label])^2      dL/dz[k] = 2/classes (z[k] - [k = label])
//
// The gradient is of the batch's mean, or of its sum if the spec says Sum, times the scale of a LossScaling. Forward
// leaves one partial sum per block in the workspace, which the last block adds to the stats. weightedLoss handles soft
// targets, weights and ignored labels.
type loss struct {
	d                 *Device
	spec              device.LossSpec
	arrived           *memory // uint32: the blocks that have left their sums; 0 between launches
	forward, backward *cuda.Kernel
}

// NewLoss makes a plan for a loss.
func (d *Device) NewLoss(s device.LossSpec) (device.Loss, error) {
	s.Check()
	d.checkScaling("loss", s.Scaling)
	if s.ClassWeights != nil {
		d.memoryOf("loss", "class weights", s.ClassWeights)
	}
	return build(d, "loss", func(b *builder) device.Loss {
		if !b.elements(s.N * s.Classes) {
			return nil
		}
		if !s.Plain() {
			return newWeightedLoss(b, s)
		}
		b.reserve(2 * 4 * int64(kernels.WarpRows(s.N).X))
		p := &loss{d: d, spec: s, arrived: b.zeros(4)}
		if s.Kind == device.SoftmaxCrossEntropy {
			p.forward, p.backward = b.kernel(kernels.LossCrossEntropy), b.kernel(kernels.LossCrossEntropyBackward)
		} else {
			p.forward, p.backward = b.kernel(kernels.LossSquaredError), b.kernel(kernels.LossSquaredErrorBackward)
		}
		return p
	})
}

func (p *loss) Forward(stats, outputs, targets, weights *device.Tensor) {
	const op = "loss forward"
	n := p.spec.CheckOperands(op, outputs, targets, weights)
	device.CheckLen(op, "stats", stats, device.Float32, device.StatsLen)
	d := p.d
	if !d.begin(op) {
		return
	}
	defer d.end()
	p.withSmoothing(d.arguments().Pointer(d.data(stats)).Pointer(d.scratch()).Pointer(d.at(p.arrived)).Pointer(d.data(outputs)).
		Pointer(d.data(targets)).Int32(int32(n)).Int32(int32(p.spec.Classes)))
	d.launch(p.forward, kernels.WarpRows(n))
}

func (p *loss) Backward(doutputs, outputs, targets, weights *device.Tensor) {
	const op = "loss backward"
	n := p.spec.CheckOperands(op, outputs, targets, weights)
	device.Check(op, "doutputs", doutputs, device.Float32, n, p.spec.Classes)
	d := p.d
	if !d.begin(op) {
		return
	}
	defer d.end()
	p.withSmoothing(d.arguments().Pointer(d.data(doutputs)).Pointer(d.data(outputs)).Pointer(d.data(targets)).
		Int32(int32(n)).Int32(int32(p.spec.Classes))).Float32(lossWeight(p.spec, n)).Pointer(d.optional(p.spec.Scaling))
	d.launch(p.backward, kernels.WarpRows(n))
}

// lossWeight returns the factor of each example's gradient: 1 for a sum, 1/n for a mean.
func lossWeight(s device.LossSpec, n int) float32 {
	if s.Sum {
		return 1
	}
	return float32(1 / float64(n))
}

// withSmoothing adds the argument that only cross-entropy has.
func (p *loss) withSmoothing(a *cuda.Args) *cuda.Args {
	if p.spec.Kind == device.SoftmaxCrossEntropy {
		a.Float32(p.spec.Smoothing)
	}
	return a
}
