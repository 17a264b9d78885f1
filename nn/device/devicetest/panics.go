package devicetest

import (
	"testing"

	"trainer/nn/device"
)

// testPanics checks that a programmer's mistake panics, and that the panic says which
// operand was wrong and what would be right.
func testPanics(t *testing.T, dev device.Device, _ Options) {
	t.Run("copies", func(t *testing.T) { panicsOfCopies(t, dev) })
	t.Run("conv2d", func(t *testing.T) { panicsOfConv2D(t, dev) })
	t.Run("conv2d-spec", func(t *testing.T) { panicsOfConv2DSpec(t, dev) })
	t.Run("pool2d", func(t *testing.T) { panicsOfPool2D(t, dev) })
	t.Run("matmul", func(t *testing.T) { panicsOfMatMul(t, dev) })
	t.Run("batchnorm", func(t *testing.T) { panicsOfBatchNorm(t, dev) })
	t.Run("elementwise", func(t *testing.T) { panicsOfElementwise(t, dev) })
	t.Run("loss", func(t *testing.T) { panicsOfLoss(t, dev) })
	t.Run("lists", func(t *testing.T) { panicsOfLists(t, dev) })
	t.Run("augment", func(t *testing.T) { panicsOfAugment(t, dev) })
	t.Run("cast", func(t *testing.T) { panicsOfCast(t, dev) })
	if mixed, ok := dev.(device.MixedPrecision); ok {
		t.Run("storage", func(t *testing.T) { panicsOfStorage(t, dev) })
		t.Run("cast-list", func(t *testing.T) { panicsOfCastList(t, dev, mixed) })
		t.Run("scaling", func(t *testing.T) { panicsOfScaling(t, dev, mixed) })
	}
}

func panicsOfCopies(t *testing.T, dev device.Device) {
	m := memory{t, dev}
	x := m.tensor(device.Float32, []int{2, 3})
	other, bytes := m.tensor(device.Float32, []int{7}), m.tensor(device.Uint8, []int{6})
	mustPanic(t, "upload of too little", func() { _ = dev.Upload(x, make([]byte, 20)) }, "float32[2 3]", "20")
	mustPanic(t, "upload of too much", func() { _ = dev.Upload(x, make([]byte, 28)) }, "float32[2 3]", "28")
	mustPanic(t, "download to too little", func() { _ = dev.Download(make([]byte, 20), x) }, "float32[2 3]", "20")
	mustPanic(t, "download to too much", func() { _ = dev.Download(make([]byte, 28), x) }, "float32[2 3]", "28")
	mustPanic(t, "copy of another size", func() { dev.Copy(x, other) }, "float32[2 3]", "7")
	mustPanic(t, "copy of another type", func() { dev.Copy(x, bytes) }, "float32[2 3]", "uint8")
	mustPanic(t, "tensor without dimensions", func() { _, _ = dev.NewTensor(device.Float32) })
	mustPanic(t, "tensor with a dimension of 0", func() { _, _ = dev.NewTensor(device.Float32, 2, 0) }, "[2 0]")
}

func panicsOfConv2D(t *testing.T, dev device.Device) {
	m := memory{t, dev}
	s := device.Conv2DSpec{N: 4, H: 8, W: 6, InC: 3, OutC: 5, KH: 3, KW: 3, StrideH: 1, StrideW: 1, DilationH: 1, DilationW: 1, Groups: 1, Bias: true}
	conv := plan(dev.NewConv2D(s))(t)
	f32 := func(shape ...int) *device.Tensor { return m.tensor(device.Float32, shape) }
	x, y, w, bias := f32(4, 8, 6, 3), f32(4, 6, 4, 5), f32(5, 3, 3, 3), f32(5)
	conv.Forward(y, x, w, bias)
	mustPanic(t, "forward with another x", func() { conv.Forward(y, f32(4, 8, 7, 3), w, bias) }, "x", "float32[4 8 7 3]", "8 6 3]")
	mustPanic(t, "forward with another y", func() { conv.Forward(f32(4, 6, 5, 5), x, w, bias) }, "y", "float32[4 6 5 5]", "6 4 5]")
	mustPanic(t, "forward with another w", func() { conv.Forward(y, x, f32(5, 3, 3, 2), bias) }, "w", "float32[5 3 3 2]", "[5 3 3 3]")
	mustPanic(t, "forward with another bias", func() { conv.Forward(y, x, w, f32(4)) }, "bias", "[4]", "5")
	mustPanic(t, "forward with no bias", func() { conv.Forward(y, x, w, nil) }, "bias")
	mustPanic(t, "forward with no x", func() { conv.Forward(y, nil, w, bias) }, "x")
	mustPanic(t, "forward with x of bytes", func() { conv.Forward(y, m.tensor(device.Uint8, []int{4, 8, 6, 3}), w, bias) }, "x", "uint8[4 8 6 3]", "float32")
	mustPanic(t, "forward with different batches", func() { conv.Forward(f32(3, 6, 4, 5), x, w, bias) }, "4", "3")
	mustPanic(t, "forward with too large a batch", func() { conv.Forward(f32(5, 6, 4, 5), f32(5, 8, 6, 3), w, bias) }, "5", "4")
	mustPanic(t, "backward data with another dx", func() { conv.BackwardData(f32(4, 8, 7, 3), y, w) }, "dx", "float32[4 8 7 3]", "8 6 3]")
	mustPanic(t, "backward data with another dy", func() { conv.BackwardData(x, f32(4, 6, 5, 5), w) }, "dy", "float32[4 6 5 5]", "6 4 5]")
	mustPanic(t, "backward filter with another dw", func() { conv.BackwardFilter(f32(5, 3, 3, 2), bias, y, x) }, "dw", "float32[5 3 3 2]", "[5 3 3 3]")
	mustPanic(t, "backward filter with another x", func() { conv.BackwardFilter(w, bias, y, f32(4, 8, 7, 3)) }, "x", "float32[4 8 7 3]", "8 6 3]")

	s.Bias = false
	plain := plan(dev.NewConv2D(s))(t)
	mustPanic(t, "forward with a bias that the spec lacks", func() { plain.Forward(y, x, w, bias) }, "bias")
}

func panicsOfConv2DSpec(t *testing.T, dev device.Device) {
	good := device.Conv2DSpec{N: 4, H: 8, W: 6, InC: 6, OutC: 4, KH: 3, KW: 3, StrideH: 1, StrideW: 1, DilationH: 1, DilationW: 1, Groups: 1}
	for _, c := range []struct {
		name  string
		spoil func(*device.Conv2DSpec)
	}{
		{"batch 0", func(s *device.Conv2DSpec) { s.N = 0 }},
		{"stride 0", func(s *device.Conv2DSpec) { s.StrideW = 0 }},
		{"dilation 0", func(s *device.Conv2DSpec) { s.DilationH = 0 }},
		{"negative padding", func(s *device.Conv2DSpec) { s.PadH = -1 }},
		{"groups 0", func(s *device.Conv2DSpec) { s.Groups = 0 }},
		{"groups that don't divide inC", func(s *device.Conv2DSpec) { s.Groups = 4 }},
		{"groups that don't divide outC", func(s *device.Conv2DSpec) { s.Groups = 3 }},
		{"kernel larger than the image", func(s *device.Conv2DSpec) { s.KH = 9 }},
		{"kernel 0", func(s *device.Conv2DSpec) { s.KW = 0 }},
	} {
		s := good
		c.spoil(&s)
		mustPanic(t, c.name, func() { _, _ = dev.NewConv2D(s) }, "conv2d")
	}
}

func panicsOfPool2D(t *testing.T, dev device.Device) {
	m := memory{t, dev}
	s := device.Pool2DSpec{Mode: device.MaxPool, N: 4, H: 8, W: 6, C: 3, KH: 2, KW: 2, StrideH: 2, StrideW: 2}
	pool := plan(dev.NewPool2D(s))(t)
	x, y := m.tensor(device.Float32, []int{4, 8, 6, 3}), m.tensor(device.Float32, []int{4, 4, 3, 3})
	other := m.tensor(device.Float32, []int{4, 8, 7, 3})
	mustPanic(t, "forward with another x", func() { pool.Forward(y, other) }, "x", "float32[4 8 7 3]", "8 6 3]")
	mustPanic(t, "forward with another y", func() { pool.Forward(other, x) }, "y", "float32[4 8 7 3]", "4 3 3]")
	mustPanic(t, "backward with another dx", func() { pool.Backward(other, y, y, x) }, "dx", "float32[4 8 7 3]", "8 6 3]")
	s.PadH = 2
	mustPanic(t, "padding as large as the window", func() { _, _ = dev.NewPool2D(s) }, "pool2d")
	s.PadH, s.Mode = 0, 0
	mustPanic(t, "no mode", func() { _, _ = dev.NewPool2D(s) }, "pool2d")
}

func panicsOfMatMul(t *testing.T, dev device.Device) {
	m := memory{t, dev}
	f32 := func(shape ...int) *device.Tensor { return m.tensor(device.Float32, shape) }
	product := plan(dev.NewMatMul(device.MatMulSpec{M: 4, N: 5, K: 6}))(t)
	mustPanic(t, "sums of different length", func() { product.Run(f32(4, 5), f32(4, 6), f32(5, 5), nil) }, "b", "float32[5 5]", "6")
	mustPanic(t, "another c", func() { product.Run(f32(4, 6), f32(4, 6), f32(6, 5), nil) }, "c", "float32[4 6]", "5]")
	mustPanic(t, "more rows than the plan has", func() { product.Run(f32(7, 5), f32(7, 6), f32(6, 5), nil) }, "7", "4")
	mustPanic(t, "a longer sum than the plan has", func() { product.Run(f32(4, 5), f32(4, 8), f32(8, 5), nil) }, "8", "6")
	mustPanic(t, "a bias that the spec lacks", func() { product.Run(f32(4, 5), f32(4, 6), f32(6, 5), f32(5)) }, "bias")
}

func panicsOfBatchNorm(t *testing.T, dev device.Device) {
	m := memory{t, dev}
	f32 := func(shape ...int) *device.Tensor { return m.tensor(device.Float32, shape) }
	bn := plan(dev.NewBatchNorm(device.BatchNormSpec{Rows: 8, C: 3, Epsilon: 1e-5, Momentum: 0.1}))(t)
	x, y, c := f32(8, 3), f32(8, 3), f32(3)
	mustPanic(t, "another number of channels", func() { bn.Forward(y, f32(8, 4), c, c, c, c) }, "x", "float32[8 4]", "3")
	mustPanic(t, "another gamma", func() { bn.Forward(y, x, f32(4), c, c, c) }, "gamma", "float32[4]", "3")
	mustPanic(t, "too many rows", func() { bn.Forward(f32(9, 3), f32(9, 3), c, c, c, c) }, "9")
	bn.Forward(y, x, c, f32(3), f32(3), f32(3))
	mustPanic(t, "another dx", func() { bn.Backward(f32(7, 3), f32(3), f32(3), y, x, c, c) }, "dx", "float32[7 3]")
}

func panicsOfElementwise(t *testing.T, dev device.Device) {
	m := memory{t, dev}
	f32 := func(n int) *device.Tensor { return m.tensor(device.Float32, []int{n}) }
	act := plan(dev.NewActivation(device.ActivationSpec{Function: reluFunction(), Len: 8}))(t)
	mustPanic(t, "activation of different lengths", func() { act.Forward(f32(7), f32(8)) }, "7", "8")
	mustPanic(t, "activation of too many elements", func() { act.Forward(f32(9), f32(9)) }, "9", "8")
	mustPanic(t, "no activation", func() { _, _ = dev.NewActivation(device.ActivationSpec{Len: 8}) })
	combine := plan(dev.NewWeightedSum(device.WeightedSumSpec{Len: 8, Alpha: 1, Beta: 1}))(t)
	mustPanic(t, "combination of different lengths", func() { combine.Run(f32(8), f32(8), f32(7)) }, "7", "8")
	drop := plan(dev.NewDropout(device.DropoutSpec{Len: 8, Rate: 0.5}))(t)
	mustPanic(t, "dropout with a step of another type", func() { drop.Forward(f32(8), f32(8), f32(1)) }, "step", "int32")
	mustPanic(t, "dropout of everything", func() { _, _ = dev.NewDropout(device.DropoutSpec{Len: 8, Rate: 1}) }, "dropout", "1")
}

func panicsOfLoss(t *testing.T, dev device.Device) {
	m := memory{t, dev}
	f32 := func(shape ...int) *device.Tensor { return m.tensor(device.Float32, shape) }
	i32 := func(n int) *device.Tensor { return m.tensor(device.Int32, []int{n}) }
	loss := plan(dev.NewLoss(device.LossSpec{Kind: device.SoftmaxCrossEntropy, N: 8, Classes: 10}))(t)
	stats := f32(device.StatsLen)
	mustPanic(t, "outputs of another number of classes", func() { loss.Forward(stats, f32(8, 9), i32(8)) }, "outputs", "float32[8 9]", "10]")
	mustPanic(t, "fewer labels than outputs", func() { loss.Forward(stats, f32(8, 10), i32(7)) }, "labels", "int32[7]", "8")
	mustPanic(t, "labels of another type", func() { loss.Forward(stats, f32(8, 10), f32(8)) }, "labels", "float32[8]", "int32")
	mustPanic(t, "short stats", func() { loss.Forward(f32(3), f32(8, 10), i32(8)) }, "stats", "float32[3]", "4")
}

func panicsOfLists(t *testing.T, dev device.Device) {
	m := memory{t, dev}
	f32 := func(n int) *device.Tensor { return m.tensor(device.Float32, []int{n}) }
	mustPanic(t, "a gradient of another size", func() {
		_, _ = dev.NewOptimizer(device.OptimizerSpec{Kind: device.SGD, Slots: []device.OptimizerParam{{Value: f32(8), Grad: f32(7)}}})
	}, "7", "8")
	mustPanic(t, "Adam without a second moment", func() {
		_, _ = dev.NewOptimizer(device.OptimizerSpec{Kind: device.Adam, Slots: []device.OptimizerParam{{Value: f32(8), Grad: f32(8), State1: f32(8)}}})
	})
	mustPanic(t, "averages of different numbers", func() {
		_, _ = dev.NewAverage(device.AverageSpec{Dst: []*device.Tensor{f32(8)}})
	})
	mustPanic(t, "an average of another size", func() {
		_, _ = dev.NewAverage(device.AverageSpec{Dst: []*device.Tensor{f32(8)}, Src: []*device.Tensor{f32(7)}})
	}, "7", "8")
}

func panicsOfAugment(t *testing.T, dev device.Device) {
	m := memory{t, dev}
	s := device.AugmentSpec{N: 4, H: 8, W: 6, C: 1, Mean: []float32{0}, Std: []float32{1}}
	augment := plan(dev.NewAugment(s))(t)
	y, images := m.tensor(device.Float32, []int{4, 8, 6, 1}), m.tensor(device.Uint8, []int{4, 8, 6, 1})
	ids, epoch := m.tensor(device.Int32, []int{4}), m.tensor(device.Int32, []int{1})
	mustPanic(t, "images of another type", func() { augment.Train(y, y, ids, epoch) }, "images", "uint8")
	mustPanic(t, "too few ids", func() { augment.Train(y, images, epoch, epoch) }, "ids", "int32[1]", "4")
	mustPanic(t, "labels without Gather", func() { augment.GatherLabels(ids, ids, ids) })
	crop := s
	crop.Crop = 6
	mustPanic(t, "a shift as large as the image", func() { _, _ = dev.NewAugment(crop) }, "augment")
	cutout := s
	cutout.Cutout = 7
	mustPanic(t, "a cutout larger than the image", func() { _, _ = dev.NewAugment(cutout) }, "augment")
	mean := s
	mean.Mean = []float32{0, 0}
	mustPanic(t, "a mean for each of two channels", func() { _, _ = dev.NewAugment(mean) }, "augment")
}

func panicsOfCast(t *testing.T, dev device.Device) {
	m := memory{t, dev}
	cast := plan(dev.NewCast(device.CastSpec{From: device.Float32, To: device.Float16, Len: 8}))(t)
	mustPanic(t, "a cast of different lengths", func() {
		cast.Run(m.tensor(device.Float16, []int{7}), m.tensor(device.Float32, []int{8}))
	}, "7", "8")
	mustPanic(t, "a cast of another type", func() {
		cast.Run(m.tensor(device.BFloat16, []int{8}), m.tensor(device.Float32, []int{8}))
	}, "bfloat16", "float16")
	mustPanic(t, "a cast to int32", func() {
		_, _ = dev.NewCast(device.CastSpec{From: device.Float32, To: device.Int32, Len: 8})
	})
}

// panicsOfStorage checks that plans of one type take no tensors of another.
func panicsOfStorage(t *testing.T, dev device.Device) {
	m := memory{t, dev}
	const f16 = device.Float16
	s := device.Conv2DSpec{N: 2, H: 4, W: 4, InC: 3, OutC: 5, KH: 3, KW: 3, StrideH: 1, StrideW: 1, DilationH: 1, DilationW: 1, Groups: 1, DType: f16}
	conv := plan(dev.NewConv2D(s))(t)
	x, y, w := m.tensor(f16, []int{2, 4, 4, 3}), m.tensor(f16, []int{2, 2, 2, 5}), m.tensor(f16, []int{5, 3, 3, 3})
	mustPanic(t, "images of float32", func() { conv.Forward(y, m.tensor(device.Float32, []int{2, 4, 4, 3}), w, nil) }, "x", "float32[2 4 4 3]", "float16")
	mustPanic(t, "filters of bfloat16", func() { conv.Forward(y, x, m.tensor(device.BFloat16, []int{5, 3, 3, 3}), nil) }, "w", "bfloat16[5 3 3 3]", "float16")
	mustPanic(t, "a gradient of filters in float32", func() { conv.BackwardFilter(m.tensor(device.Float32, []int{5, 3, 3, 3}), nil, y, x) }, "dw", "float32", "float16")

	act := plan(dev.NewActivation(device.ActivationSpec{Function: reluFunction(), Len: 8, DType: f16}))(t)
	mustPanic(t, "an activation of float32", func() { act.Forward(m.tensor(f16, []int{8}), m.tensor(device.Float32, []int{8})) }, "float32[8]", "float16")

	product := plan(dev.NewMatMul(device.MatMulSpec{M: 2, N: 2, K: 2, DType: f16, Out: device.Float32}))(t)
	a := m.tensor(f16, []int{2, 2})
	mustPanic(t, "a product in 16 bits", func() { product.Run(m.tensor(f16, []int{2, 2}), a, a, nil) }, "c", "float16[2 2]", "float32")
	mustPanic(t, "a factor of float32", func() {
		c := m.tensor(device.Float32, []int{2, 2})
		product.Run(m.tensor(device.Float32, []int{2, 2}), a, c, nil)
	}, "b", "float32[2 2]", "float16")

	bn := plan(dev.NewBatchNorm(device.BatchNormSpec{Rows: 2, C: 2, Epsilon: 1e-5, DType: f16}))(t)
	c, in, out := m.tensor(device.Float32, []int{2}), m.tensor(f16, []int{2, 2}), m.tensor(f16, []int{2, 2})
	mustPanic(t, "parameters of a normalisation in 16 bits", func() { bn.Forward(out, in, m.tensor(f16, []int{2}), c, c, c) }, "gamma", "float16[2]", "float32")
}

func panicsOfCastList(t *testing.T, dev device.Device, mixed device.MixedPrecision) {
	m := memory{t, dev}
	of := func(dtype device.DType, n int) *device.Tensor { return m.tensor(dtype, []int{n}) }
	list := func(dst, src []*device.Tensor) func() {
		return func() { _, _ = mixed.NewCastList(device.CastListSpec{Dst: dst, Src: src}) }
	}
	half, single := []*device.Tensor{of(device.Float16, 8)}, []*device.Tensor{of(device.Float32, 8)}
	mustPanic(t, "lists of different lengths", list(half, nil), "1", "0")
	mustPanic(t, "tensors of different lengths", list(half, []*device.Tensor{of(device.Float32, 7)}), "7", "8")
	mustPanic(t, "a list from float32 to float32", list(single, single), "float32")
	mustPanic(t, "a list between 16-bit types", list(half, []*device.Tensor{of(device.BFloat16, 8)}), "bfloat16")
	mustPanic(t, "a list of two types", list(append(half, of(device.BFloat16, 8)), append(single, of(device.Float32, 8))), "bfloat16")
}

func panicsOfScaling(t *testing.T, dev device.Device, mixed device.MixedPrecision) {
	m := memory{t, dev}
	state, short := m.tensor(device.Float32, []int{device.ScalingLen}), m.tensor(device.Float32, []int{3})
	mustPanic(t, "loss scaling without a state", func() { _, _ = mixed.NewLossScaling(device.LossScalingSpec{Interval: 1}) }, "state")
	mustPanic(t, "a short state", func() { _, _ = mixed.NewLossScaling(device.LossScalingSpec{State: short, Interval: 1}) }, "float32[3]", "4")
	mustPanic(t, "an interval of 0", func() { _, _ = mixed.NewLossScaling(device.LossScalingSpec{State: state}) }, "interval", "0")
	mustPanic(t, "gradients of 16 bits", func() {
		_, _ = mixed.NewLossScaling(device.LossScalingSpec{State: state, Interval: 1, Grads: []*device.Tensor{m.tensor(device.Float16, []int{8})}})
	}, "float16[8]", "float32")
	mustPanic(t, "an optimizer with a short state", func() {
		_, _ = dev.NewOptimizer(device.OptimizerSpec{Kind: device.SGD, Scaling: short})
	}, "float32[3]", "4")
	mustPanic(t, "a loss with a short state", func() {
		_, _ = dev.NewLoss(device.LossSpec{Kind: device.SoftmaxCrossEntropy, N: 1, Classes: 2, Scaling: short})
	}, "float32[3]", "4")
	mustPanic(t, "a limit with a short state", func() { _, _ = dev.NewClip(device.ClipSpec{MaxNorm: 1, Scaling: short}) }, "float32[3]", "4")
}
