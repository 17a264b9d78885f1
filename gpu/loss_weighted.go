//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"gorgonia.org/cu"

	"trainer/gpu/internal/cuda"
	"trainer/kernels"
	"trainer/nn/device"
)

// weightedLoss is the plan of a loss with soft targets, weights or an ignored label, computed by the kernels in
// loss_weighted.cu, which has the formulas. The mean over the batch divides by the sum W of the weights, which the
// device computes before the gradient, so that the host need not know it.
type weightedLoss struct {
	d                         *Device
	spec                      device.LossSpec // keeps the class weights
	inverse                   cu.DevicePtr    // offset of 1/W, float32 [1], in the workspace; the partial sums are at 0
	forward, finish, backward *cuda.Kernel
	weights, weightsFinish    *cuda.Kernel
}

// newWeightedLoss gathers the kernels.
func newWeightedLoss(b *builder, s device.LossSpec) *weightedLoss {
	var work layout
	work.place(4 * 4 * kernels.WarpRows(s.N).X) // partial sums, four per block
	p := &weightedLoss{
		d: b.d, spec: s, inverse: work.place(4), finish: b.kernel(kernels.LossWeightedFinish),
		weights: b.kernel(kernels.LossWeights), weightsFinish: b.kernel(kernels.LossWeightsFinish),
	}
	b.reserve(work.bytes)
	if s.Kind == device.SoftmaxCrossEntropy {
		p.forward, p.backward = b.kernel(kernels.LossCrossEntropyWeighted), b.kernel(kernels.LossCrossEntropyWeightedBackward)
	} else {
		p.forward, p.backward = b.kernel(kernels.LossSquaredErrorWeighted), b.kernel(kernels.LossSquaredErrorWeightedBackward)
	}
	return p
}

func (p *weightedLoss) Forward(stats, outputs, targets, weights *device.Tensor) {
	const op = "loss forward"
	n := p.spec.CheckOperands(op, outputs, targets, weights)
	device.CheckLen(op, "stats", stats, device.Float32, device.StatsLen)
	d := p.d
	if !d.begin(op) {
		return
	}
	defer d.end()
	grid, partial := kernels.WarpRows(n), d.scratch()
	p.smoothing(p.targets(d.arguments().Pointer(partial).Pointer(d.data(outputs)), targets, weights, n))
	d.launch(p.forward, grid)
	d.arguments().Pointer(d.data(stats)).Pointer(partial).Int32(int32(grid.X))
	d.launch(p.finish, oneBlock)
}

func (p *weightedLoss) Backward(doutputs, outputs, targets, weights *device.Tensor) {
	const op = "loss backward"
	n := p.spec.CheckOperands(op, outputs, targets, weights)
	device.Check(op, "doutputs", doutputs, device.Float32, n, p.spec.Classes)
	d := p.d
	if !d.begin(op) {
		return
	}
	defer d.end()
	grid, inverse := kernels.WarpRows(n), cu.DevicePtr(0)
	if !p.spec.Sum {
		inverse = p.queueInverse(targets, weights, n)
	}
	p.smoothing(p.targets(d.arguments().Pointer(d.data(doutputs)).Pointer(d.data(outputs)), targets, weights, n)).
		Pointer(inverse).Pointer(d.optional(p.spec.Scaling))
	d.launch(p.backward, grid)
}

// queueInverse queues the sum of the weights, and returns where its inverse will be.
func (p *weightedLoss) queueInverse(targets, weights *device.Tensor, n int) cu.DevicePtr {
	d, grid := p.d, kernels.WarpRows(n)
	partial := d.scratch()
	p.targets(d.arguments().Pointer(partial), targets, weights, n)
	d.launch(p.weights, grid)
	d.arguments().Pointer(partial + p.inverse).Pointer(partial).Int32(int32(grid.X))
	d.launch(p.weightsFinish, oneBlock)
	return partial + p.inverse
}

// targets adds the arguments for the targets and the weights.
func (p *weightedLoss) targets(a *cuda.Args, targets, weights *device.Tensor, n int) *cuda.Args {
	d := p.d
	labels, soft := d.data(targets), cu.DevicePtr(0)
	if p.spec.SoftTargets {
		labels, soft = soft, labels
	}
	return a.Pointer(labels).Pointer(soft).Pointer(d.optional(p.spec.ClassWeights)).Pointer(d.optional(weights)).
		Int32(flag(p.spec.Ignore)).Int32(p.spec.IgnoreIndex).Int32(int32(n)).Int32(int32(p.spec.Classes))
}

// smoothing adds the argument that only cross-entropy has.
func (p *weightedLoss) smoothing(a *cuda.Args) *cuda.Args {
	if p.spec.Kind == device.SoftmaxCrossEntropy {
		a.Float32(p.spec.Smoothing)
	}
	return a
}
