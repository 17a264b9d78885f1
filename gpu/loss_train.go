//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"fmt"

	"trainer/gpu/internal/cuda"
	"trainer/kernels"
	"trainer/nn/device"
)

// trainingLoss is the plan of softmax cross-entropy over rows with one label each, forward and backward in one launch of the
// kernel in loss_train.cu, which reads and writes the type of the network's outputs. The formulas are those of loss.
type trainingLoss struct {
	d       *Device
	spec    device.LossSpec
	dtype   device.DType
	arrived *memory // uint32: the blocks that have left their sums; 0 between launches
	kernel  *cuda.Kernel
}

// NewTrainingLoss makes a plan for softmax cross-entropy. The error is an ErrNotSupported for other losses, and for soft
// targets, weights and ignored labels.
func (d *Device) NewTrainingLoss(s device.LossSpec, outputs device.DType) (device.TrainingLoss, error) {
	s.Check()
	d.checkScaling("training loss", s.Scaling)
	outputs = floatType("NewTrainingLoss", outputs)
	if s.Kind != device.SoftmaxCrossEntropy || !s.Plain() {
		return nil, fmt.Errorf("loss and gradient in one pass: %w", device.ErrNotSupported)
	}
	return build(d, "training loss", func(b *builder) device.TrainingLoss {
		if !b.elements(s.N * s.Classes) {
			return nil
		}
		b.reserve(2 * 4 * int64(kernels.WarpRows(s.N).X))
		return &trainingLoss{d: d, spec: s, dtype: outputs, arrived: b.zeros(4), kernel: b.family(kernels.LossCrossEntropyTrain, outputs)}
	})
}

func (p *trainingLoss) Run(stats, doutputs, outputs, targets *device.Tensor) {
	const op = "training loss"
	s, d := p.spec, p.d
	n := s.CheckTraining(op, p.dtype, stats, doutputs, outputs, targets)
	if !d.begin(op) {
		return
	}
	defer d.end()
	d.arguments().Pointer(d.data(stats)).Pointer(d.scratch()).Pointer(d.at(p.arrived)).Pointer(d.data(doutputs)).Pointer(d.data(outputs)).
		Pointer(d.data(targets)).Int32(int32(n)).Int32(int32(s.Classes)).Float32(s.Smoothing).Float32(lossWeight(s, n)).Pointer(d.optional(s.Scaling))
	d.launch(p.kernel, kernels.WarpRows(n))
}
