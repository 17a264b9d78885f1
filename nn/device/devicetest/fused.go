package devicetest

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"trainer/nn"
	"trainer/nn/device"
	"trainer/nn/device/reference"
)

// refReLU returns max(v, 0) of each element, and no larger magnitudes.
func refReLU(v reference.Sums) reference.Sums {
	y := reference.NewSums(len(v.Value), v.Ulps)
	y.Rounded = v.Rounded
	for i := range v.Value {
		y.Set(i, math.Max(v.Value[i], 0), v.Magnitude[i])
	}
	return y
}

// maskByReLU returns dy where pre > 0, and 0 elsewhere.
func maskByReLU(dy, pre []float64) []float64 {
	masked := make([]float64, len(dy))
	for i, d := range dy {
		if pre[i] > 0 {
			masked[i] = d
		}
	}
	return masked
}

// testFusedBatchNorm checks y = f(batchnorm(x)) and its gradients.
func testFusedBatchNorm(t *testing.T, dev device.Device, opt Options) {
	fused, ok := dev.(device.FusedBatchNorm)
	if !ok {
		t.Skip("the device has no FusedBatchNorm")
	}
	shapes := map[string][]int{"dense": {17, 33}, "image": {3, 5, 7, 24}, "one-channel": {300, 1}, "130-channels": {37, 130}}
	for _, f := range nn.Functions() {
		for name, shape := range shapes {
			t.Run(f.Name+"/"+name, func(t *testing.T) {
				d := newFusedBatchNormData(opt, f, name, shape, nil)
				bn, err := fused.NewBatchNormActivation(d.spec, f)
				if errors.Is(err, device.ErrNotSupported) {
					t.Skipf("the device has no fused batch normalisation with %v", f)
				}
				d.testFused(t, dev, opt, plan(bn, err)(t), f)
			})
		}
	}
}

// newFusedBatchNormData returns data in which nothing is so near the kink of ReLU
// that rounding could move it to the other side. x is the input, or nil for random numbers.
func newFusedBatchNormData(opt Options, f *device.Function, name string, shape []int, x []float32) batchNormData {
	const margin = 1e-5
	d := newBatchNormData(opt, f.Name+"/"+name, 0, shape, 0.25)
	if x != nil {
		d.x = x
	}
	d.spec.Rows = len(d.x) / d.spec.C
	for {
		nearest := math.Inf(1)
		pre := d.reference().Forward(reference.Widen(d.x), reference.Widen(d.gamma), reference.Widen(d.beta)).Value
		for i, v := range pre {
			if math.Abs(v) < margin {
				d.beta[i%d.spec.C] += 4 * margin
			}
			nearest = math.Min(nearest, math.Abs(v))
		}
		if nearest >= margin {
			return d
		}
	}
}

func (d batchNormData) testFused(t *testing.T, dev device.Device, opt Options, bn device.BatchNorm, f *device.Function) {
	s := device.ActivationSpec{Function: f, DType: opt.storage}
	ref := d.reference()
	pre := ref.Forward(reference.Widen(d.x), reference.Widen(d.gamma), reference.Widen(d.beta))
	r := newRig(t, dev, opt)
	x, dy, inPlace := r.input("x", d.x, d.shape...), r.input("dy", d.dy, d.shape...), r.inout("dy and dx", d.dy, d.shape...)
	gamma, beta := d.parameters(r)
	mean, variance := r.inoutFloat32("runningMean", d.runningMean, d.spec.C), r.inoutFloat32("runningVar", d.runningVar, d.spec.C)
	fixedMean, fixedVar := r.inputFloat32("fixed runningMean", d.runningMean, d.spec.C), r.inputFloat32("fixed runningVar", d.runningVar, d.spec.C)
	y, dx, inference := r.output("y", d.shape...), r.output("dx", d.shape...), r.output("inference y", d.shape...)
	dgamma, dbeta := r.outputFloat32("dgamma", d.spec.C), r.outputFloat32("dbeta", d.spec.C)
	r.run(func() {
		bn.Forward(y, x, gamma, beta, mean, variance)
		bn.Inference(inference, x, gamma, beta, fixedMean, fixedVar)
		bn.Backward(dx, dgamma, dbeta, dy, x, gamma, beta)
		bn.Backward(inPlace, nil, nil, inPlace, x, gamma, beta)
	})
	r.check(y, through(s, pre))
	r.check(inference, through(s, ref.Inference(reference.Widen(d.x), reference.Widen(d.gamma), reference.Widen(d.beta), reference.Widen(d.runningMean), reference.Widen(d.runningVar))))
	wantMean, wantVar := ref.Running(reference.Widen(d.x), reference.Widen(d.runningMean), reference.Widen(d.runningVar))
	r.check(mean, wantMean)
	r.check(variance, wantVar)
	wantX, wantGamma, wantBeta := d.fusedGradients(s, pre, d.dy)
	for got, want := range map[*device.Tensor]reference.Sums{dx: wantX, inPlace: wantX, dgamma: wantGamma, dbeta: wantBeta} {
		r.check(got, want)
	}
}

// fusedGradients returns the gradients for the gradient dy of f(pre). The error of the normalised value pre enters the
// slope multiplied by the second derivative.
func (d batchNormData) fusedGradients(s device.ActivationSpec, pre reference.Sums, dy []float32) (dx, dgamma, dbeta reference.Sums) {
	ref, x, gamma := d.reference(), reference.Widen(d.x), reference.Widen(d.gamma)
	dx, dgamma, dbeta = ref.Backward(reference.ActivationBackward(s, reference.Widen(dy), pre.Value).Value, x, gamma)
	extraX, extraGamma, extraBeta := ref.Backward(errorOfSlope(s, dy, pre), x, gamma)
	for _, w := range []struct{ want, extra reference.Sums }{{dx, extraX}, {dgamma, extraGamma}, {dbeta, extraBeta}} {
		for i := range w.want.Magnitude {
			w.want.Magnitude[i] += w.extra.Magnitude[i]
		}
	}
	return dx, dgamma, dbeta
}

// errorOfSlope returns |dy| times what the magnitude of the normalised value allows
// the slope to be off, in the units of the tolerance.
func errorOfSlope(s device.ActivationSpec, dy []float32, pre reference.Sums) []float64 {
	e := make([]float64, len(dy))
	_, second := LargestSlopes(s)
	// The tolerance multiplies e by the ulps of sums, which are fewer than those of a short function.
	function := 1.0
	if ulps := reference.ActivationUlps(s); ulps > reference.FunctionUlps {
		function = max(1, ulps/pre.Ulps)
	}
	for i, d := range dy {
		e[i] = math.Abs(float64(d)) * (function*reference.SlopeMagnitude(s, pre.Value[i]) + second*pre.Magnitude[i])
	}
	return e
}

// through returns f(v): v's error is multiplied by the slope.
func through(s device.ActivationSpec, v reference.Sums) reference.Sums {
	y := reference.ActivationForward(s, v.Value)
	own := y.Ulps
	y.Ulps = max(reference.FunctionUlps, v.Ulps)
	slope, _ := LargestSlopes(s)
	for i := range y.Magnitude {
		y.Magnitude[i] = y.Magnitude[i]*max(1, own/y.Ulps) + slope*v.Magnitude[i]
	}
	return y
}

// testFusedPool2D checks y = max(pool(x), 0) and its gradient.
func testFusedPool2D(t *testing.T, dev device.Device, opt Options) {
	fused, ok := dev.(device.FusedPool2D)
	if !ok {
		t.Skip("the device has no FusedPool2D")
	}
	for _, m := range poolModes() {
		for _, c := range poolCases() {
			s, n := c.spec, c.n
			s.Mode, s.DType = m.mode, opt.storage
			t.Run(m.name+"/"+c.name, func(t *testing.T) {
				pool, err := fused.NewPool2DReLU(s)
				if errors.Is(err, device.ErrNotSupported) {
					t.Skipf("the device has no fused pooling of mode %s", m.name)
				}
				runFusedPool(t, dev, opt, plan(pool, err)(t), s, n)
			})
		}
	}
}

func runFusedPool(t *testing.T, dev device.Device, opt Options, pool device.Pool2D, s device.Pool2DSpec, n int) {
	src := newSource("fused-pool2d")
	// Moved down so that whole windows are negative.
	xData := opt.round(src.between(n*s.H*s.W*s.C, -1.5, 0.75))
	dyData := opt.round(src.values(n * s.OutH() * s.OutW() * s.C))
	pre := reference.Pool2DForward(s, n, reference.Widen(xData))
	for i, v := range pre.Value { // Where rounding decides whether a mean is positive, its gradient must be 0 either way.
		if s.Mode != device.MaxPool && math.Abs(v) <= pre.Ulps*reference.Ulp*pre.Magnitude[i] {
			dyData[i] = 0
		}
	}
	r := newRig(t, dev, opt)
	x, dy := r.input("x", xData, n, s.H, s.W, s.C), r.input("dy", dyData, n, s.OutH(), s.OutW(), s.C)
	y, dx := r.output("y", n, s.OutH(), s.OutW(), s.C), r.output("dx", n, s.H, s.W, s.C)
	r.run(func() {
		pool.Forward(y, x)
		pool.Backward(dx, dy, y, x)
	})
	r.check(y, refReLU(pre))
	r.check(dx, reference.Pool2DBackward(s, n, maskByReLU(reference.Widen(dyData), pre.Value), reference.Widen(xData)))
}

// fusedEpilogue returns the device as a device.FusedEpilogue, or skips the test.
func fusedEpilogue(t *testing.T, dev device.Device) device.FusedEpilogue {
	t.Helper()
	fused, ok := dev.(device.FusedEpilogue)
	if !ok {
		t.Skip("the device has no FusedEpilogue")
	}
	return fused
}

// testFusedConv2D checks convolutions with ReLU, and that their gradients equal the plain convolution's.
func testFusedConv2D(t *testing.T, dev device.Device, opt Options) {
	fused := fusedEpilogue(t, dev)
	for _, c := range opt.convCases() {
		t.Run(c.Name, func(t *testing.T) {
			conv := plan(fused.NewConv2DReLU(c.Spec))(t)
			d := newConvData(opt, c)
			r, y := d.forwardOutput(t, dev, opt, conv)
			r.check(y, refReLU(d.wantForward().OverTiles(opt.Tile, d.yShape())).Widened(opt.productFactor()))
			// Their gradients are computed like the plain convolution's, so one kernel
			// shape of each kind is enough.
			switch c.Name {
			case "1x1", "3x3-stride2", "5x5-one-channel", "depthwise", "groups2":
				d.backwardData(t, dev, opt, conv)
				d.backwardFilter(t, dev, opt, conv)
			}
		})
	}
}

// testFusedMatMul checks matrix products with ReLU.
func testFusedMatMul(t *testing.T, dev device.Device, opt Options) {
	fused := fusedEpilogue(t, dev)
	for _, c := range matMulCases() {
		s := device.MatMulSpec{M: c.m + c.moreM, N: c.n, K: c.k + c.moreK, Bias: true, DType: opt.storage}
		for _, out := range opt.productTypes() {
			s.Out = out
			t.Run(matMulName(s, c), func(t *testing.T) {
				d := newMatMulData(opt, s, c)
				r, got := d.output(t, dev, opt, plan(fused.NewMatMulReLU(s))(t))
				r.check(got, refReLU(d.want()).Widened(opt.productFactor()))
			})
		}
	}
}

// testScaledMatMul checks matrix products that are multiplied by a number.
func testScaledMatMul(t *testing.T, dev device.Device, opt Options) {
	fused, ok := dev.(device.FusedScale)
	if !ok {
		t.Skip("the device has no FusedScale")
	}
	for _, c := range matMulCases() {
		for _, trans := range []bool{false, true} {
			s := device.MatMulSpec{M: c.m + c.moreM, N: c.n, K: c.k + c.moreK, TransA: trans, TransB: !trans, DType: opt.storage}
			for _, out := range opt.productTypes() {
				s.Out = out
				t.Run(matMulName(s, c), func(t *testing.T) {
					const alpha = 1.0 / 9
					d := newMatMulData(opt, s, c)
					r, got := d.output(t, dev, opt, plan(fused.NewMatMulScaled(s, alpha))(t))
					r.check(got, d.want().Times(float64(float32(alpha))).Widened(opt.productFactor()))
				})
			}
		}
	}
}

// testFusedConvPool checks y = maxpool(conv2d(x)), with and without ReLU, and its gradients.
func testFusedConvPool(t *testing.T, dev device.Device, opt Options) {
	fused, ok := dev.(device.FusedConvPool)
	if !ok {
		t.Skip("the device has no FusedConvPool")
	}
	for _, c := range slices.Concat(opt.convCases(), opt.tiledConvCases(), opt.smallConvCases()) {
		pool := device.Pool2DSpec{
			DType: opt.storage, Mode: device.MaxPool, N: c.Spec.N, H: c.Spec.OutH(), W: c.Spec.OutW(), C: c.Spec.OutC, KH: 2, KW: 2, StrideH: 2, StrideW: 2,
		}
		switch c.Name { // one of each kind: the references take their time
		case "1x1", "5x5-one-channel", "2x2-whitening", "3x3-stride2", "groups2", "one-column", "3x3-3-channels-smaller-batch",
			"3x3-24-channels", "3x3-many-tiles-smaller-batch", "3x3-many-tiles-70-channels", "5x5-many-tiles", tiledVector, tiledScalar:
		default:
			if !strings.HasPrefix(c.Name, "small-") {
				continue
			}
		}
		if pool.H < 2 || pool.W < 2 {
			continue
		}
		for name, relu := range map[string]bool{"max": false, "max-relu": true} {
			t.Run(c.Name+"/"+name, func(t *testing.T) {
				conv, err := fused.NewConv2DMaxPool(c.Spec, pool, relu)
				if errors.Is(err, device.ErrNotSupported) {
					t.Skip("the device has no such convolution with pooling")
				}
				runFusedConvPool(t, dev, opt, plan(conv, err)(t), exactConvData(opt, c), pool, relu)
			})
		}
	}
}

func runFusedConvPool(t *testing.T, dev device.Device, opt Options, conv device.Conv2D, d convData, pool device.Pool2DSpec, relu bool) {
	pre := d.wantForward().OverTiles(opt.Tile, d.yShape()).Widened(opt.productFactor())
	want := reference.Pool2DForward(pool, d.N, pre.Value)
	want.Ulps, want.Magnitude = pre.Ulps, reference.Pool2DForward(pool, d.N, pre.Magnitude).Value
	dyData := opt.round(newSource("fused-conv-pool").values(d.N * pool.OutH() * pool.OutW() * pool.C))
	if opt.dtype() == device.Float32 { // otherwise sums are exact, see exactConvData
		clearUncertain(t, dyData, pre, want, pool, d.N, relu)
	}
	masked := reference.Widen(dyData)
	if relu {
		masked, want = maskByReLU(masked, want.Value), refReLU(want)
	}
	gradient := reference.Pool2DBackward(pool, d.N, masked, pre.Value).Value

	r := newRig(t, dev, opt)
	x, w := r.input("x", d.x, d.xShape()...), r.input("w", d.w, d.wShape()...)
	pooled := []int{d.N, pool.OutH(), pool.OutW(), pool.C}
	y, dy := r.output("y", pooled...), r.input("dy", dyData, pooled...)
	dx, dw := r.output("dx", d.xShape()...), r.output("dw", d.wShape()...)
	var bias, dbias *device.Tensor
	if d.Spec.Bias {
		bias, dbias = r.inputFloat32("bias", d.bias, d.Spec.OutC), r.outputFloat32("dbias", d.Spec.OutC)
	}
	r.run(func() {
		conv.Forward(y, x, w, bias)
		conv.BackwardFilter(dw, dbias, dy, x)
		conv.BackwardData(dx, dy, w)
	})
	r.check(y, want)
	wantW, wantBias := reference.Conv2DBackwardFilter(d.Spec, d.N, gradient, reference.Widen(d.x))
	r.check(dw, wantW.Widened(opt.productFactor()))
	if dbias != nil {
		r.check(dbias, wantBias)
	}
	wantX := reference.Conv2DBackwardData(d.Spec, d.N, gradient, reference.Widen(d.w))
	r.check(dx, wantX.OverTiles(opt.Tile, d.xShape()).Widened(opt.productFactor()))
}

// The names of tiledConvCases.
const tiledVector, tiledScalar = "tiled-16-channels", "tiled-6-channels"

// tiledConvCases are convolutions in every type whose output windows of 2x2 cover, with channels by the vector and one by
// one.
func (o Options) tiledConvCases() []ConvCase {
	s := device.Conv2DSpec{N: 4, H: 9, W: 7, InC: 3, KH: 2, KW: 2, StrideH: 1, StrideW: 1, DilationH: 1, DilationW: 1, Groups: 1, Bias: true, DType: o.storage}
	vector, scalar := s, s
	vector.OutC, scalar.OutC = 16, 6
	return []ConvCase{{Name: tiledVector, Spec: vector, N: 3}, {Name: tiledScalar, Spec: scalar, N: 4}}
}

// exactConvData returns a case's operands. In 16 bits, neighbours may round to the same number, and then the place of the
// maximum is ambiguous; so the operands are small whole numbers, whose sums are exact.
func exactConvData(opt Options, c ConvCase) convData {
	d := newConvData(opt, c)
	if opt.dtype() == device.Float32 {
		return d
	}
	d.roundToWhole()
	return d
}

// clearUncertain sets dy to zero for the windows in which rounding decides where the maximum
// is or, with ReLU, whether the maximum is positive: the gradient is then the same either
// way. It fails the test if there are many such windows.
func clearUncertain(t *testing.T, dy []float32, pre, pooled reference.Sums, pool device.Pool2DSpec, n int, relu bool) {
	cleared := 0
	for at := range dy {
		c, j, i, image := at%pool.C, at/pool.C%pool.OutW(), at/pool.C/pool.OutW()%pool.OutH(), at/pool.C/pool.OutW()/pool.OutH()
		margin := 4 * pre.Ulps * reference.Ulp * pooled.Magnitude[at]
		near := 0
		for a := range pool.KH {
			for b := range pool.KW {
				v := pre.Value[((image*pool.H+i*pool.StrideH+a)*pool.W+j*pool.StrideW+b)*pool.C+c]
				if pooled.Value[at]-v <= margin {
					near++
				}
			}
		}
		if near > 1 || relu && math.Abs(pooled.Value[at]) <= margin {
			dy[at] = 0
			cleared++
		}
	}
	if cleared > len(dy)/20+1 {
		t.Fatalf("%d of %d windows have no certain maximum", cleared, len(dy))
	}
}

func fusedBatchNormOperation() Operation {
	return Operation{
		Name: "fused-batchnorm", Constructor: "NewBatchNormActivation", Group: Elementwise, Types: allFloats, Test: testFusedBatchNorm,
		Calls: func(size Size) []Call {
			var calls []Call
			for _, act := range []nn.ActivationLayer{nn.ReLU{}, nn.GELU{}} {
				f := act.Activation().Function
				construct := func(dev device.Device, s device.BatchNormSpec) (device.BatchNorm, error) {
					fused, ok := dev.(device.FusedBatchNorm)
					if !ok {
						return nil, device.ErrNotSupported
					}
					return fused.NewBatchNormActivation(s, f)
				}
				calls = append(calls, batchNormCalls(size, "batch-norm-"+f.Name, construct)...)
			}
			return calls
		},
	}
}

func fusedPool2DOperation() Operation {
	construct := func(dev device.Device, s device.Pool2DSpec) (device.Pool2D, error) {
		fused, ok := dev.(device.FusedPool2D)
		if !ok {
			return nil, device.ErrNotSupported
		}
		return fused.NewPool2DReLU(s)
	}
	return Operation{
		Name: "fused-pool2d", Constructor: "NewPool2DReLU", Group: Elementwise, Types: allFloats, Test: testFusedPool2D,
		Calls: func(size Size) []Call { return poolCalls(size, "-relu", construct) },
	}
}

// fusedConvs returns the convolutions of the fused forms: for benchmarks only one, because the passes share the plain
// convolution's code.
func fusedConvs(size Size) []ConvCase {
	return slices.DeleteFunc(sizedConvs(size), func(c ConvCase) bool {
		return size != Small && !(c.Spec.H == 15 && c.Spec.OutC == 64)
	})
}

func fusedConv2DOperation() Operation {
	construct := func(dev device.Device, s device.Conv2DSpec) (device.Conv2D, error) {
		fused, ok := dev.(device.FusedEpilogue)
		if !ok {
			return nil, device.ErrNotSupported
		}
		return fused.NewConv2DReLU(s)
	}
	return Operation{
		Name: "fused-conv2d", Constructor: "NewConv2DReLU", Group: Convolutions, Types: allFloats, Test: testFusedConv2D,
		Calls: func(size Size) []Call {
			return suffixed(convCalls(fusedConvs(size), construct, convData.yShape), "-relu")
		},
	}
}

// fusedProducts returns the products of the fused form: for benchmarks mnist's first dense layer.
func fusedProducts(size Size) []benchProduct {
	return slices.DeleteFunc(sizedProducts(size), func(p benchProduct) bool {
		return size != Small && (p.spec.K != 800 || p.spec.TransA || p.spec.TransB)
	})
}

// scaledProducts returns them without a bias.
func scaledProducts(size Size) []benchProduct {
	products := fusedProducts(size)
	for i := range products {
		products[i].spec.Bias = false
	}
	return products
}

// suffixed appends a suffix to the names of calls.
func suffixed(calls []Call, suffix string) []Call {
	for i := range calls {
		calls[i].Name += suffix
	}
	return calls
}

func fusedMatMulOperation() Operation {
	construct := func(dev device.Device, s device.MatMulSpec) (device.MatMul, error) {
		fused, ok := dev.(device.FusedEpilogue)
		if !ok {
			return nil, device.ErrNotSupported
		}
		return fused.NewMatMulReLU(s)
	}
	return Operation{
		Name: "fused-matmul", Constructor: "NewMatMulReLU", Group: Products, Types: allFloats, Test: testFusedMatMul,
		Calls: func(size Size) []Call { return suffixed(matMulCalls(fusedProducts(size), construct), "-relu") },
	}
}

func scaledMatMulOperation() Operation {
	construct := func(dev device.Device, s device.MatMulSpec) (device.MatMul, error) {
		fused, ok := dev.(device.FusedScale)
		if !ok {
			return nil, device.ErrNotSupported
		}
		return fused.NewMatMulScaled(s, 1.0/9)
	}
	return Operation{
		Name: "fused-scaled-matmul", Constructor: "NewMatMulScaled", Group: Products, Types: allFloats, Test: testScaledMatMul,
		Calls: func(size Size) []Call { return suffixed(matMulCalls(scaledProducts(size), construct), "-scaled") },
	}
}

func fusedConvPoolOperation() Operation {
	return Operation{
		Name: "fused-conv-pool", Constructor: "NewConv2DMaxPool", Group: Convolutions, Types: allFloats, Test: testFusedConvPool,
		Calls: func(size Size) []Call {
			cases := slices.DeleteFunc(fusedConvs(size), func(c ConvCase) bool { return min(c.Spec.OutH(), c.Spec.OutW()) < 2 })
			return suffixed(convCalls(cases, newConvPool, pooledShape), "-pool")
		},
	}
}

// poolAfter returns max pooling by 2x2 of a convolution's output.
func poolAfter(s device.Conv2DSpec) device.Pool2DSpec {
	return device.Pool2DSpec{
		Mode: device.MaxPool, N: s.N, H: s.OutH(), W: s.OutW(), C: s.OutC, KH: 2, KW: 2, StrideH: 2, StrideW: 2, DType: s.DType,
	}
}

func newConvPool(dev device.Device, s device.Conv2DSpec) (device.Conv2D, error) {
	fused, ok := dev.(device.FusedConvPool)
	if !ok {
		return nil, device.ErrNotSupported
	}
	return fused.NewConv2DMaxPool(s, poolAfter(s), true)
}

func pooledShape(d convData) []int {
	pool := poolAfter(d.Spec)
	return []int{d.N, pool.OutH(), pool.OutW(), pool.C}
}
