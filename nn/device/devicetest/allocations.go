package devicetest

import (
	"testing"

	"trainer/nn/device"
)

// RunAllocations checks that no method of any plan allocates on the heap after its
// first call: a training step calls nothing but these.
func RunAllocations(t *testing.T, dev device.Device) {
	t.Helper()
	for _, c := range allocationCases(t, dev) {
		t.Run(c.name, func(t *testing.T) {
			c.call()
			if n := testing.AllocsPerRun(10, c.call); n != 0 {
				t.Errorf("%v allocations a call", n)
			}
		})
	}
}

// call is one method with its operands.
type call struct {
	name string
	call func()
}

func allocationCases(t *testing.T, dev device.Device) []call {
	var calls []call
	calls = append(calls, convCalls(t, dev)...)
	calls = append(calls, layerCalls(t, dev)...)
	calls = append(calls, elementwiseCalls(t, dev)...)
	calls = append(calls, updateCalls(t, dev)...)
	return append(calls, dataCalls(t, dev)...)
}

// zeros allocates a float32 tensor.
func zeros(t *testing.T, dev device.Device, shape ...int) *device.Tensor {
	t.Helper()
	return memory{t, dev}.tensor(device.Float32, shape)
}

// convCalls are the convolutions: one large enough to be split between workers, one
// with groups, one with neither padding nor more than one channel.
func convCalls(t *testing.T, dev device.Device) []call {
	var calls []call
	for _, c := range ConvCases() {
		switch c.Name {
		case "3x3-64-channels", "3x3-many-tiles", "3x3-many-tiles-70-channels", "depthwise", "groups2", "5x5-one-channel", "1x1", "3x3-stride2":
		default:
			continue
		}
		conv := plan(dev.NewConv2D(c.Spec))(t)
		d := newConvData(c)
		x, y, w := zeros(t, dev, d.xShape()...), zeros(t, dev, d.yShape()...), zeros(t, dev, d.wShape()...)
		var bias *device.Tensor
		if c.Spec.Bias {
			bias = zeros(t, dev, c.Spec.OutC)
		}
		calls = append(calls,
			call{"conv2d/" + c.Name + "/forward", func() { conv.Forward(y, x, w, bias) }},
			call{"conv2d/" + c.Name + "/backward-data", func() { conv.BackwardData(x, y, w) }},
			call{"conv2d/" + c.Name + "/backward-filter", func() { conv.BackwardFilter(w, bias, y, x) }},
		)
		calls = append(calls, convPoolCalls(t, dev, c, x, w, bias)...)
	}
	return calls
}

// convPoolCalls are those of the convolution with pooling, where the device has it.
func convPoolCalls(t *testing.T, dev device.Device, c ConvCase, x, w, bias *device.Tensor) []call {
	fused, ok := dev.(device.FusedConvPool)
	if !ok {
		return nil
	}
	s := c.Spec
	pool := device.Pool2DSpec{Mode: device.MaxPool, N: s.N, H: s.OutH(), W: s.OutW(), C: s.OutC, KH: 2, KW: 2, StrideH: 2, StrideW: 2}
	conv, err := fused.NewConv2DMaxPool(s, pool, true)
	if err != nil {
		return nil
	}
	y := zeros(t, dev, c.N, pool.OutH(), pool.OutW(), pool.C)
	return []call{
		{"conv-pool/" + c.Name + "/forward", func() { conv.Forward(y, x, w, bias) }},
		{"conv-pool/" + c.Name + "/backward-data", func() { conv.BackwardData(x, y, w) }},
		{"conv-pool/" + c.Name + "/backward-filter", func() { conv.BackwardFilter(w, bias, y, x) }},
	}
}

// layerCalls are pooling, matrix product, batch normalisation and their fused forms.
func layerCalls(t *testing.T, dev device.Device) []call {
	s := device.Pool2DSpec{N: 16, H: 32, W: 32, C: 24, KH: 2, KW: 2, StrideH: 2, StrideW: 2}
	x, dx, y := zeros(t, dev, 16, 32, 32, 24), zeros(t, dev, 16, 32, 32, 24), zeros(t, dev, 16, 16, 16, 24)
	var calls []call
	for mode, m := range poolModes() {
		s.Mode = m
		pools := map[string]device.Pool2D{"pool2d/" + mode: plan(dev.NewPool2D(s))(t)}
		if fused, ok := dev.(device.FusedPool2D); ok {
			if pool, err := fused.NewPool2DReLU(s); err == nil {
				pools["fused-pool2d/"+mode] = pool
			}
		}
		for name, pool := range pools {
			calls = append(calls,
				call{name + "/forward", func() { pool.Forward(y, x) }},
				call{name + "/backward", func() { pool.Backward(dx, y, y, x) }})
		}
	}
	for _, trans := range []bool{false, true} {
		product := plan(dev.NewMatMul(device.MatMulSpec{M: 96, N: 96, K: 96, TransA: trans, TransB: !trans, Bias: true}))(t)
		a, b, c, bias := zeros(t, dev, 96, 96), zeros(t, dev, 96, 96), zeros(t, dev, 96, 96), zeros(t, dev, 96)
		calls = append(calls, call{"matmul", func() { product.Run(c, a, b, bias) }})
	}
	bnSpec := device.BatchNormSpec{Rows: 16 * 32 * 32, C: 24, Epsilon: 1e-5, Momentum: 0.1}
	norms := map[string]device.BatchNorm{"batchnorm": plan(dev.NewBatchNorm(bnSpec))(t)}
	if fused, ok := dev.(device.FusedBatchNorm); ok {
		if bn, err := fused.NewBatchNormActivation(bnSpec, device.ReLU); err == nil {
			norms["fused-batchnorm"] = bn
		}
	}
	gamma, beta, mean, variance := zeros(t, dev, 24), zeros(t, dev, 24), zeros(t, dev, 24), zeros(t, dev, 24)
	dgamma, dbeta := zeros(t, dev, 24), zeros(t, dev, 24)
	out := zeros(t, dev, 16, 32, 32, 24)
	for name, bn := range norms {
		calls = append(calls,
			call{name + "/forward", func() { bn.Forward(out, x, gamma, beta, mean, variance) }},
			call{name + "/inference", func() { bn.Inference(out, x, gamma, beta, mean, variance) }},
			call{name + "/backward", func() { bn.Backward(dx, dgamma, dbeta, out, x, gamma, beta) }})
	}
	return calls
}

func elementwiseCalls(t *testing.T, dev device.Device) []call {
	const n, classes = 40000, 10
	a, b, c := zeros(t, dev, n), zeros(t, dev, n), zeros(t, dev, n)
	step := memory{t, dev}.tensor(device.Int32, []int{1})
	var calls []call
	for _, kind := range activationKinds() {
		act := plan(dev.NewActivation(device.ActivationSpec{Kind: kind, Len: n}))(t)
		calls = append(calls,
			call{"activation/" + kind.String() + "/forward", func() { act.Forward(b, a) }},
			call{"activation/" + kind.String() + "/backward", func() { act.Backward(c, c, a, b) }})
	}
	drop := plan(dev.NewDropout(device.DropoutSpec{Len: n, Rate: 0.5}))(t)
	combine := plan(dev.NewCombine(device.CombineSpec{Len: n, Alpha: 1, Beta: 2}))(t)
	softmax := plan(dev.NewSoftmax(device.SoftmaxSpec{N: n / classes, Classes: classes}))(t)
	logits, out := a.View(n/classes, classes), b.View(n/classes, classes)
	labels, stats := memory{t, dev}.tensor(device.Int32, []int{n / classes}), zeros(t, dev, device.StatsLen)
	for name, kind := range map[string]device.LossKind{"cross-entropy": device.SoftmaxCrossEntropy, "mse": device.MeanSquaredError} {
		loss := plan(dev.NewLoss(device.LossSpec{Kind: kind, N: n / classes, Classes: classes, Smoothing: 0.1}))(t)
		calls = append(calls,
			call{"loss/" + name + "/forward", func() { loss.Forward(stats, logits, labels) }},
			call{"loss/" + name + "/backward", func() { loss.Backward(out, logits, labels) }})
	}
	for _, kind := range []device.ReduceKind{device.ReduceSumRows, device.ReduceSum, device.ReduceSumSquares, device.ReduceNonFinite} {
		reduce := plan(dev.NewReduce(device.ReduceSpec{Kind: kind, Rows: n / classes, C: classes}))(t)
		dst := zeros(t, dev, 1)
		if kind == device.ReduceSumRows {
			dst = zeros(t, dev, classes)
		}
		calls = append(calls, call{"reduce", func() { reduce.Run(dst, logits) }})
	}
	return append(calls,
		call{"dropout/forward", func() { drop.Forward(b, a, step) }},
		call{"dropout/backward", func() { drop.Backward(b, b, step) }},
		call{"combine", func() { combine.Run(c, a, b) }},
		call{"softmax", func() { softmax.Forward(out, logits) }})
}

// updateCalls are what follows the gradients: clipping, the optimisers, averages.
func updateCalls(t *testing.T, dev device.Device) []call {
	const n = 40000
	value, grad, state1, state2 := zeros(t, dev, n), zeros(t, dev, n), zeros(t, dev, n), zeros(t, dev, n)
	hyper, decay := zeros(t, dev, 1, device.HyperLen), zeros(t, dev, 1)
	var calls []call
	for name, kind := range map[string]device.OptimizerKind{"sgd": device.SGD, "adam": device.Adam, "rmsprop": device.RMSProp} {
		slot := device.Slot{Value: value, Grad: grad, State1: state1}
		if kind != device.SGD {
			slot.State2 = state2
		}
		optimizer := plan(dev.NewOptimizer(device.OptimizerSpec{Kind: kind, Epsilon: 1e-8, Slots: []device.Slot{slot}}))(t)
		calls = append(calls, call{"optimizer/" + name, func() { optimizer.Step(hyper) }})
	}
	clip := plan(dev.NewClip(device.ClipSpec{Grads: []*device.Tensor{grad}, MaxNorm: 1, MaxValue: 1}))(t)
	average := plan(dev.NewAverage(device.AverageSpec{Dst: []*device.Tensor{value}, Src: []*device.Tensor{state1}, CopyBack: true}))(t)
	return append(calls,
		call{"clip", clip.Run},
		call{"average", func() { average.Run(decay) }},
		call{"copy", func() { dev.Copy(value, grad) }},
		call{"zero", func() { dev.Zero(grad) }})
}

// dataCalls are what brings the images in.
func dataCalls(t *testing.T, dev device.Device) []call {
	m := memory{t, dev}
	s := device.AugmentSpec{
		N: 16, H: 32, W: 32, C: 3, Flip: device.FlipRandom, Crop: 2, Cutout: 8, Gather: true,
		Mean: []float32{0.5, 0.5, 0.5}, Std: []float32{0.25, 0.25, 0.25},
	}
	augment := plan(dev.NewAugment(s))(t)
	images, y := m.tensor(device.Uint8, []int{50, 32, 32, 3}), zeros(t, dev, 16, 32, 32, 3)
	ids, labels, epoch := m.tensor(device.Int32, []int{16}), m.tensor(device.Int32, []int{50}), m.tensor(device.Int32, []int{1})
	batchLabels := m.tensor(device.Int32, []int{16})
	cast := plan(dev.NewCast(device.CastSpec{From: device.Float32, To: device.BFloat16, Len: y.Len()}))(t)
	half := m.tensor(device.BFloat16, []int{y.Len()})
	pixels := make([]byte, images.Len())
	return []call{
		{"augment/train", func() { augment.Train(y, images, ids, epoch) }},
		{"augment/normalize", func() { augment.Normalize(y, images, ids, 1, -1, true) }},
		{"augment/labels", func() { augment.GatherLabels(batchLabels, labels, ids) }},
		{"cast", func() { cast.Run(half, y) }},
		{"upload", func() { _ = dev.Upload(images, pixels) }},
		{"download", func() { _ = dev.Download(pixels, images) }},
	}
}
