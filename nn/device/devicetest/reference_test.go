package devicetest

import (
	"fmt"
	"math"
	"testing"

	"trainer/nn/device"
)

// The references are checked by themselves: Forward against small results computed
// by hand, each gradient against the difference quotient of its Forward.

// wantValues compares values exactly, up to 1e-12.
func wantValues(t *testing.T, what string, got []float64, want ...float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	for i, w := range want {
		if math.Abs(got[i]-w) > 1e-12 {
			t.Errorf("%s[%d] is %v, want %v", what, i, got[i], w)
		}
	}
}

// wantGradient checks that gradient holds the derivatives of f at x.
func wantGradient(t *testing.T, what string, x, gradient []float64, f func(x []float64) float64) {
	t.Helper()
	const h = 1e-5
	for i := range x {
		old := x[i]
		x[i] = old + h
		right := f(x)
		x[i] = old - h
		left := f(x)
		x[i] = old
		if want := (right - left) / (2 * h); math.Abs(gradient[i]-want) > 1e-7*(1+math.Abs(want)) {
			t.Errorf("%s: the gradient at %d is %v, the difference quotient %v", what, i, gradient[i], want)
		}
	}
}

func dot(a, b []float64) float64 {
	sum := 0.0
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}

func TestReferenceConv2D(t *testing.T) {
	// A 3x3 image of 1..9 and the kernel (1 2; 3 4): by hand 1+4+12+20 = 37 and so on.
	s := device.Conv2DSpec{N: 1, H: 3, W: 3, InC: 1, OutC: 1, KH: 2, KW: 2, StrideH: 1, StrideW: 1, DilationH: 1, DilationW: 1, Groups: 1}
	x, w := []float64{1, 2, 3, 4, 5, 6, 7, 8, 9}, []float64{1, 2, 3, 4}
	wantValues(t, "y", refConv2DForward(s, 1, x, w, nil).value, 37, 47, 67, 77)
	s.DilationH, s.DilationW = 2, 2
	wantValues(t, "y with dilation", refConv2DForward(s, 1, x, w, []float64{100}).value, 100+1+6+21+36)
	s.DilationH, s.DilationW, s.PadH, s.PadW, s.StrideH, s.StrideW = 1, 1, 1, 1, 2, 2
	wantValues(t, "y with padding", refConv2DForward(s, 1, x, w, nil).value, 4, 3*2+4*3, 2*4+4*7, 1*5+2*6+3*8+4*9)

	g := device.Conv2DSpec{N: 1, H: 1, W: 1, InC: 4, OutC: 2, KH: 1, KW: 1, StrideH: 1, StrideW: 1, DilationH: 1, DilationW: 1, Groups: 2}
	wantValues(t, "y with groups", refConv2DForward(g, 1, []float64{1, 2, 3, 4}, []float64{1, 10, 1, 10}, nil).value, 21, 43)
}

func TestReferenceConv2DGradients(t *testing.T) {
	for _, c := range ConvCases() {
		if c.Spec.FLOPs(c.N) > 20000 {
			continue
		}
		d := newConvData(Options{}, c)
		x, w, dy, bias := widen(d.x), widen(d.w), widen(d.dy), widen(d.bias)
		if !c.Spec.Bias {
			bias = nil
		}
		dw, dbias := refConv2DBackwardFilter(c.Spec, c.N, dy, x)
		dx := refConv2DBackwardData(c.Spec, c.N, dy, w)
		loss := func([]float64) float64 { return dot(dy, refConv2DForward(c.Spec, c.N, x, w, bias).value) }
		wantGradient(t, c.Name+" dx", x, dx.value, loss)
		wantGradient(t, c.Name+" dw", w, dw.value, loss)
		wantGradient(t, c.Name+" dbias", bias, dbias.value, loss)
	}
}

func TestReferencePool2D(t *testing.T) {
	x := []float64{1, 2, 3, 4, 5, 6, 7, 8, 9}
	s := device.Pool2DSpec{Mode: device.MaxPool, N: 1, H: 3, W: 3, C: 1, KH: 2, KW: 2, StrideH: 2, StrideW: 2, PadH: 1, PadW: 1}
	wantValues(t, "max", refPool2DForward(s, 1, x).value, 1, 3, 7, 9)
	s.Mode = device.AvgPool
	wantValues(t, "avg", refPool2DForward(s, 1, x).value, 0.25, 1.25, 2.75, 7)
	s.Mode = device.AvgPoolExcluding
	wantValues(t, "avg excluding", refPool2DForward(s, 1, x).value, 1, 2.5, 5.5, 7)

	s = device.Pool2DSpec{Mode: device.MaxPool, N: 1, H: 2, W: 3, C: 1, KH: 2, KW: 2, StrideH: 1, StrideW: 1}
	nan := math.NaN()
	wantValues(t, "first of equals", refPool2DBackward(s, 1, []float64{1, 10}, []float64{0, 5, 1, 5, 2, 0}).value, 0, 11, 0, 0, 0, 0)
	wantValues(t, "first NaN", refPool2DBackward(s, 1, []float64{1, 10}, []float64{9, 5, 1, nan, nan, 99}).value, 0, 0, 0, 1, 10, 0)

	for mode, m := range poolModes() {
		for _, c := range poolCases() {
			s := c.spec
			s.Mode = m
			if c.n*s.H*s.W*s.C > 1000 {
				continue
			}
			src := newSource("reference/" + c.name)
			x, dy := widen(src.values(c.n*s.H*s.W*s.C)), widen(src.values(c.n*s.OutH()*s.OutW()*s.C))
			dx := refPool2DBackward(s, c.n, dy, x)
			wantGradient(t, mode+" "+c.name, x, dx.value, func(x []float64) float64 { return dot(dy, refPool2DForward(s, c.n, x).value) })
		}
	}
}

func TestReferenceMatMul(t *testing.T) {
	a, at := []float64{1, 2, 3, 4, 5, 6}, []float64{1, 4, 2, 5, 3, 6}
	b, bt := []float64{7, 8, 9, 10, 11, 12}, []float64{7, 9, 11, 8, 10, 12}
	wantValues(t, "ab", refMatMul(2, 2, 3, false, false, a, b, nil).value, 58, 64, 139, 154)
	wantValues(t, "a'b", refMatMul(2, 2, 3, true, false, at, b, nil).value, 58, 64, 139, 154)
	wantValues(t, "ab'", refMatMul(2, 2, 3, false, true, a, bt, nil).value, 58, 64, 139, 154)
	wantValues(t, "a'b'+bias", refMatMul(2, 2, 3, true, true, at, bt, []float64{100, 200}).value, 158, 264, 239, 354)
}

func TestReferenceBatchNorm(t *testing.T) {
	ref := batchNorm{rows: 2, c: 2, epsilon: 0, momentum: 0.25}
	x := []float64{1, 10, 3, 30}
	wantValues(t, "y", ref.forward(x, []float64{1, 2}, []float64{0, 5}).value, -1, 3, 1, 7)
	mean, variance := ref.running(x, []float64{4, 4}, []float64{8, 8})
	wantValues(t, "running mean", mean.value, 3+0.5, 3+5)
	wantValues(t, "running variance", variance.value, 6+0.5, 6+50)
	_, one := batchNorm{rows: 1, c: 1, momentum: 0.5}.running([]float64{3}, []float64{0}, []float64{8})
	wantValues(t, "running variance of one row", one.value, 4)

	src := newSource("reference/batchnorm")
	grad := batchNorm{rows: 7, c: 3, epsilon: 1e-2}
	x, dy := widen(src.values(21)), widen(src.values(21))
	gamma, beta := widen(src.values(3)), widen(src.values(3))
	dx, dgamma, dbeta := grad.backward(dy, x, gamma)
	loss := func([]float64) float64 { return dot(dy, grad.forward(x, gamma, beta).value) }
	wantGradient(t, "dx", x, dx.value, loss)
	wantGradient(t, "dgamma", gamma, dgamma.value, loss)
	wantGradient(t, "dbeta", beta, dbeta.value, loss)
}

// Magnitudes follow from the function alone. These are of functions whose terms are known.
func TestReferenceActivations(t *testing.T) {
	relu := device.ActivationSpec{Function: reluFunction()}
	for _, x := range []float64{-2, -1e-3, 0, 1e-3, 2} {
		wantValues(t, fmt.Sprintf("magnitudes of relu at %v", x),
			[]float64{ValueMagnitude(relu, x), SlopeMagnitude(relu, x)}, relu.Function.Value(x, 0), relu.Function.Slope(x, 0))
	}
	first, second := LargestSlopes(relu)
	wantValues(t, "largest slopes of relu", []float64{first, second}, 1, 0)
	// e^x at x: |x e^x| where |x| > 1; its slope is e^x (1 + |x| + x^2/(1+x^2)/2).
	exp := device.ActivationSpec{Function: &device.Function{
		Name:  "exp",
		Value: func(x, _ float64) float64 { return math.Exp(x) },
		Slope: func(x, _ float64) float64 { return math.Exp(x) },
	}}
	for _, x := range []float64{-3, 0.5, 2} {
		e := math.Exp(x)
		got := []float64{ValueMagnitude(exp, x) / e, SlopeMagnitude(exp, x) / e}
		for i, want := range []float64{math.Max(1, math.Abs(x)), 1 + math.Abs(x) + x*x/(1+x*x)/2} {
			if math.Abs(got[i]-want) > 1e-5*want {
				t.Errorf("magnitudes of exp at %v are %v times it, want %v", x, got[i], want)
			}
		}
	}
}

func TestReferenceLoss(t *testing.T) {
	s := device.LossSpec{Kind: device.SoftmaxCrossEntropy, N: 1, Classes: 2, Smoothing: 0.25}
	// softmax(log 3, 0) = (3/4, 1/4), q = (7/8, 1/8).
	stats, gradient := refLoss(s, []float64{math.Log(3), 0}, []int32{0})
	wantValues(t, "cross-entropy", stats.value, -0.875*math.Log(0.75)-0.125*math.Log(0.25), 1, 1, 0)
	wantValues(t, "its gradient", gradient.value, 0.75-0.875, 0.25-0.125)
	stats, _ = refLoss(device.LossSpec{Kind: device.MeanSquaredError, N: 2, Classes: 2}, []float64{3, 1, 1, 1}, []int32{1, 1})
	wantValues(t, "mean squared error", stats.value, (9+0)/2.0+(1+0)/2.0, 0, 2, 0)

	for _, c := range lossCases() {
		if len(c.outputs) > 200 || c.name == "label-out-of-range" || c.name == "cross-entropy-right-and-wrong-by-1e4" {
			continue
		}
		z := widen(c.outputs)
		_, gradient := refLoss(c.spec, z, c.labels)
		wantGradient(t, c.name, z, gradient.value, func(z []float64) float64 {
			stats, _ := refLoss(c.spec, z, c.labels)
			if c.spec.Sum {
				return stats.value[device.StatLoss]
			}
			return stats.value[device.StatLoss] / float64(len(c.labels))
		})
	}
}

func TestReferenceSoftmax(t *testing.T) {
	wantValues(t, "softmax", refSoftmax(2, []float64{math.Log(3), 0, 1e4, -1e4}).value, 0.75, 0.25, 1, 0)
}

func TestReferenceReflect(t *testing.T) {
	for i, want := range map[int]int{-3: 3, -1: 1, 0: 0, 3: 3, 4: 2, 6: 0} {
		if got := reflect(i, 4); got != want {
			t.Errorf("reflect(%d, 4) is %d, want %d", i, got, want)
		}
	}
}

// TestReferenceOptimizer follows two steps by hand.
func TestReferenceOptimizer(t *testing.T) {
	two := func(s device.OptimizerSpec, h [device.HyperLen]float32) float64 {
		p := parameter{w: 1}
		p.step(s, widen(h[:]), 2)
		p.step(s, widen(h[:]), 4)
		return p.w
	}
	for _, c := range []struct {
		name string
		spec device.OptimizerSpec
		h    [device.HyperLen]float32
		want float64
	}{
		// 1 - 0.5*2 - 0.5*4.
		{"sgd", device.OptimizerSpec{Kind: device.SGD}, [8]float32{0.5, 0, 0, 0, 1, 1, 1}, -2},
		// v = 2, then 0.5*2 + 4 = 5: 1 - 0.5*2 - 0.5*5.
		{"momentum", device.OptimizerSpec{Kind: device.SGD}, [8]float32{0.5, 0, 0.5, 0, 1, 1, 1}, -2.5},
		// 2 + 0.5*2 = 3, then 4 + 0.5*5 = 6.5.
		{"nesterov", device.OptimizerSpec{Kind: device.SGD, Nesterov: true}, [8]float32{0.5, 0, 0.5, 0, 1, 1, 1}, 1 - 1.5 - 3.25},
		// g = 2 + 1*1 = 3, w = -0.5; g = 4 - 0.5 = 3.5.
		{"decay", device.OptimizerSpec{Kind: device.SGD}, [8]float32{0.5, 1, 0, 0, 1, 1, 1}, -0.5 - 1.75},
		// w = 1 - 0.25*1 - 0.5*1 = 0.25 (gradients halved); then 0.25 - 0.0625 - 1.
		{"decoupled", device.OptimizerSpec{Kind: device.SGD, Decoupled: true}, [8]float32{0.5, 0.5, 0, 0, 1, 1, 0.5}, 0.25 - 0.0625 - 1},
		// m = 1, v = 2, 1/sqrt 2; m = 2.5, v = 1 + 8 = 9, 2.5/3.
		{"adam", device.OptimizerSpec{Kind: device.Adam}, [8]float32{1, 0, 0.5, 0.5, 1, 1, 1}, 1 - 1/math.Sqrt(2) - 2.5/3},
		// v = 2 and 9: 2/sqrt 2, then 4/3.
		{"rmsprop", device.OptimizerSpec{Kind: device.RMSProp}, [8]float32{1, 0, 0, 0.5, 1, 1, 1}, 1 - 2/math.Sqrt(2) - 4.0/3},
		{"rmsprop with momentum", device.OptimizerSpec{Kind: device.RMSProp}, [8]float32{1, 0, 0.5, 0.5, 1, 1, 1}, 1 - 2/math.Sqrt(2) - (1/math.Sqrt(2) + 4.0/3)},
	} {
		wantValues(t, c.name, []float64{two(c.spec, c.h)}, c.want)
	}
}

func TestReferenceFormats(t *testing.T) {
	f16, bf16 := formatOf(device.Float16), formatOf(device.BFloat16)
	for _, c := range []struct {
		format  floatFormat
		x, want float64
	}{
		{f16, 65504, 65504}, {f16, 65519.99, 65504}, {f16, 65520, math.Inf(1)}, {f16, -1e30, math.Inf(-1)},
		{f16, 2049, 2048}, {f16, 2051, 2052}, {f16, 0x1p-25, 0}, {f16, 0x1.8p-25, 0x1p-24}, {f16, 0x1.8p-24, 0x1p-23},
		{bf16, 257, 256}, {bf16, 259, 260}, {bf16, 0x1p-134, 0}, {bf16, 0x1.8p-134, 0x1p-133}, {bf16, math.MaxFloat32, math.Inf(1)},
	} {
		if got := c.format.round(c.x); got != c.want {
			t.Errorf("%v rounded is %v, want %v", c.x, got, c.want)
		}
	}
	for _, format := range []floatFormat{f16, bf16} {
		for b := uint32(0); b < 1<<16; b++ {
			if x := format.decode(b); !math.IsNaN(x) && format.encode(x) != b {
				t.Fatalf("%v is %#x, and not %#x, in %+v", x, b, format.encode(x), format)
			}
		}
		if x := format.decode(format.encode(math.NaN())); !math.IsNaN(x) {
			t.Errorf("NaN becomes %v in %+v", x, format)
		}
	}
	if f16.largest() != 65504 || bf16.largest() != 0x1.FEp127 {
		t.Errorf("the largest numbers are %v and %v", f16.largest(), bf16.largest())
	}
	for x, want := range map[float64]float64{0: 0x1p-24, 0x1p-24: 0x1p-24, 0x1p-14: 0x1p-24, 1: 0x1p-10, 1.99: 0x1p-10, -2: 0x1p-9, 65504: 32} {
		if got := f16.spacing(x); got != want {
			t.Errorf("neighbours of %v in float16 are %v apart, want %v", x, got, want)
		}
	}
	f32 := formatOf(device.Float32)
	for b, want := range map[uint32]float64{0x3F800000: 1, 0xC0490FDB: -float64(float32(math.Pi)), 1: 0x1p-149, 0x7F7FFFFF: math.MaxFloat32, 0x7F800000: math.Inf(1)} {
		if got := f32.decode(b); got != want {
			t.Errorf("float32 %#x decodes to %v, want %v", b, got, want)
		}
	}
}

// TestReferenceScaling follows the rule by hand.
func TestReferenceScaling(t *testing.T) {
	type state = [device.ScalingLen]float64
	for _, c := range []struct {
		before   state
		bad      bool
		interval int
		want     state
	}{
		{state{8, 0, 0, 0}, false, 3, state{8, 0.125, 0, 1}},
		{state{8, 0.5, 1, 2}, false, 3, state{16, 0.125, 0, 0}},
		{state{8, 0.125, 0, 2}, true, 3, state{4, 0.125, 1, 0}},
		{state{1, 1, 0, 0}, true, 3, state{1, 1, 1, 0}},
		{state{1.5, 0, 0, 0}, true, 3, state{1, 1 / 1.5, 1, 0}},
		{state{1 << 24, 0, 0, 0}, false, 1, state{1 << 24, 0x1p-24, 0, 0}},
	} {
		if got := refScaling(c.before, c.bad, c.interval); got != c.want {
			t.Errorf("%v, bad %v, becomes %v, want %v", c.before, c.bad, got, c.want)
		}
	}
}
