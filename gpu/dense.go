//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"fmt"

	"trainer/gpu/internal/cuda"
	"trainer/kernels"
	"trainer/nn/device"
)

var _ device.FusedDense = (*Device)(nil)

// maxDenseWeights is the largest number of weights of a layer that the kernels of dense.cu compute: a cache of the first
// level holds them in 16 bits. cuBLAS has better kernels for more.
const maxDenseWeights = 1 << 15

// denseSpec completes a spec, and reports whether the kernels compute it.
func denseSpec(op string, s device.DenseSpec) (device.DenseSpec, error) {
	s.Check()
	s.DType = floatType(op, s.DType)
	if s.Out > kernels.MaxDenseOutputs || s.In*s.Out > maxDenseWeights {
		return s, fmt.Errorf("a dense layer of %d inputs and %d outputs in few passes: %w", s.In, s.Out, device.ErrNotSupported)
	}
	return s, nil
}

// denseLoss is the plan of a dense layer and of softmax cross-entropy over its outputs, in one launch of a kernel in
// dense.cu:
//
//	y = alpha x w + bias        stats += sum of L, correct answers, n, n        dy = weight dL/dy
type denseLoss struct {
	d       *Device
	spec    device.DenseSpec
	loss    device.LossSpec
	arrived *memory // uint32: the blocks that have left their sums; 0 between launches
	kernel  *cuda.Kernel
}

// NewDenseLoss makes a plan for a layer of up to 32 outputs and softmax cross-entropy without soft targets, weights and
// ignored labels.
func (d *Device) NewDenseLoss(s device.DenseSpec, l device.LossSpec) (device.DenseLoss, error) {
	l.Check()
	if l.N != s.Rows || l.Classes != s.Out {
		panic(fmt.Sprintf("gpu: NewDenseLoss: a loss of [%d %d] for outputs of [%d %d]", l.N, l.Classes, s.Rows, s.Out))
	}
	d.checkScaling("dense layer with loss", l.Scaling)
	s, err := denseSpec("NewDenseLoss", s)
	if err != nil {
		return nil, err
	}
	if l.Kind != device.SoftmaxCrossEntropy || !l.Plain() {
		return nil, fmt.Errorf("a dense layer with this loss in one pass: %w", device.ErrNotSupported)
	}
	return build(d, "dense layer with loss", func(b *builder) device.DenseLoss {
		if !b.elements(s.Rows * max(s.In, s.Out)) {
			return nil
		}
		b.reserve(2 * 4 * int64(kernels.WarpRows(s.Rows).X))
		return &denseLoss{d: d, spec: s, loss: l, arrived: b.zeros(4), kernel: b.family(kernels.DenseCrossEntropy, s.DType)}
	})
}

func (p *denseLoss) Run(stats, dy, y, x, w, bias, targets *device.Tensor) {
	s, d := p.spec, p.d
	n := s.CheckLoss(p.loss, stats, dy, y, x, w, bias, targets)
	if !d.begin("dense layer with loss") {
		return
	}
	defer d.end()
	d.arguments().Pointer(d.data(stats)).Pointer(d.scratch()).Pointer(d.at(p.arrived)).Pointer(d.data(dy)).Pointer(d.data(y)).Pointer(d.data(x)).
		Pointer(d.data(w)).Pointer(d.optional(bias)).Pointer(d.data(targets)).Int32(int32(n)).Int32(int32(s.In)).Int32(int32(s.Out)).
		Int32(int32(kernels.DenseLanes(s.Out))).Float32(s.Alpha).Float32(p.loss.Smoothing).Float32(lossWeight(p.loss, n)).Pointer(d.optional(p.loss.Scaling))
	d.launch(p.kernel, kernels.WarpRows(n))
}

// denseGradients is the plan of the gradients of a dense layer, in one launch of a kernel in dense.cu:
//
//	dw = alpha x^T dy        dbias = sum_n dy[n]        dx = alpha dy w^T
type denseGradients struct {
	d       *Device
	spec    device.DenseSpec
	arrived *memory // uint32 for each group of elements of dw and dbias; 0 between launches
	kernel  *cuda.Kernel
}

// NewDenseGradients makes a plan for a layer of up to 32 outputs.
func (d *Device) NewDenseGradients(s device.DenseSpec) (device.DenseGradients, error) {
	s, err := denseSpec("NewDenseGradients", s)
	if err != nil {
		return nil, err
	}
	return build(d, "gradients of a dense layer", func(b *builder) device.DenseGradients {
		if !b.elements(s.Rows * max(s.In+1, s.Out)) {
			return nil
		}
		l := kernels.DenseBackwardLaunch(s.Rows, s.In, s.Out, storage(s.DType), true, true)
		b.reserve(4 * int64(l.Spans) * int64(s.In+1) * int64(s.Out))
		return &denseGradients{d: d, spec: s, arrived: b.zeros(4 * l.Groups), kernel: b.family(kernels.DenseBackward, s.DType)}
	})
}

func (p *denseGradients) Run(dx, dw, dbias, dy, x, w *device.Tensor) {
	s, d := p.spec, p.d
	n := s.CheckGradients(dx, dw, dbias, dy, x, w)
	weights := dw != nil || dbias != nil
	if !weights && dx == nil || !d.begin("gradients of a dense layer") {
		return
	}
	defer d.end()
	l := kernels.DenseBackwardLaunch(n, s.In, s.Out, storage(s.DType), weights, dx != nil)
	d.arguments().Pointer(d.optional(dx)).Pointer(d.optional(dw)).Pointer(d.optional(dbias)).Pointer(d.scratch()).Pointer(d.at(p.arrived)).
		Pointer(d.data(dy)).Pointer(d.data(x)).Pointer(d.data(w)).Int32(int32(n)).Int32(int32(s.In)).Int32(int32(s.Out)).Float32(s.Alpha).
		Int32(int32(l.Spans)).Int32(int32(l.RowsPerSpan)).Int32(int32(l.WeightBlocks)).Int32(flag(l.Vector))
	d.launch(p.kernel, l.Grid)
}
