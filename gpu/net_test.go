//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"testing"

	"trainer/nn"
	"trainer/nn/device"
)

// smallNet is a step that uses most plans, on tensors of its own: images are augmented, convolved, normalised,
// pooled, dropped out and multiplied; then comes all the way back, and an update. In 16 bits filters and dense weights are
// copied to the type before, and their gradients from it after, and the loss is scaled.
type smallNet struct {
	t     testing.TB
	dev   device.Device
	dtype device.DType // of images, filters, dense weights

	counter                       *device.Tensor // int32 [1], of dropout and augmentation
	images, ids, labels           *device.Tensor
	x, conv, norm, pool, drop, z  *device.Tensor
	dconv, dnorm, dpool, ddrop    *device.Tensor
	dz, hyper, stats              *device.Tensor
	params                        map[string]*param
	mean, variance, slow, average *device.Tensor

	augment   device.Augment
	conv2d    device.Conv2D
	bn        device.BatchNorm
	pool2d    device.Pool2D
	dropout   device.Dropout
	forward   device.MatMul
	byInput   device.MatMul
	byWeight  device.MatMul
	byBias    device.Reduce
	loss      device.Loss
	clip      device.Clip
	optimizer device.Optimizer
	lookahead device.Average

	// In 16 bits only:
	scaleState          *device.Tensor // of the loss scaling
	dz16                *device.Tensor // dz in 16 bits
	narrow              device.Cast    // makes it
	operands, gradients device.CastList
	scaling             device.LossScaling
}

// param is a weight with its gradient and momentum, and what of value and grad enters products: the same tensors in
// float32.
type param struct{ value, grad, velocity, operand, operandGrad *device.Tensor }

const (
	netBatch   = 6
	netSide    = 9
	netFilters = 5
	netClasses = 3

	netPooled   = netSide / 2
	netFeatures = netPooled * netPooled * netFilters
)

// newSmallNet makes the plans and the tensors, the same on every device that has fused batch normalisation. bias
// says whether the convolution has one.
func newSmallNet(t testing.TB, dev device.Device, bias bool) *smallNet {
	t.Helper()
	return newSmallNetOf(t, dev, bias, device.Float32)
}

// newSmallNetOf is newSmallNet of a float type.
func newSmallNetOf(t testing.TB, dev device.Device, bias bool, dtype device.DType) *smallNet {
	t.Helper()
	n := &smallNet{t: t, dev: dev, dtype: dtype, params: map[string]*param{}}
	n.makeTensors(bias)
	n.makePlans(bias)
	if dtype != device.Float32 {
		n.makeMixed(dev.(device.MixedPrecision))
	}
	return n
}

// firstScale is the loss scale that a 16-bit net begins with. It is doubled after each second step.
const firstScale = 64

// makeMixed makes what only a net of 16 bits has.
func (n *smallNet) makeMixed(dev device.MixedPrecision) {
	n.dz16 = n.tensor(n.dtype, nil, netBatch, netClasses)
	must(n, &n.narrow)(n.dev.NewCast(device.CastSpec{From: device.Float32, To: n.dtype, Len: n.dz16.Len()}))
	var operands, gradients device.CastListSpec
	for _, name := range []string{"filters", "dense"} {
		p := n.params[name]
		operands.Dst, operands.Src = append(operands.Dst, p.operand), append(operands.Src, p.value)
		gradients.Dst, gradients.Src = append(gradients.Dst, p.grad), append(gradients.Src, p.operandGrad)
	}
	must(n, &n.operands)(dev.NewCastList(operands))
	must(n, &n.gradients)(dev.NewCastList(gradients))
	spec := device.LossScalingSpec{State: n.scaleState, Interval: 2}
	for _, name := range n.names() {
		spec.Grads = append(spec.Grads, n.params[name].grad)
	}
	must(n, &n.scaling)(dev.NewLossScaling(spec))
}

func (n *smallNet) makeTensors(bias bool) {
	n.counter = n.ints([]int32{0}, 1)
	pixels := make([]byte, netBatch*netSide*netSide*2)
	for i := range pixels {
		pixels[i] = byte(device.RandomWord(1, 0, 0, uint64(i)))
	}
	n.images = n.tensor(device.Uint8, pixels, netBatch, netSide, netSide, 2)
	n.ids, n.labels = n.ints([]int32{4, 1, 0, 3, 2, 5}, netBatch), n.ints([]int32{0, 1, 2, 2, 1, 0}, netBatch)
	if n.dtype != device.Float32 {
		n.scaleState = n.floats([]float32{firstScale, 1.0 / firstScale, 0, 0}, device.ScalingLen)
	}
	for _, f := range []struct {
		at    **device.Tensor
		shape []int
	}{
		{&n.x, []int{netBatch, netSide, netSide, 2}},
		{&n.conv, []int{netBatch, netSide, netSide, netFilters}}, {&n.dconv, []int{netBatch, netSide, netSide, netFilters}},
		{&n.norm, []int{netBatch, netSide, netSide, netFilters}}, {&n.dnorm, []int{netBatch, netSide, netSide, netFilters}},
		{&n.pool, []int{netBatch, netPooled, netPooled, netFilters}}, {&n.dpool, []int{netBatch, netPooled, netPooled, netFilters}},
		{&n.drop, []int{netBatch, netFeatures}}, {&n.ddrop, []int{netBatch, netFeatures}},
	} {
		*f.at = n.tensor(n.dtype, nil, f.shape...)
	}
	for _, f := range []struct {
		at    **device.Tensor
		shape []int
	}{
		{&n.z, []int{netBatch, netClasses}}, {&n.dz, []int{netBatch, netClasses}},
		{&n.stats, []int{device.StatsLen}}, {&n.mean, []int{netFilters}}, {&n.variance, []int{netFilters}},
		{&n.slow, []int{netFeatures, netClasses}},
	} {
		*f.at = n.zeros(f.shape...)
	}
	n.hyper = n.floats([]float32{0.05, 1e-3, 0.9, 0, 1, 1, 1, 0, 0, 0}, 1, device.HyperLen)
	n.average = n.floats([]float32{0.75, 0.25}, 2)
	n.param("filters", 0.3, netFilters, 3, 3, 2)
	if bias {
		n.param("filters bias", 0.1, netFilters)
	}
	n.param("gamma", 1, netFilters)
	n.param("beta", 0.1, netFilters)
	n.param("dense", 0.2, netFeatures, netClasses)
	n.param("dense bias", 0.1, netClasses)
	if n.dtype != device.Float32 {
		for _, name := range []string{"filters", "dense"} {
			p := n.params[name]
			p.operand, p.operandGrad = n.tensor(n.dtype, nil, p.value.Shape()...), n.tensor(n.dtype, nil, p.value.Shape()...)
		}
	}
}

func (n *smallNet) makePlans(bias bool) {
	dev := n.dev
	must(n, &n.augment)(dev.NewAugment(device.AugmentSpec{
		N: netBatch, H: netSide, W: netSide, C: 2, Mean: []float32{0.5, 0.4}, Std: []float32{0.25, 0.3},
		Flip: device.FlipRandom, Crop: 1, Cutout: 2, Seed: 9, DType: n.dtype,
	}))
	must(n, &n.conv2d)(dev.NewConv2D(device.Conv2DSpec{
		N: netBatch, H: netSide, W: netSide, InC: 2, OutC: netFilters, KH: 3, KW: 3, StrideH: 1, StrideW: 1, PadH: 1, PadW: 1,
		DilationH: 1, DilationW: 1, Groups: 1, Bias: bias, DType: n.dtype,
	}))
	must(n, &n.bn)(dev.(device.FusedBatchNorm).NewBatchNormActivation(
		device.BatchNormSpec{Rows: netBatch * netSide * netSide, C: netFilters, Epsilon: 1e-5, Momentum: 0.1, DType: n.dtype}, nn.GELU{}.Activation().Function))
	must(n, &n.pool2d)(dev.NewPool2D(device.Pool2DSpec{
		Mode: device.MaxPool, N: netBatch, H: netSide, W: netSide, C: netFilters, KH: 2, KW: 2, StrideH: 2, StrideW: 2, DType: n.dtype,
	}))
	must(n, &n.dropout)(dev.NewDropout(device.DropoutSpec{Len: netBatch * netFeatures, Rate: 0.25, Seed: 9, Stream: device.StreamDropout, DType: n.dtype}))
	must(n, &n.forward)(dev.NewMatMul(device.MatMulSpec{M: netBatch, N: netClasses, K: netFeatures, Bias: true, DType: n.dtype, Out: device.Float32}))
	must(n, &n.byInput)(dev.NewMatMul(device.MatMulSpec{M: netBatch, N: netFeatures, K: netClasses, TransB: true, DType: n.dtype}))
	must(n, &n.byWeight)(dev.NewMatMul(device.MatMulSpec{M: netFeatures, N: netClasses, K: netBatch, TransA: true, DType: n.dtype}))
	must(n, &n.byBias)(dev.NewReduce(device.ReduceSpec{Kind: device.ReduceSum, Batch: netBatch, Rows: 1, C: netClasses, Keep: device.AxisC, DType: n.dtype}))
	must(n, &n.loss)(dev.NewLoss(device.LossSpec{Kind: device.SoftmaxCrossEntropy, N: netBatch, Classes: netClasses, Smoothing: 0.1, Scaling: n.scaleState}))
	spec, clip := device.OptimizerSpec{Kind: device.SGD, Nesterov: true, Scaling: n.scaleState}, device.ClipSpec{MaxNorm: 1, Scaling: n.scaleState}
	for _, name := range n.names() {
		p := n.params[name]
		spec.Slots = append(spec.Slots, device.OptimizerParam{Value: p.value, Grad: p.grad, State1: p.velocity})
		clip.Grads = append(clip.Grads, p.grad)
	}
	must(n, &n.clip)(dev.NewClip(clip))
	must(n, &n.optimizer)(dev.NewOptimizer(spec))
	must(n, &n.lookahead)(dev.NewAverage(device.AverageSpec{Dst: []*device.Tensor{n.slow}, Src: []*device.Tensor{n.params["dense"].value}}))
}

// names returns the parameters' names in their order.
func (n *smallNet) names() []string {
	names := []string{"filters", "filters bias", "gamma", "beta", "dense", "dense bias"}
	if n.params["filters bias"] == nil {
		names = append(names[:1], names[2:]...)
	}
	return names
}

// must stores a plan, or ends the test.
func must[P any](n *smallNet, at *P) func(P, error) {
	return func(p P, err error) {
		n.t.Helper()
		if err != nil {
			n.t.Fatal(err)
		}
		*at = p
	}
}

func (n *smallNet) tensor(dtype device.DType, contents []byte, shape ...int) *device.Tensor {
	n.t.Helper()
	x, err := n.dev.NewTensor(dtype, shape...)
	if err != nil {
		n.t.Fatal(err)
	}
	if contents != nil {
		if err := n.dev.Upload(x, contents); err != nil {
			n.t.Fatal(err)
		}
	}
	return x
}

func (n *smallNet) zeros(shape ...int) *device.Tensor {
	return n.tensor(device.Float32, nil, shape...)
}

func (n *smallNet) floats(values []float32, shape ...int) *device.Tensor {
	return n.tensor(device.Float32, device.Bytes(values), shape...)
}

func (n *smallNet) ints(values []int32, shape ...int) *device.Tensor {
	return n.tensor(device.Int32, device.Bytes(values), shape...)
}

// param makes a parameter of random numbers up to size.
func (n *smallNet) param(name string, size float32, shape ...int) {
	value := n.zeros(shape...)
	values := make([]float32, value.Len())
	for i := range values {
		values[i] = size * (2*device.Uniform(device.RandomWord(uint64(len(name)), 0, 0, uint64(i))) - 1)
	}
	p := &param{value: n.floats(values, shape...), grad: n.zeros(shape...), velocity: n.zeros(shape...)}
	p.operand, p.operandGrad = p.value, p.grad
	n.params[name] = p
}

// step queues a whole training step.
func (n *smallNet) step() {
	p := func(name string) *device.Tensor { return n.params[name].operand }
	g := func(name string) *device.Tensor { return n.params[name].operandGrad }
	if n.operands != nil {
		n.operands.Run()
	}
	var bias, dbias *device.Tensor
	if n.params["filters bias"] != nil {
		bias, dbias = p("filters bias"), g("filters bias")
	}
	flat, dflat := n.pool.View(n.drop.Shape()...), n.dpool.View(n.drop.Shape()...)
	n.augment.Train(n.x, n.images, n.ids, n.counter)
	n.conv2d.Forward(n.conv, n.x, p("filters"), bias)
	n.bn.Forward(n.norm, n.conv, p("gamma"), p("beta"), n.mean, n.variance)
	n.pool2d.Forward(n.pool, n.norm)
	n.dropout.Forward(n.drop, flat, n.counter)
	n.forward.Run(n.z, n.drop, p("dense"), p("dense bias"))
	n.loss.Forward(n.stats, n.z, n.labels, nil)

	n.loss.Backward(n.dz, n.z, n.labels, nil)
	dz := n.dz
	if n.narrow != nil {
		n.narrow.Run(n.dz16, dz)
		dz = n.dz16
	}
	n.byWeight.Run(g("dense"), n.drop, dz, nil)
	n.byBias.Run(g("dense bias"), dz, nil)
	n.byInput.Run(n.ddrop, dz, p("dense"), nil)
	n.dropout.Backward(dflat, n.ddrop, n.counter)
	n.pool2d.Backward(n.dnorm, n.dpool, n.pool, n.norm)
	n.bn.Backward(n.dconv, g("gamma"), g("beta"), n.dnorm, n.conv, p("gamma"), p("beta"))
	n.conv2d.BackwardFilter(g("filters"), dbias, n.dconv, n.x)
	if n.scaling != nil {
		n.gradients.Run()
		n.scaling.Update()
	}
	n.clip.Run()
	n.optimizer.Step(n.hyper)
	n.lookahead.Run(n.average)
}

// count sets the step that dropout and augmentation follow.
func (n *smallNet) count(step int32) {
	n.t.Helper()
	if err := n.dev.Upload(n.counter, device.Bytes([]int32{step})); err != nil {
		n.t.Fatal(err)
	}
}

// download returns a float32 tensor's elements.
func (n *smallNet) download(x *device.Tensor) []float32 {
	n.t.Helper()
	values := make([]float32, x.Len())
	if err := n.dev.Download(device.Bytes(values), x); err != nil {
		n.t.Fatal(err)
	}
	return values
}

// weights returns all that a step changes and the next one reads, one after the other.
func (n *smallNet) weights() []float32 {
	n.t.Helper()
	var all []float32
	for _, name := range n.names() {
		all = append(all, n.download(n.params[name].value)...)
		all = append(all, n.download(n.params[name].velocity)...)
	}
	for _, x := range []*device.Tensor{n.mean, n.variance, n.slow, n.stats, n.scaleState} {
		if x != nil {
			all = append(all, n.download(x)...)
		}
	}
	return all
}
