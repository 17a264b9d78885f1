//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	cudnn "gorgonia.org/cu/dnn"

	"trainer/gpu/internal/cuda"
	"trainer/nn"
	"trainer/nn/device"
)

// Our kernels compared with cuDNN's layers, on the same operands: pooling, activations, softmax, cross-entropy, batch
// normalisation and a bias with its gradient. cuDNN is a second opinion on a GPU; on the software emulation the layers
// come from gpu/cudasim, which was written independently of the kernels.

// pair is one operation computed twice: by a plan of this package, and by a call of cuDNN. Their outputs begin with
// different random numbers, so that unwritten elements are detected.
type pair struct {
	name    string
	ours    func()
	cudnn   func() error
	outputs []output
}

// output holds the two outputs. bound returns how much each element may differ before both are rounded to their types;
// it is nil if they must be equal.
type output struct {
	name        string
	ours, cudnn *device.Tensor
	bound       func() []float64
}

// rivals makes pairs on tensors of one float type.
type rivals struct {
	t     testing.TB
	d     *Device
	dtype device.DType
	noise bool   // tensors are filled quickly, with repeating numbers
	seed  uint64 // of the next tensor
}

// check ends the test on an error. On a GPU it skips the test if the error only says that cuDNN or the GPU lacks support.
func (r *rivals) check(err error) {
	r.t.Helper()
	if errors.Is(err, device.ErrNotSupported) && !r.d.Info().Emulated {
		r.t.Skip(err)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// made returns the value. It handles an error as check does.
func made[P any](p P, err error) func(r *rivals) P {
	return func(r *rivals) P {
		r.t.Helper()
		r.check(err)
		return p
	}
}

// call wraps a function that calls cuDNN so that it can be called on any thread.
func (r *rivals) call(f func() error) func() error {
	return func() error {
		if !r.d.begin("cuDNN") {
			return r.d.fault
		}
		defer r.d.end()
		return f()
	}
}

func (r *rivals) empty(t device.DType, shape ...int) *device.Tensor {
	r.t.Helper()
	return made(r.d.NewTensor(t, shape...))(r)
}

// random returns images [n,h,w,c]. In each channel of an image no element is 0 and all elements differ (in 16 bits only if
// there are at most 64), so the maximum is unique. The channels have different means.
func (r *rivals) random(shape [4]int) *device.Tensor {
	r.t.Helper()
	x := r.empty(r.dtype, shape[:]...)
	if r.noise {
		r.check(r.call(func() error { return r.d.fillNoise(r.d.memoryOf("noise", "x", x), r.dtype) })())
		return x
	}
	r.seed++
	random := rand.New(rand.NewPCG(r.seed, 1))
	pixels, c := shape[1]*shape[2], shape[3]
	values := make([]float32, x.Len())
	for n := range shape[0] {
		for k := range c {
			for pixel, rank := range random.Perm(pixels) {
				v := 4*(float32(rank)+0.25+0.5*random.Float32())/float32(pixels) - 2
				values[(n*pixels+pixel)*c+k] = v + 0.3*float32(k%4)
			}
		}
	}
	wide := x
	if r.dtype != device.Float32 {
		wide = r.empty(device.Float32, shape[:]...)
	}
	r.check(r.d.Upload(wide, device.Bytes(values)))
	if wide != x {
		made(r.d.NewCast(device.CastSpec{From: device.Float32, To: r.dtype, Len: x.Len()}))(r).Run(x, wide)
	}
	return x
}

// uniform returns n float32 numbers from low to high.
func (r *rivals) uniform(low, high float32, n int) *device.Tensor {
	r.t.Helper()
	r.seed++
	random := rand.New(rand.NewPCG(r.seed, 2))
	values := make([]float32, n)
	for i := range values {
		values[i] = low + (high-low)*random.Float32()
	}
	x := r.empty(device.Float32, n)
	r.check(r.d.Upload(x, device.Bytes(values)))
	return x
}

// values returns the elements of a tensor of a float type.
func (r *rivals) values(x *device.Tensor) []float64 {
	r.t.Helper()
	wide := x
	if x.DType() != device.Float32 {
		wide = r.empty(device.Float32, x.Shape()...)
		made(r.d.NewCast(device.CastSpec{From: x.DType(), To: device.Float32, Len: x.Len()}))(r).Run(wide, x)
	}
	narrow := make([]float32, x.Len())
	r.check(r.d.Download(device.Bytes(narrow), wide))
	values := make([]float64, len(narrow))
	for i, v := range narrow {
		values[i] = float64(v)
	}
	return values
}

// describe returns cuDNN's description of images of the pairs' type.
func (r *rivals) describe(shape [4]int) *cuda.TensorDesc {
	r.t.Helper()
	return r.describeAs(r.dtype, shape)
}

func (r *rivals) describeAs(t device.DType, shape [4]int) (desc *cuda.TensorDesc) {
	r.t.Helper()
	r.check(r.call(func() (err error) {
		desc, err = r.d.descriptors.tensor(t, shape)
		return err
	})())
	return desc
}

// The bounds. Our kernels and cuDNN sum in float32, each in an order of its own; sumError is the tolerance of package
// devicetest for sums of k terms, once for each side. elementwise and function are the tolerances of arithmetic and of exponentials.
// stored adds the rounding of the results to their types.
const (
	elementwise = 2 * 4 * 0x1p-23
	function    = 2 * 8 * 0x1p-23
)

func sumError(k int, magnitude float64) float64 {
	return 2 * (2 + math.Sqrt(float64(k))) * 0x1p-23 * magnitude
}

// roundoff is the largest relative error of one rounding to a type.
func roundoff(t device.DType) float64 {
	switch t {
	case device.Float32:
		return 0x1p-24
	case device.BFloat16:
		return 0x1p-8
	}
	return 0x1p-11
}

// stored returns the largest difference that rounding each of two equal numbers of about x to its type can cause. Below the
// smallest normal number of float16, rounding errors no longer decrease with x.
func stored(a, b device.DType, x float64) (bound float64) {
	for _, t := range []device.DType{a, b} {
		least := 0x1p-126
		if t == device.Float16 {
			least = 0x1p-14
		}
		bound += roundoff(t) * max(math.Abs(x), least)
	}
	return bound
}

// everywhere returns a bound that is the same for all elements of a tensor.
func everywhere(x *device.Tensor, bound float64) func() []float64 {
	return func() []float64 {
		all := make([]float64, x.Len())
		for i := range all {
			all[i] = bound
		}
		return all
	}
}

// largest is the largest absolute value that random produces.
const largest = 3

// pool returns both passes of a pooling over square windows.
func (r *rivals) pool(mode device.PoolMode, shape [4]int, k, stride, pad int) []pair {
	r.t.Helper()
	d, s := r.d, device.Pool2DSpec{
		Mode: mode, N: shape[0], H: shape[1], W: shape[2], C: shape[3], KH: k, KW: k, StrideH: stride, StrideW: stride, PadH: pad, PadW: pad, DType: r.dtype,
	}
	plan := made(d.NewPool2D(s))(r)
	modes := map[device.PoolMode]cudnn.PoolingMode{
		device.MaxPool: cudnn.MaxPooling, device.AvgPool: cudnn.AverageCountIncludePadding, device.AvgPoolExcluding: cudnn.AverageCountExcludePadding,
	}
	window := made(cuda.NewPoolingDesc(modes[mode], cuda.Window{KH: k, KW: k, PadH: pad, PadW: pad, StrideH: stride, StrideW: stride}))(r)
	t := r.t
	t.Cleanup(func() {
		if err := cuda.DestroyPoolingDesc(window); err != nil {
			t.Error(err)
		}
	})
	out := [4]int{s.N, s.OutH(), s.OutW(), s.C}
	x, dy := r.random(shape), r.random(out)
	y, theirY, dx, theirDx := r.random(out), r.random(out), r.random(shape), r.random(shape)
	xDesc, yDesc := r.describe(shape), r.describe(out)
	forward, backward := poolBounds(s, y, dx)
	return []pair{
		{"forward", func() { plan.Forward(y, x) }, r.call(func() error {
			return d.dnn.Pool(window, 1, xDesc, d.data(x), 0, yDesc, d.data(theirY))
		}), []output{{"y", y, theirY, forward}}},
		{"backward", func() { plan.Backward(dx, dy, y, x) }, r.call(func() error {
			return d.dnn.PoolBackward(window, 1, yDesc, d.data(y), d.data(dy), 0, xDesc, d.data(x), d.data(theirDx))
		}), []output{{"dx", dx, theirDx, backward}}},
	}
}

// poolBounds returns the bounds of y and dx. Max pooling copies the maximum, so y must be equal; so must dx if no two windows
// overlap. If n windows overlap, dx adds n gradients, each at most largest, or in average pooling largest divided by the
// number of elements in a window. cuDNN doesn't promise to round to the type of dx only once, so n roundings are allowed.
func poolBounds(s device.Pool2DSpec, y, dx *device.Tensor) (forward, backward func() []float64) {
	windows := (s.KH + s.StrideH - 1) / s.StrideH
	n, each := float64(windows*windows), float64(largest)
	if s.Mode != device.MaxPool {
		forward = everywhere(y, sumError(s.KH*s.KW, largest))
		inside := s.KH
		if s.Mode == device.AvgPoolExcluding {
			inside -= s.PadH
		}
		each /= float64(inside * inside)
	} else if windows == 1 {
		return nil, nil
	}
	return forward, everywhere(dx, n*roundoff(s.DType)*n*each)
}

// activation returns both passes of an activation.
func (r *rivals) activation(layer nn.ActivationLayer, mode cudnn.ActivationMode, shape [4]int) []pair {
	r.t.Helper()
	d := r.d
	x, dy := r.random(shape), r.random(shape)
	s := layer.Activation()
	s.Len, s.DType = x.Len(), r.dtype
	plan := made(d.NewActivation(s))(r)
	theirs := made(d.descriptors.activation(mode))(r)
	y, theirY, dx, theirDx := r.random(shape), r.random(shape), r.random(shape), r.random(shape)
	desc := r.describe(shape)
	forward, backward := everywhere(y, function), r.slopeBound(dy)
	if mode == cudnn.ReLU {
		forward, backward = nil, nil
	}
	return []pair{
		{"forward", func() { plan.Forward(y, x) }, r.call(func() error {
			return d.dnn.Activate(theirs, 1, desc, d.data(x), 0, d.data(theirY))
		}), []output{{"y", y, theirY, forward}}},
		{"backward", func() { plan.Backward(dx, dy, x, y) }, r.call(func() error {
			return d.dnn.ActivateBackward(theirs, 1, desc, d.data(y), d.data(dy), d.data(x), 0, d.data(theirDx))
		}), []output{{"dx", dx, theirDx, backward}}},
	}
}

// slopeBound returns the bound of dx. For sigmoid and tanh, our kernels compute the derivative from x, cuDNN from y, as
// y(1-y) and 1-y^2. y, at most 1, was rounded when it was stored, and the derivatives of these two with respect to y are at
// most 2.
func (r *rivals) slopeBound(dy *device.Tensor) func() []float64 {
	return func() []float64 {
		bounds := r.values(dy)
		for i, v := range bounds {
			bounds[i] = math.Abs(v) * (2*(roundoff(r.dtype)+function) + function)
		}
		return bounds
	}
}

// softmax returns the softmax over the rows of [n,classes], in float32.
func (r *rivals) softmax(n, classes int) []pair {
	r.t.Helper()
	d, shape := r.d, [4]int{n, 1, 1, classes}
	plan := made(d.NewSoftmax(device.SoftmaxSpec{N: n, Classes: classes}))(r)
	x := r.random(shape).View(n, classes)
	y, theirY := r.random(shape).View(n, classes), r.random(shape).View(n, classes)
	desc := r.describe(shape)
	// Each exponential is off by a few units in the last place, and by the rounding error of x - max x, at most 2 largest,
	// which is a relative error of the exponential. The sum adds its own error, and no result is above 1.
	bound := function + 2*2*largest*0x1p-24 + sumError(classes, 1)
	return []pair{{"forward", func() { plan.Forward(y, x) }, r.call(func() error {
		return d.dnn.Softmax(cudnn.Accurate, 1, desc, d.data(x), 0, d.data(theirY))
	}), []output{{"y", y, theirY, everywhere(y, bound)}}}}
}

// lossGradient returns the gradient of the cross-entropy of a softmax over [n,classes], softmax(x)[k] - [k = label]. Our
// kernel computes it in one pass; with cuDNN it is dx = dy - exp(y) sum(dy), where y is the logarithm of the softmax and dy =
// -[k = label].
func (r *rivals) lossGradient(n, classes int) []pair {
	r.t.Helper()
	d, shape := r.d, [4]int{n, 1, 1, classes}
	plan := made(d.NewLoss(device.LossSpec{Kind: device.SoftmaxCrossEntropy, N: n, Classes: classes, Sum: true}))(r)
	x := r.random(shape).View(n, classes)
	dx, theirDx := r.random(shape).View(n, classes), r.random(shape).View(n, classes)
	y, dy, labels := r.empty(device.Float32, n, classes), r.empty(device.Float32, n, classes), r.empty(device.Int32, n)
	label, oneHot := make([]int32, n), make([]float32, n*classes)
	for i := range label {
		label[i] = int32(3 * i % classes)
		oneHot[i*classes+int(label[i])] = -1
	}
	r.check(d.Upload(labels, device.Bytes(label)))
	r.check(d.Upload(dy, device.Bytes(oneHot)))
	desc := r.describe(shape)
	// As for the softmax. On cuDNN's side, the rounding errors of y, from three sums of at most 2 largest + log classes, are
	// relative errors of the exponential; and the last subtraction rounds numbers up to 1.
	logarithm := 2*largest + math.Log(float64(classes))
	bound := 2*function + (2*2*largest+3*logarithm+2)*0x1p-24 + sumError(classes, 1)
	return []pair{{"loss gradient", func() { plan.Backward(dx, x, labels, nil) }, r.call(func() error {
		if err := d.dnn.Softmax(cudnn.Log, 1, desc, d.data(x), 0, d.data(y)); err != nil {
			return err
		}
		return d.dnn.SoftmaxBackward(cudnn.Log, 1, desc, d.data(y), d.data(dy), 0, d.data(theirDx))
	}), []output{{"dx", dx, theirDx, everywhere(dx, bound)}}}}
}

// bias returns two pairs. The first is y = y + bias, where our bias is float32 and cuDNN's has the type of y. The second is
// the gradient of a bias, a sum over rows: ours is float32, cuDNN's has the type of dy.
func (r *rivals) bias(shape [4]int) []pair {
	r.t.Helper()
	d, c := r.d, shape[3]
	rows := shape[0] * shape[1] * shape[2]
	plan := made(d.NewReduce(device.ReduceSpec{Kind: device.ReduceSum, Batch: 1, Rows: rows, C: c, Keep: device.AxisC, DType: r.dtype}))(r)
	dy := r.random(shape)
	db, theirDb := r.uniform(-1, 1, c), r.random([4]int{1, 1, 1, c}).View(c)
	dyDesc, dbDesc := r.describe(shape), r.describe([4]int{1, 1, 1, c})
	bound := func() []float64 {
		bounds := make([]float64, c)
		for i, v := range r.values(dy) {
			bounds[i%c] += sumError(rows, math.Abs(v))
		}
		return bounds
	}
	own := r.random([4]int{1, 1, 1, c}).View(c)
	wide := own
	if r.dtype != device.Float32 {
		wide = r.empty(device.Float32, c)
		made(d.NewCast(device.CastSpec{From: r.dtype, To: device.Float32, Len: c}))(r).Run(wide, own)
	}
	y, theirY := r.random(shape), r.empty(r.dtype, shape[:]...)
	d.Copy(theirY, y)
	kernel := made(build(d, "bias", func(b *builder) *cuda.Kernel { return b.epilogue(true, false, r.dtype) }))(r)
	add := r.call(func() error { d.finish(kernel, y, wide); return nil })
	return []pair{{"forward", func() { r.check(add()) }, r.call(func() error {
		return d.dnn.AddTensor(1, dbDesc, d.data(own), 1, dyDesc, d.data(theirY))
	}), []output{{"y", y, theirY, nil}}}, {"backward", func() { plan.Run(db, dy, nil) }, r.call(func() error {
		return d.dnn.BackwardBias(1, dyDesc, d.data(dy), 0, dbDesc, d.data(theirDb))
	}), []output{{"dbias", db, theirDb, bound}}}}
}

// The epsilon and momentum of batch normalisation. Older versions of cuDNN refuse an epsilon below 1e-5.
const (
	normEpsilon  = 1e-3
	normMomentum = 0.25
)

// normTensors are the operands of batch normalisation.
type normTensors struct {
	x, dy, gamma, beta *device.Tensor
	mean, variance     *device.Tensor // of inference
	runningMean        *device.Tensor // as they were before training
	runningVar         *device.Tensor
}

// batchNorm returns training, the backward pass after it, and inference.
func (r *rivals) batchNorm(mode cudnn.BatchNormMode, shape [4]int) []pair {
	r.t.Helper()
	d, c := r.d, shape[3]
	rows := shape[0] * shape[1] * shape[2]
	plan := made(d.NewBatchNorm(device.BatchNormSpec{Rows: rows, C: c, Epsilon: normEpsilon, Momentum: normMomentum, DType: r.dtype}))(r)
	n := &normTensors{
		x: r.random(shape), dy: r.random(shape), gamma: r.uniform(0.5, 1.5, c), beta: r.uniform(-1, 1, c),
		mean: r.uniform(-1, 1, c), variance: r.uniform(0.5, 2, c), runningMean: r.uniform(-1, 1, c), runningVar: r.uniform(0.5, 2, c),
	}
	images := func() *device.Tensor { return r.random(shape) }
	channels := func() *device.Tensor { return r.uniform(-1, 1, c) }
	copied := func(x *device.Tensor) *device.Tensor {
		to := r.empty(device.Float32, c)
		d.Copy(to, x)
		return to
	}
	y, theirY, inferred, theirInferred, dx, theirDx := images(), images(), images(), images(), images(), images()
	mean, theirMean, variance, theirVariance := copied(n.runningMean), copied(n.runningMean), copied(n.runningVar), copied(n.runningVar)
	dgamma, theirDgamma, dbeta, theirDbeta, savedMean, savedInvStd := channels(), channels(), channels(), channels(), channels(), channels()
	bn := &cuda.BatchNorm{Mode: mode, X: r.describe(shape), Parameters: r.describeAs(device.Float32, [4]int{1, 1, 1, c}), Epsilon: float64(float32(normEpsilon))}
	bounds := func(f func(b *normBounds) []float64) func() []float64 {
		return func() []float64 { return f(r.normBounds(n, c)) }
	}
	return []pair{
		{"training", func() { plan.Forward(y, n.x, n.gamma, n.beta, mean, variance) }, r.call(func() error {
			return d.dnn.BatchNormTrain(bn, d.data(n.x), d.data(theirY), d.data(n.gamma), d.data(n.beta), normMomentum, d.data(theirMean),
				d.data(theirVariance), d.data(savedMean), d.data(savedInvStd))
		}), []output{
			{"y", y, theirY, bounds((*normBounds).y)},
			{"running mean", mean, theirMean, bounds((*normBounds).runningMean)},
			{"running variance", variance, theirVariance, bounds((*normBounds).runningVar)},
		}},
		{"backward", func() { plan.Backward(dx, dgamma, dbeta, n.dy, n.x, n.gamma, n.beta) }, r.call(func() error {
			return d.dnn.BatchNormBackward(bn, d.data(n.x), d.data(n.dy), d.data(theirDx), d.data(n.gamma), d.data(theirDgamma), d.data(theirDbeta), 0,
				d.data(savedMean), d.data(savedInvStd))
		}), []output{
			{"dx", dx, theirDx, bounds((*normBounds).dx)},
			{"dgamma", dgamma, theirDgamma, bounds(func(b *normBounds) []float64 { return b.dgammaError })},
			{"dbeta", dbeta, theirDbeta, bounds(func(b *normBounds) []float64 { return b.dbetaError })},
		}},
		{"inference", func() { plan.Inference(inferred, n.x, n.gamma, n.beta, n.mean, n.variance) }, r.call(func() error {
			return d.dnn.BatchNormInfer(bn, d.data(n.x), d.data(theirInferred), d.data(n.gamma), d.data(n.beta), d.data(n.mean), d.data(n.variance))
		}), []output{{"y", inferred, theirInferred, bounds((*normBounds).inference)}}},
	}
}

// normBounds propagates the errors of sums through batch normalisation, to first order. inv is 1/sqrt(variance + epsilon).
// An implementation may compute the variance as the mean of squares minus the square of the mean, xhat as x inv - mean inv,
// and dgamma as inv (sum dy x - mean sum dy), so rounding errors are proportional to these terms.
type normBounds struct {
	c, rows                            int
	x, dy, gamma, beta                 []float64
	givenMean, givenVariance           []float64 // of inference
	mean, variance, inv, dgamma, dbeta []float64 // [c]
	meanError, varianceError, invError []float64 // [c]; that of inv is relative
	dgammaError, dbetaError            []float64 // [c]
	oldMean, oldVariance               []float64 // running
}

func (r *rivals) normBounds(n *normTensors, c int) *normBounds {
	r.t.Helper()
	b := &normBounds{
		c: c, x: r.values(n.x), dy: r.values(n.dy), gamma: r.values(n.gamma), beta: r.values(n.beta), givenMean: r.values(n.mean),
		givenVariance: r.values(n.variance), oldMean: r.values(n.runningMean), oldVariance: r.values(n.runningVar),
	}
	b.rows = len(b.x) / c
	for _, at := range []*[]float64{
		&b.mean, &b.variance, &b.inv, &b.dgamma, &b.dbeta, &b.meanError, &b.varianceError, &b.invError, &b.dgammaError, &b.dbetaError,
	} {
		*at = make([]float64, c)
	}
	for k := range c {
		b.statistics(k)
		b.gradients(k)
	}
	return b
}

// statistics computes the mean and variance of a channel, and how much two float32 results may differ.
func (b *normBounds) statistics(k int) {
	m := float64(b.rows)
	var magnitude, squares float64
	for i := k; i < len(b.x); i += b.c {
		b.mean[k] += b.x[i] / m
		magnitude += math.Abs(b.x[i]) / m
		squares += b.x[i] * b.x[i] / m
	}
	for i := k; i < len(b.x); i += b.c {
		b.variance[k] += (b.x[i] - b.mean[k]) * (b.x[i] - b.mean[k]) / m
	}
	b.inv[k] = 1 / math.Sqrt(b.variance[k]+normEpsilon)
	b.meanError[k] = sumError(b.rows, magnitude)
	b.varianceError[k] = sumError(b.rows, squares) + 2*math.Abs(b.mean[k])*b.meanError[k]
	b.invError[k] = b.varianceError[k]/2*b.inv[k]*b.inv[k] + elementwise
}

// xhat returns the normalised element i, how much two float32 results may differ, and the size of its terms.
func (b *normBounds) xhat(i int) (value, bound, terms float64) {
	k := i % b.c
	centred := b.x[i] - b.mean[k]
	terms = b.inv[k] * (math.Abs(b.x[i]) + math.Abs(b.mean[k]))
	return centred * b.inv[k], b.inv[k]*(b.meanError[k]+math.Abs(centred)*b.invError[k]) + elementwise*terms, terms
}

// gradients computes dgamma and dbeta of a channel, and how much two float32 results may differ.
func (b *normBounds) gradients(k int) {
	for i := k; i < len(b.x); i += b.c {
		xhat, bound, terms := b.xhat(i)
		size := math.Abs(b.dy[i])
		b.dbeta[k] += b.dy[i]
		b.dgamma[k] += b.dy[i] * xhat
		b.dbetaError[k] += sumError(b.rows, size)
		b.dgammaError[k] += sumError(b.rows, size*terms) + size*bound
	}
}

// each returns a bound for every element of x.
func (b *normBounds) each(bound func(i, k int) float64) []float64 {
	all := make([]float64, len(b.x))
	for i := range all {
		all[i] = bound(i, i%b.c)
	}
	return all
}

func (b *normBounds) y() []float64 {
	return b.each(func(i, k int) float64 {
		_, bound, terms := b.xhat(i)
		return b.gamma[k]*(bound+elementwise*terms) + elementwise*math.Abs(b.beta[k])
	})
}

func (b *normBounds) inference() []float64 {
	return b.each(func(i, k int) float64 {
		terms := (math.Abs(b.x[i]) + math.Abs(b.givenMean[k])) / math.Sqrt(b.givenVariance[k]+normEpsilon)
		return 2 * elementwise * (b.gamma[k]*terms + math.Abs(b.beta[k]))
	})
}

// dx = gamma inv (dy - dbeta/m - xhat dgamma/m)
func (b *normBounds) dx() []float64 {
	m := float64(b.rows)
	return b.each(func(i, k int) float64 {
		xhat, bound, _ := b.xhat(i)
		size := math.Abs(b.dy[i]) + math.Abs(b.dbeta[k])/m + math.Abs(xhat*b.dgamma[k])/m
		sums := b.dbetaError[k]/m + math.Abs(xhat)*b.dgammaError[k]/m + bound*math.Abs(b.dgamma[k])/m
		return b.gamma[k] * b.inv[k] * (size*(b.invError[k]+elementwise) + sums)
	})
}

func (b *normBounds) runningMean() []float64 {
	all := make([]float64, b.c)
	for k := range all {
		all[k] = normMomentum*b.meanError[k] + elementwise*(math.Abs(b.oldMean[k])+math.Abs(b.mean[k]))
	}
	return all
}

func (b *normBounds) runningVar() []float64 {
	all, m := make([]float64, b.c), float64(b.rows)
	for k := range all {
		all[k] = normMomentum*m/(m-1)*b.varianceError[k] + elementwise*(b.oldVariance[k]+b.variance[k])
	}
	return all
}

// compare fails the test if the outputs of a pair differ by more than their bounds.
func (r *rivals) compare(p pair) {
	r.t.Helper()
	p.ours()
	r.check(p.cudnn())
	r.check(r.d.Sync())
	for _, o := range p.outputs {
		ours, theirs := r.values(o.ours), r.values(o.cudnn)
		var bounds []float64
		if o.bound != nil {
			bounds = o.bound()
		}
		if wrong, first := apart(ours, theirs, bounds, o.ours.DType(), o.cudnn.DType()); wrong > 0 {
			r.t.Errorf("%s: %d of %d elements differ: %s", o.name, wrong, len(ours), first)
		}
	}
}

// apart returns the number of elements that differ by more than the bounds and the rounding to their types allow; if bounds
// is nil, the number of elements that differ at all.
func apart(ours, theirs, bounds []float64, a, b device.DType) (wrong int, first string) {
	for i, x := range ours {
		allowed := 0.0
		if bounds != nil {
			allowed = bounds[i] + stored(a, b, max(math.Abs(x), math.Abs(theirs[i])))
		}
		if off := math.Abs(x - theirs[i]); !(off <= allowed) {
			if wrong++; wrong == 1 {
				first = fmt.Sprintf("[%d] is %v, cuDNN's %v, %.3g apart where %.3g is allowed", i, x, theirs[i], off, allowed)
			}
		}
	}
	return wrong, first
}

// TestKernelsAgainstCuDNN compares the results of the kernels with cuDNN's, on the software emulation (or a GPU).
func TestKernelsAgainstCuDNN(t *testing.T) {
	d := anyDevice(t)
	openDNN(t, d)
	for _, dtype := range []device.DType{device.Float32, device.Float16, device.BFloat16} {
		for _, c := range []int{5, 8} { // channels one by one, and four at a time
			shape := [4]int{3, 6, 10, c}
			for _, o := range []struct {
				name  string
				pairs func(r *rivals) []pair
			}{
				{"max pooling 2x2", func(r *rivals) []pair { return r.pool(device.MaxPool, shape, 2, 2, 0) }},
				{"max pooling 3x3", func(r *rivals) []pair { return r.pool(device.MaxPool, shape, 3, 2, 1) }},
				{"average pooling", func(r *rivals) []pair { return r.pool(device.AvgPool, shape, 3, 2, 1) }},
				{"average pooling without padding", func(r *rivals) []pair { return r.pool(device.AvgPoolExcluding, shape, 3, 2, 1) }},
				{"relu", func(r *rivals) []pair { return r.activation(nn.ReLU{}, cudnn.ReLU, shape) }},
				{"sigmoid", func(r *rivals) []pair { return r.activation(nn.Sigmoid{}, cudnn.Sigmoid, shape) }},
				{"tanh", func(r *rivals) []pair { return r.activation(nn.Tanh{}, cudnn.Tanh, shape) }},
				{"batch normalisation", func(r *rivals) []pair { return r.batchNorm(cudnn.Spatial, shape) }},
				{"persistent batch normalisation", func(r *rivals) []pair { return r.batchNorm(cudnn.SpatialPersistent, shape) }},
				{"bias", func(r *rivals) []pair { return r.bias(shape) }},
				{"softmax", func(r *rivals) []pair { return r.softmax(7, 2*c) }},
				{"cross-entropy", func(r *rivals) []pair { return r.lossGradient(7, 2*c) }},
			} {
				if (o.name == "softmax" || o.name == "cross-entropy") && dtype != device.Float32 {
					continue // our kernels support no other type
				}
				t.Run(fmt.Sprintf("%v/%d channels/%s", dtype, c, o.name), func(t *testing.T) {
					r := &rivals{t: t, d: d, dtype: dtype}
					for _, p := range o.pairs(r) {
						t.Run(p.name, func(t *testing.T) {
							r.t = t
							r.compare(p)
						})
					}
				})
			}
		}
	}
}

// Differences are detected.
func TestApart(t *testing.T) {
	x := []float64{1, -2}
	for _, c := range []struct {
		name   string
		theirs []float64
		bounds []float64
		want   int
	}{
		{"equal", x, nil, 0},
		{"nearly equal", []float64{1, -2 + 0x1p-20}, nil, 1},
		{"within the bound", []float64{1, -2.25}, []float64{0, 0.25}, 0},
		{"two float16 roundings", []float64{1 + 0x1p-10, -2}, []float64{0, 0}, 0},
		{"beyond both", []float64{1.002, -2.26}, []float64{0, 0.25}, 2},
		{"NaN", []float64{math.NaN(), -2}, []float64{1, 1}, 1},
	} {
		if got, first := apart(x, c.theirs, c.bounds, device.Float16, device.Float16); got != c.want {
			t.Errorf("%s: %d elements differ too much, want %d: %s", c.name, got, c.want, first)
		}
	}
}

// openDNN opens cuDNN, whose layers no plan calls.
func openDNN(t testing.TB, d *Device) {
	t.Helper()
	if err := d.enter("opening cuDNN"); err != nil {
		t.Fatal(err)
	}
	defer d.end()
	if err := d.openDNN(); err != nil {
		t.Fatal(err)
	}
}
