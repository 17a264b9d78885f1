package devicetest

import (
	"slices"
	"testing"

	"trainer/nn"
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
	calls := storageCalls(t, dev, device.Float32)
	calls = append(calls, updateCalls(t, dev)...)
	calls = append(calls, lossCalls(t, dev)...)
	calls = append(calls, dataCalls(t, dev)...)
	if mixed, ok := dev.(device.MixedPrecision); ok {
		for _, dtype := range []device.DType{device.Float16, device.BFloat16} {
			for _, c := range storageCalls(t, dev, dtype) {
				calls = append(calls, call{dtype.String() + "/" + c.name, c.call})
			}
			calls = append(calls, castListCalls(t, dev, mixed, dtype)...)
		}
		calls = append(calls, scalingCalls(t, dev, mixed)...)
	}
	return calls
}

// storageCalls are the plans whose spec has a DType.
func storageCalls(t *testing.T, dev device.Device, dtype device.DType) []call {
	m := typed{memory{t, dev}, dtype}
	calls := convCalls(m)
	calls = append(calls, layerCalls(m)...)
	calls = append(calls, augmentCalls(m)...)
	return append(calls, elementwiseCalls(m)...)
}

// typed allocates tensors of one type.
type typed struct {
	memory
	dtype device.DType
}

func (m typed) zeros(shape ...int) *device.Tensor {
	m.t.Helper()
	return m.tensor(m.dtype, shape)
}

// zeros allocates a float32 tensor.
func zeros(t *testing.T, dev device.Device, shape ...int) *device.Tensor {
	t.Helper()
	return memory{t, dev}.tensor(device.Float32, shape)
}

// convCalls are the convolutions: one large enough to be split between workers, one
// with groups, one with neither padding nor more than one channel. With ReLU where the device has it.
func convCalls(m typed) []call {
	t, dev := m.t, m.dev
	var calls []call
	for _, c := range ConvCases() {
		switch c.Name {
		case "3x3-64-channels", "3x3-many-tiles", "3x3-many-tiles-70-channels", "depthwise", "groups2", "5x5-one-channel", "1x1", "3x3-stride2":
		default:
			continue
		}
		c.Spec.DType = m.dtype
		conv := plan(dev.NewConv2D(c.Spec))(t)
		d := convData{ConvCase: c}
		x, y, w := m.zeros(d.xShape()...), m.zeros(d.yShape()...), m.zeros(d.wShape()...)
		var bias *device.Tensor
		if c.Spec.Bias {
			bias = zeros(t, dev, c.Spec.OutC)
		}
		calls = append(calls,
			call{"conv2d/" + c.Name + "/forward", func() { conv.Forward(y, x, w, bias) }},
			call{"conv2d/" + c.Name + "/backward-data", func() { conv.BackwardData(x, y, w) }},
			call{"conv2d/" + c.Name + "/backward-filter", func() { conv.BackwardFilter(w, bias, y, x) }},
		)
		if fused, ok := dev.(device.FusedEpilogue); ok {
			relu := plan(fused.NewConv2DReLU(c.Spec))(t)
			calls = append(calls, call{"conv2d-relu/" + c.Name, func() { relu.Forward(y, x, w, bias) }})
		}
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
	pool := device.Pool2DSpec{
		Mode: device.MaxPool, N: s.N, H: s.OutH(), W: s.OutW(), C: s.OutC, KH: 2, KW: 2, StrideH: 2, StrideW: 2, DType: s.DType,
	}
	conv, err := fused.NewConv2DMaxPool(s, pool, true)
	if err != nil {
		return nil
	}
	y := memory{t, dev}.tensor(s.DType, []int{c.N, pool.OutH(), pool.OutW(), pool.C})
	return []call{
		{"conv-pool/" + c.Name + "/forward", func() { conv.Forward(y, x, w, bias) }},
		{"conv-pool/" + c.Name + "/backward-data", func() { conv.BackwardData(x, y, w) }},
		{"conv-pool/" + c.Name + "/backward-filter", func() { conv.BackwardFilter(w, bias, y, x) }},
	}
}

// layerCalls are pooling, matrix product, batch normalisation and their fused forms.
func layerCalls(m typed) []call {
	return append(append(poolCalls(m), matMulCalls(m)...), batchNormCalls(m)...)
}

func poolCalls(m typed) []call {
	s := device.Pool2DSpec{N: 16, H: 32, W: 32, C: 24, KH: 2, KW: 2, StrideH: 2, StrideW: 2, DType: m.dtype}
	x, dx, y := m.zeros(16, 32, 32, 24), m.zeros(16, 32, 32, 24), m.zeros(16, 16, 16, 24)
	var calls []call
	for mode, kind := range poolModes() {
		s.Mode = kind
		pools := map[string]device.Pool2D{"pool2d/" + mode: plan(m.dev.NewPool2D(s))(m.t)}
		if fused, ok := m.dev.(device.FusedPool2D); ok {
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
	return calls
}

// matMulCalls are products, with C of the factors' type and of float32.
func matMulCalls(m typed) []call {
	var calls []call
	for _, trans := range []bool{false, true} {
		for _, out := range slices.Compact([]device.DType{m.dtype, device.Float32}) {
			s := device.MatMulSpec{M: 96, N: 96, K: 96, TransA: trans, TransB: !trans, Bias: true, DType: m.dtype, Out: out}
			product := plan(m.dev.NewMatMul(s))(m.t)
			a, b, c, bias := m.zeros(96, 96), m.zeros(96, 96), m.tensor(out, []int{96, 96}), zeros(m.t, m.dev, 96)
			calls = append(calls, call{"matmul", func() { product.Run(c, a, b, bias) }})
		}
	}
	return calls
}

func batchNormCalls(m typed) []call {
	s := device.BatchNormSpec{Rows: 16 * 32 * 32, C: 24, Epsilon: 1e-5, Momentum: 0.1, DType: m.dtype}
	norms := map[string]device.BatchNorm{"batchnorm": plan(m.dev.NewBatchNorm(s))(m.t)}
	if fused, ok := m.dev.(device.FusedBatchNorm); ok {
		if bn, err := fused.NewBatchNormActivation(s, reluFunction()); err == nil {
			norms["fused-batchnorm"] = bn
		}
	}
	channels := func() *device.Tensor { return zeros(m.t, m.dev, s.C) }
	gamma, beta, mean, variance, dgamma, dbeta := channels(), channels(), channels(), channels(), channels(), channels()
	x, dx, out := m.zeros(16, 32, 32, 24), m.zeros(16, 32, 32, 24), m.zeros(16, 32, 32, 24)
	var calls []call
	for name, bn := range norms {
		calls = append(calls,
			call{name + "/forward", func() { bn.Forward(out, x, gamma, beta, mean, variance) }},
			call{name + "/inference", func() { bn.Inference(out, x, gamma, beta, mean, variance) }},
			call{name + "/backward", func() { bn.Backward(dx, dgamma, dbeta, out, x, gamma, beta) }})
	}
	return calls
}

// elementwiseCalls are activations, dropout, sums of two tensors, and reductions.
func elementwiseCalls(m typed) []call {
	const n, columns = 40000, 10
	t, dev := m.t, m.dev
	a, b, c := m.zeros(n), m.zeros(n), m.zeros(n)
	step := m.tensor(device.Int32, []int{1})
	var calls []call
	for _, f := range nn.Functions() {
		act := plan(dev.NewActivation(device.ActivationSpec{Function: f, Len: n, DType: m.dtype}))(t)
		calls = append(calls,
			call{"activation/" + f.Name + "/forward", func() { act.Forward(b, a) }},
			call{"activation/" + f.Name + "/backward", func() { act.Backward(c, c, a, b) }})
	}
	for _, kind := range []device.ReduceKind{device.ReduceSumRows, device.ReduceSum, device.ReduceSumSquares, device.ReduceNonFinite} {
		reduce := plan(dev.NewReduce(device.ReduceSpec{Kind: kind, Rows: n / columns, C: columns, DType: m.dtype}))(t)
		src, dst := a.View(n/columns, columns), zeros(t, dev, 1)
		if kind == device.ReduceSumRows {
			dst = zeros(t, dev, columns)
		}
		calls = append(calls, call{"reduce", func() { reduce.Run(dst, src) }})
	}
	drop := plan(dev.NewDropout(device.DropoutSpec{Len: n, Rate: 0.5, DType: m.dtype}))(t)
	combine := plan(dev.NewWeightedSum(device.WeightedSumSpec{Len: n, Alpha: 1, Beta: 2, DType: m.dtype}))(t)
	return append(calls,
		call{"dropout/forward", func() { drop.Forward(b, a, step) }},
		call{"dropout/backward", func() { drop.Backward(b, b, step) }},
		call{"combine", func() { combine.Run(c, a, b) }},
		call{"scale", func() { combine.Run(c, a, nil) }})
}

// lossCalls are the losses and softmax.
func lossCalls(t *testing.T, dev device.Device) []call {
	const n, classes = 4000, 10
	logits, out := zeros(t, dev, n, classes), zeros(t, dev, n, classes)
	labels, stats := memory{t, dev}.tensor(device.Int32, []int{n}), zeros(t, dev, device.StatsLen)
	softmax := plan(dev.NewSoftmax(device.SoftmaxSpec{N: n, Classes: classes}))(t)
	calls := []call{{"softmax", func() { softmax.Forward(out, logits) }}}
	for name, kind := range map[string]device.LossKind{"cross-entropy": device.SoftmaxCrossEntropy, "mse": device.MeanSquaredError} {
		loss := plan(dev.NewLoss(device.LossSpec{Kind: kind, N: n, Classes: classes, Smoothing: 0.1}))(t)
		calls = append(calls,
			call{"loss/" + name + "/forward", func() { loss.Forward(stats, logits, labels) }},
			call{"loss/" + name + "/backward", func() { loss.Backward(out, logits, labels) }})
	}
	return calls
}

// castListCalls are the conversions of lists to a type and from it.
func castListCalls(t *testing.T, dev device.Device, mixed device.MixedPrecision, dtype device.DType) []call {
	m := memory{t, dev}
	var narrow, wide []*device.Tensor
	for _, n := range []int{1, 5000, 37} {
		narrow, wide = append(narrow, m.tensor(dtype, []int{n})), append(wide, zeros(t, dev, n))
	}
	to := plan(mixed.NewCastList(device.CastListSpec{Dst: narrow, Src: wide}))(t)
	from := plan(mixed.NewCastList(device.CastListSpec{Dst: wide, Src: narrow}))(t)
	return []call{{dtype.String() + "/cast-list/to", to.Run}, {dtype.String() + "/cast-list/from", from.Run}}
}

// scalingCalls are loss scaling and what reads its state.
func scalingCalls(t *testing.T, dev device.Device, mixed device.MixedPrecision) []call {
	const n, classes = 64, 10
	state, value, grad := zeros(t, dev, device.ScalingLen), zeros(t, dev, n, classes), zeros(t, dev, n, classes)
	labels, hyper := memory{t, dev}.tensor(device.Int32, []int{n}), zeros(t, dev, 1, device.HyperLen)
	grads := []*device.Tensor{grad}
	scaling := plan(mixed.NewLossScaling(device.LossScalingSpec{Grads: grads, State: state, Interval: 2}))(t)
	loss := plan(dev.NewLoss(device.LossSpec{Kind: device.SoftmaxCrossEntropy, N: n, Classes: classes, Scaling: state}))(t)
	clip := plan(dev.NewClip(device.ClipSpec{Grads: grads, MaxNorm: 1, MaxValue: 1, Scaling: state}))(t)
	optimizer := plan(dev.NewOptimizer(device.OptimizerSpec{
		Kind: device.SGD, Slots: []device.OptimizerParam{{Value: value, Grad: grad}}, Scaling: state,
	}))(t)
	return []call{
		{"scaling/update", scaling.Update},
		{"scaling/loss", func() { loss.Backward(grad, value, labels) }},
		{"scaling/clip", clip.Run},
		{"scaling/optimizer", func() { optimizer.Step(hyper) }},
	}
}

// updateCalls are what follows the gradients: clipping, the optimisers, averages.
func updateCalls(t *testing.T, dev device.Device) []call {
	const n = 40000
	value, grad, state1, state2 := zeros(t, dev, n), zeros(t, dev, n), zeros(t, dev, n), zeros(t, dev, n)
	hyper, decay := zeros(t, dev, 1, device.HyperLen), zeros(t, dev, 1)
	var calls []call
	for name, kind := range map[string]device.OptimizerKind{"sgd": device.SGD, "adam": device.Adam, "rmsprop": device.RMSProp} {
		slot := device.OptimizerParam{Value: value, Grad: grad, State1: state1}
		if kind != device.SGD {
			slot.State2 = state2
		}
		optimizer := plan(dev.NewOptimizer(device.OptimizerSpec{Kind: kind, Epsilon: 1e-8, Slots: []device.OptimizerParam{slot}}))(t)
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

// augmentCalls are what makes batches of a data set on the device.
func augmentCalls(m typed) []call {
	s := device.AugmentSpec{
		N: 16, H: 32, W: 32, C: 3, Flip: device.FlipRandom, Crop: 2, Cutout: 8, Gather: true,
		Mean: []float32{0.5, 0.5, 0.5}, Std: []float32{0.25, 0.25, 0.25}, DType: m.dtype,
	}
	augment := plan(m.dev.NewAugment(s))(m.t)
	images, y := m.tensor(device.Uint8, []int{50, 32, 32, 3}), m.zeros(16, 32, 32, 3)
	ids, labels, epoch := m.tensor(device.Int32, []int{16}), m.tensor(device.Int32, []int{50}), m.tensor(device.Int32, []int{1})
	batchLabels := m.tensor(device.Int32, []int{16})
	return []call{
		{"augment/train", func() { augment.Train(y, images, ids, epoch) }},
		{"augment/normalize", func() { augment.Normalize(y, images, ids, 1, -1, true) }},
		{"augment/labels", func() { augment.GatherLabels(batchLabels, labels, ids) }},
	}
}

// dataCalls are casts and copies.
func dataCalls(t *testing.T, dev device.Device) []call {
	const n = 50000
	m := memory{t, dev}
	cast := plan(dev.NewCast(device.CastSpec{From: device.Float32, To: device.BFloat16, Len: n}))(t)
	x, half, images := zeros(t, dev, n), m.tensor(device.BFloat16, []int{n}), m.tensor(device.Uint8, []int{n})
	pixels := make([]byte, n)
	return []call{
		{"cast", func() { cast.Run(half, x) }},
		{"upload", func() { _ = dev.Upload(images, pixels) }},
		{"download", func() { _ = dev.Download(pixels, images) }},
	}
}
