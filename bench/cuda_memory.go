package bench

import (
	"testing"

	"trainer/gpu"
	"trainer/nn"
	"trainer/nn/device"
)

// What is bound by memory: this project's own kernels, on the largest image of recipe airbench94 with its batch of
// 1024, which no cache holds. GB/s are of the bytes that an operation has to read and write: each tensor once, but
// for batch normalisation, whose second pass over x (and dy) can't begin before the end of the first.

// activations are tensors of one type and of one shape, which the operations of memory work on.
type activations struct {
	*accelerator
	d        device.Device
	dtype    device.DType
	rows, c  int
	images   int            // rows are images of side x side pixels
	side     int            // of an image
	bytes    float64        // of a tensor
	copied   float64        // bytes a second of a copy; 0 where it wasn't measured
	x, y, dy *device.Tensor // [rows, c], random
	dx       *device.Tensor // [rows, c]
}

// memoryTypes are the types of the tensors. The kernels of bfloat16 are those of float16 but for the conversion.
var memoryTypes = []device.DType{device.Float16, device.Float32}

// runMemory measures the operations that are bound by memory, and a copy.
func (a *accelerator) runMemory(b *testing.B) {
	d := a.open(b, gpu.Auto)
	for _, dtype := range memoryTypes {
		b.Run(dtype.String(), func(b *testing.B) {
			t := a.activations(b, d, dtype)
			t.runCopy(b)
			t.runElementwise(b)
			t.runNorm(b)
			t.runPool(b)
			t.runInput(b)
			t.runReduce(b)
		})
	}
	t := &activations{accelerator: a, d: d, dtype: device.Float32, copied: a.copy}
	b.Run("update", t.runUpdate)
	b.Run("loss", t.runLoss)
}

func (a *accelerator) activations(b *testing.B, d device.Device, dtype device.DType) *activations {
	b.Helper()
	t := &activations{accelerator: a, d: d, dtype: dtype, images: 1024, side: 31, c: 64}
	if a.dry {
		t.images, t.side, t.c = 2, 7, 8
	}
	t.rows = t.images * t.side * t.side
	t.bytes = float64(t.rows) * float64(t.c) * float64(dtype.Size())
	for _, at := range []**device.Tensor{&t.x, &t.y, &t.dy, &t.dx} {
		*at = must(RandomTensorOf(d, dtype, t.rows, t.c))(b)
	}
	return t
}

// measure measures a call that has to move so many bytes.
func (t *activations) measure(b *testing.B, name string, bytes float64, call func()) {
	b.Run(name, func(b *testing.B) {
		s := t.sample(b, t.d, kernel(call))
		if s == nil {
			return
		}
		rate(b, s, bytes/1e9, "GB/s")
		if t.copied > 0 {
			b.ReportMetric(100*bytes/s.median()/t.copied, "%copy")
		}
	})
}

// runCopy measures the vendor's copy within the GPU's memory.
func (t *activations) runCopy(b *testing.B) {
	b.Run("copy", func(b *testing.B) {
		s := t.sample(b, t.d, kernel(func() { t.d.Copy(t.y, t.x) }))
		if s == nil {
			return
		}
		rate(b, s, 2*t.bytes/1e9, "GB/s")
		t.copied = 2 * t.bytes / s.median()
		t.copy = t.copied
	})
}

func (t *activations) runElementwise(b *testing.B) {
	n := t.rows * t.c
	for _, f := range nn.Functions() {
		plan := must(t.d.NewActivation(device.ActivationSpec{Function: f, Alpha: 0.1, Len: n, DType: t.dtype}))(b)
		t.measure(b, f.Name+"/forward", 2*t.bytes, func() { plan.Forward(t.y, t.x) })
		t.measure(b, f.Name+"/backward", 3*t.bytes, func() { plan.Backward(t.dx, t.dy, t.x, t.y) })
	}
	step := must(t.d.NewTensor(device.Int32, 1))(b)
	drop := must(t.d.NewDropout(device.DropoutSpec{Len: n, Rate: 0.3, Seed: 1, Stream: device.StreamDropout, DType: t.dtype}))(b)
	t.measure(b, "dropout/forward", 2*t.bytes, func() { drop.Forward(t.y, t.x, step) })
	t.measure(b, "dropout/backward", 2*t.bytes, func() { drop.Backward(t.dx, t.dy, step) })
	sum := must(t.d.NewWeightedSum(device.WeightedSumSpec{Len: n, Alpha: 1, Beta: 1, DType: t.dtype}))(b)
	t.measure(b, "combine", 3*t.bytes, func() { sum.Run(t.y, t.x, t.dy) })
	if t.dtype != device.Float32 {
		t.runCast(b, n)
	}
}

// runCast measures conversions to and from float32.
func (t *activations) runCast(b *testing.B, n int) {
	single := must(RandomTensorOf(t.d, device.Float32, t.rows, t.c))(b)
	narrow := must(t.d.NewCast(device.CastSpec{From: device.Float32, To: t.dtype, Len: n}))(b)
	t.measure(b, "cast/from-float32", 3*t.bytes, func() { narrow.Run(t.y, single) })
	widen := must(t.d.NewCast(device.CastSpec{From: t.dtype, To: device.Float32, Len: n}))(b)
	t.measure(b, "cast/to-float32", 3*t.bytes, func() { widen.Run(single, t.x) })
}

// runNorm measures batch normalisation by itself and with an activation after it. Three tensors are read or
// written in the forward pass, five in the backward one.
func (t *activations) runNorm(b *testing.B) {
	spec := device.BatchNormSpec{Rows: t.rows, C: t.c, Epsilon: 1e-5, Momentum: 0.1, DType: t.dtype}
	var p [6]*device.Tensor // gamma, beta, running mean and variance, dgamma, dbeta
	for i := range p {
		p[i] = must(RandomTensor(t.d, t.c))(b)
	}
	run := func(name string, plan device.BatchNorm) {
		t.measure(b, name+"/forward", 3*t.bytes, func() { plan.Forward(t.y, t.x, p[0], p[1], p[2], p[3]) })
		plan.Forward(t.y, t.x, p[0], p[1], p[2], p[3])
		t.measure(b, name+"/backward", 5*t.bytes, func() { plan.Backward(t.dx, p[4], p[5], t.dy, t.x, p[0], p[1]) })
	}
	run("batch-norm", must(t.d.NewBatchNorm(spec))(b))
	if f, ok := t.d.(device.FusedBatchNorm); ok {
		for _, l := range []nn.ActivationLayer{nn.GELU{}, nn.ReLU{}} {
			run("batch-norm-"+l.Kind(), must(f.NewBatchNormActivation(spec, l.Activation().Function))(b))
		}
	}
}

func (t *activations) runPool(b *testing.B) {
	spec := device.Pool2DSpec{
		Mode: device.MaxPool, N: t.images, H: t.side, W: t.side, C: t.c, KH: 2, KW: 2, StrideH: 2, StrideW: 2, DType: t.dtype,
	}
	plan := must(t.d.NewPool2D(spec))(b)
	x := must(RandomTensorOf(t.d, t.dtype, t.images, t.side, t.side, t.c))(b)
	dx := must(RandomTensorOf(t.d, t.dtype, t.images, t.side, t.side, t.c))(b)
	y := must(RandomTensorOf(t.d, t.dtype, t.images, spec.OutH(), spec.OutW(), t.c))(b)
	dy := must(RandomTensorOf(t.d, t.dtype, t.images, spec.OutH(), spec.OutW(), t.c))(b)
	small := float64(y.Len()) * float64(t.dtype.Size())
	t.measure(b, "max-pool/forward", t.bytes+small, func() { plan.Forward(y, x) })
	plan.Forward(y, x)
	// dx is written; what backward reads besides dy is the plan's to choose: x and y, or less.
	t.measure(b, "max-pool/backward", t.bytes+small, func() { plan.Backward(dx, dy, y, x) })
}

// runInput measures what becomes of uint8 images of CIFAR-10's size: flip, crop, cutout and normalisation, for a
// batch that lies in memory, and for one that is gathered from a data set there.
func (t *activations) runInput(b *testing.B) {
	n, set, size := 16*t.images, 48*t.images, 32*32*3
	if t.dry {
		n, set = 4, 8
	}
	bytes := float64(n) * float64(size) * float64(1+t.dtype.Size())
	y := must(RandomTensorOf(t.d, t.dtype, n, 32, 32, 3))(b)
	epoch := must(t.d.NewTensor(device.Int32, 1))(b)
	images := must(t.d.NewTensor(device.Uint8, set, 32, 32, 3))(b)
	ids := must(t.d.NewTensor(device.Int32, n))(b)
	order := make([]int32, n)
	for i := range order {
		order[i] = int32(i * 2654435761 % set)
	}
	check(b, t.d.Upload(ids, device.Bytes(order)))
	check(b, t.d.Upload(images, SyntheticImages(set, 32, 32, 3).Images))
	for _, gather := range []bool{false, true} {
		plan := must(t.d.NewAugment(device.AugmentSpec{
			N: n, H: 32, W: 32, C: 3, Mean: []float32{0.5, 0.5, 0.5}, Std: []float32{0.25, 0.25, 0.25},
			Flip: device.FlipAlternating, Crop: 2, Cutout: 8, Seed: 1, Gather: gather, DType: t.dtype,
		}))(b)
		name, source := "augment", must(t.d.NewTensor(device.Uint8, n, 32, 32, 3))(b)
		if gather {
			name, source = "augment-gather", images
		} else {
			check(b, t.d.Upload(source, SyntheticImages(n, 32, 32, 3).Images))
		}
		t.measure(b, name, bytes, func() { plan.Train(y, source, ids, epoch) })
	}
}

// runReduce measures the sum of the rows, which is the gradient of a bias.
func (t *activations) runReduce(b *testing.B) {
	plan := must(t.d.NewReduce(device.ReduceSpec{Kind: device.ReduceSumRows, Rows: t.rows, C: t.c, DType: t.dtype}))(b)
	sums := must(RandomTensor(t.d, t.c))(b)
	t.measure(b, "sum-rows", t.bytes, func() { plan.Run(sums, t.dy) })
}

// weightCounts are the parameters that are updated: as many as airbench94 has, which caches hold, and so many that
// they don't.
var weightCounts = []struct {
	name string
	n    int
}{{"2M", 2_000_000}, {"64M", 64_000_000}}

// runUpdate measures what touches the weights once a step: the rules, the conversion to 16 bits, loss scaling, clipping and
// averages.
func (t *activations) runUpdate(b *testing.B) {
	for _, c := range weightCounts {
		n := c.n
		if t.dry {
			n = 1000
		}
		b.Run(c.name, func(b *testing.B) {
			t.runRules(b, n)
			t.runLists(b, n)
		})
	}
}

func (t *activations) runRules(b *testing.B, n int) {
	slot := device.OptimizerParam{Value: must(RandomTensorOf(t.d, device.Float32, n))(b), Grad: must(RandomTensorOf(t.d, device.Float32, n))(b)}
	hyper := must(t.d.NewTensor(device.Float32, 1, device.HyperLen))(b)
	row := make([]float32, device.HyperLen)
	row[device.HyperLR], row[device.HyperMomentum], row[device.HyperBeta2] = 1e-3, 0.9, 0.999
	row[device.HyperCorrection1], row[device.HyperCorrection2], row[device.HyperGradScale] = 1, 1, 1
	check(b, t.d.Upload(hyper, device.Bytes(row)))
	for _, r := range []struct {
		name   string
		spec   device.OptimizerSpec
		states int
	}{
		{"sgd-nesterov", device.OptimizerSpec{Kind: device.SGD, Nesterov: true}, 1},
		{"adam", device.OptimizerSpec{Kind: device.Adam, Epsilon: 1e-8}, 2},
	} {
		s := slot
		for _, at := range []**device.Tensor{&s.State1, &s.State2}[:r.states] {
			*at = must(t.d.NewTensor(device.Float32, n))(b)
		}
		r.spec.Slots = []device.OptimizerParam{s}
		plan := must(t.d.NewOptimizer(r.spec))(b)
		// Value and states are read and written, the gradient is read.
		t.measure(b, r.name, float64(n)*4*float64(3+2*r.states), func() { plan.Step(hyper) })
	}
}

func (t *activations) runLists(b *testing.B, n int) {
	value, grad := must(RandomTensorOf(t.d, device.Float32, n))(b), must(RandomTensorOf(t.d, device.Float32, n))(b)
	clip := must(t.d.NewClip(device.ClipSpec{Grads: []*device.Tensor{grad}, MaxNorm: 1e9}))(b)
	t.measure(b, "clip-norm", 4*float64(n), clip.Run) // far below the limit: nothing has to be written
	average := must(t.d.NewAverage(device.AverageSpec{Dst: []*device.Tensor{value}, Src: []*device.Tensor{grad}}))(b)
	decay := must(t.d.NewTensor(device.Float32, 1))(b)
	check(b, t.d.Upload(decay, device.Bytes([]float32{0.99})))
	t.measure(b, "average", 12*float64(n), func() { average.Run(decay) })
	m, ok := t.d.(device.MixedPrecision)
	if !ok {
		return
	}
	half := must(t.d.NewTensor(device.Float16, n))(b)
	list := must(m.NewCastList(device.CastListSpec{Dst: []*device.Tensor{half}, Src: []*device.Tensor{value}}))(b)
	t.measure(b, "cast-list", 6*float64(n), list.Run)
	state := must(t.d.NewTensor(device.Float32, device.ScalingLen))(b)
	check(b, t.d.Upload(state, device.Bytes([]float32{1024, 1.0 / 1024, 0, 0})))
	scaling := must(m.NewLossScaling(device.LossScalingSpec{Grads: []*device.Tensor{grad}, State: state, Interval: 2000}))(b)
	t.measure(b, "loss-scaling", 4*float64(n), scaling.Update)
}

// runLoss measures softmax with cross-entropy: for the batch of a recipe, where it is its launch that takes the time, and for
// many rows.
func (t *activations) runLoss(b *testing.B) {
	const classes = 10
	for _, n := range []int{1024, 1 << 22} {
		name := human(n, classes)
		if t.dry {
			n = min(n, 100)
		}
		plan := must(t.d.NewLoss(device.LossSpec{Kind: device.SoftmaxCrossEntropy, N: n, Classes: classes, Smoothing: 0.2}))(b)
		z, dz := must(RandomTensorOf(t.d, device.Float32, n, classes))(b), must(RandomTensorOf(t.d, device.Float32, n, classes))(b)
		stats, labels := must(t.d.NewTensor(device.Float32, device.StatsLen))(b), must(t.d.NewTensor(device.Int32, n))(b)
		answers := make([]int32, n)
		for i := range answers {
			answers[i] = int32(i % classes)
		}
		check(b, t.d.Upload(labels, device.Bytes(answers)))
		bytes := 4 * float64(n)
		t.measure(b, name+"/forward", bytes*(classes+1), func() { plan.Forward(stats, z, labels) })
		t.measure(b, name+"/backward", bytes*(2*classes+1), func() { plan.Backward(dz, z, labels) })
	}
}
