package devicetest

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"trainer/nn/device"
	"trainer/nn/device/reference"
)

// These tests check the references themselves: Forward against small results computed by
// hand, and each gradient against difference quotients of its Forward.

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
	wantValues(t, "y", reference.Conv2DForward(s, 1, x, w, nil).Value, 37, 47, 67, 77)
	s.DilationH, s.DilationW = 2, 2
	wantValues(t, "y with dilation", reference.Conv2DForward(s, 1, x, w, []float64{100}).Value, 100+1+6+21+36)
	s.DilationH, s.DilationW, s.PadH, s.PadW, s.StrideH, s.StrideW = 1, 1, 1, 1, 2, 2
	wantValues(t, "y with padding", reference.Conv2DForward(s, 1, x, w, nil).Value, 4, 3*2+4*3, 2*4+4*7, 1*5+2*6+3*8+4*9)

	g := device.Conv2DSpec{N: 1, H: 1, W: 1, InC: 4, OutC: 2, KH: 1, KW: 1, StrideH: 1, StrideW: 1, DilationH: 1, DilationW: 1, Groups: 2}
	wantValues(t, "y with groups", reference.Conv2DForward(g, 1, []float64{1, 2, 3, 4}, []float64{1, 10, 1, 10}, nil).Value, 21, 43)
}

func TestReferenceConv2DGradients(t *testing.T) {
	for _, c := range ConvCases() {
		if c.Spec.FLOPs(c.N) > 20000 {
			continue
		}
		d := newConvData(Options{}, c)
		x, w, dy, bias := reference.Widen(d.x), reference.Widen(d.w), reference.Widen(d.dy), reference.Widen(d.bias)
		if !c.Spec.Bias {
			bias = nil
		}
		dw, dbias := reference.Conv2DBackwardFilter(c.Spec, c.N, dy, x)
		dx := reference.Conv2DBackwardData(c.Spec, c.N, dy, w)
		loss := func([]float64) float64 { return dot(dy, reference.Conv2DForward(c.Spec, c.N, x, w, bias).Value) }
		wantGradient(t, c.Name+" dx", x, dx.Value, loss)
		wantGradient(t, c.Name+" dw", w, dw.Value, loss)
		wantGradient(t, c.Name+" dbias", bias, dbias.Value, loss)
	}
}

func TestReferencePool2D(t *testing.T) {
	x := []float64{1, 2, 3, 4, 5, 6, 7, 8, 9}
	s := device.Pool2DSpec{Mode: device.MaxPool, N: 1, H: 3, W: 3, C: 1, KH: 2, KW: 2, StrideH: 2, StrideW: 2, PadH: 1, PadW: 1}
	wantValues(t, "max", reference.Pool2DForward(s, 1, x).Value, 1, 3, 7, 9)
	s.Mode = device.AvgPool
	wantValues(t, "avg", reference.Pool2DForward(s, 1, x).Value, 0.25, 1.25, 2.75, 7)
	s.Mode = device.AvgPoolExcluding
	wantValues(t, "avg excluding", reference.Pool2DForward(s, 1, x).Value, 1, 2.5, 5.5, 7)

	s = device.Pool2DSpec{Mode: device.MaxPool, N: 1, H: 2, W: 3, C: 1, KH: 2, KW: 2, StrideH: 1, StrideW: 1}
	nan := math.NaN()
	wantValues(t, "first of equals", reference.Pool2DBackward(s, 1, []float64{1, 10}, []float64{0, 5, 1, 5, 2, 0}).Value, 0, 11, 0, 0, 0, 0)
	wantValues(t, "first NaN", reference.Pool2DBackward(s, 1, []float64{1, 10}, []float64{9, 5, 1, nan, nan, 99}).Value, 0, 0, 0, 1, 10, 0)

	for _, m := range poolModes() {
		for _, c := range poolCases() {
			s := c.spec
			s.Mode = m.mode
			if c.n*s.H*s.W*s.C > 1000 {
				continue
			}
			src := newSource("reference/" + c.name)
			x, dy := reference.Widen(src.values(c.n*s.H*s.W*s.C)), reference.Widen(src.values(c.n*s.OutH()*s.OutW()*s.C))
			dx := reference.Pool2DBackward(s, c.n, dy, x)
			wantGradient(t, m.name+" "+c.name, x, dx.Value, func(x []float64) float64 { return dot(dy, reference.Pool2DForward(s, c.n, x).Value) })
		}
	}
}

func TestReferenceMatMul(t *testing.T) {
	a, at := []float64{1, 2, 3, 4, 5, 6}, []float64{1, 4, 2, 5, 3, 6}
	b, bt := []float64{7, 8, 9, 10, 11, 12}, []float64{7, 9, 11, 8, 10, 12}
	wantValues(t, "ab", reference.MatMul(2, 2, 3, false, false, a, b, nil).Value, 58, 64, 139, 154)
	wantValues(t, "a'b", reference.MatMul(2, 2, 3, true, false, at, b, nil).Value, 58, 64, 139, 154)
	wantValues(t, "ab'", reference.MatMul(2, 2, 3, false, true, a, bt, nil).Value, 58, 64, 139, 154)
	wantValues(t, "a'b'+bias", reference.MatMul(2, 2, 3, true, true, at, bt, []float64{100, 200}).Value, 158, 264, 239, 354)
}

func TestReferenceBatchNorm(t *testing.T) {
	ref := reference.BatchNorm{Rows: 2, C: 2, Epsilon: 0, Momentum: 0.25}
	x := []float64{1, 10, 3, 30}
	wantValues(t, "y", ref.Forward(x, []float64{1, 2}, []float64{0, 5}).Value, -1, 3, 1, 7)
	mean, variance := ref.Running(x, []float64{4, 4}, []float64{8, 8})
	wantValues(t, "running mean", mean.Value, 3+0.5, 3+5)
	wantValues(t, "running variance", variance.Value, 6+0.5, 6+50)
	_, one := reference.BatchNorm{Rows: 1, C: 1, Momentum: 0.5}.Running([]float64{3}, []float64{0}, []float64{8})
	wantValues(t, "running variance of one row", one.Value, 4)

	src := newSource("reference/batchnorm")
	grad := reference.BatchNorm{Rows: 7, C: 3, Epsilon: 1e-2}
	x, dy := reference.Widen(src.values(21)), reference.Widen(src.values(21))
	gamma, beta := reference.Widen(src.values(3)), reference.Widen(src.values(3))
	dx, dgamma, dbeta := grad.Backward(dy, x, gamma)
	loss := func([]float64) float64 { return dot(dy, grad.Forward(x, gamma, beta).Value) }
	wantGradient(t, "dx", x, dx.Value, loss)
	wantGradient(t, "dgamma", gamma, dgamma.Value, loss)
	wantGradient(t, "dbeta", beta, dbeta.Value, loss)
}

func TestReferenceGroupNorm(t *testing.T) {
	// Two images of two pixels with three columns, of which the first is a group of its own if there are three groups.
	ref := reference.GroupNorm{Batch: 2, Rows: 2, C: 3, Groups: 3}
	x := []float64{1, 10, 5, 3, 30, 7, 2, 2, 0, 6, 4, 4}
	wantValues(t, "y", ref.Forward(x, []float64{1, 2, 3}, []float64{0, 5, 0}).Value, -1, 3, -3, 1, 7, 3, -1, 3, -3, 1, 7, 3)
	rows := reference.GroupNorm{Batch: 2, Rows: 1, C: 2, Groups: 1}
	wantValues(t, "rows", rows.Forward([]float64{1, 3, 50, 30}, []float64{1, 2}, []float64{0, 5}).Value, -1, 7, 1, 3)

	src := newSource("reference/groupnorm")
	for _, groups := range []int{1, 2, 6} {
		grad := reference.GroupNorm{Batch: 2, Rows: 3, C: 6, Groups: groups, Epsilon: 1e-2}
		x, dy := reference.Widen(src.values(36)), reference.Widen(src.values(36))
		gamma, beta := reference.Widen(src.values(6)), reference.Widen(src.values(6))
		dx, dgamma, dbeta := grad.Backward(dy, x, gamma)
		loss := func([]float64) float64 { return dot(dy, grad.Forward(x, gamma, beta).Value) }
		wantGradient(t, "dx", x, dx.Value, loss)
		wantGradient(t, "dgamma", gamma, dgamma.Value, loss)
		wantGradient(t, "dbeta", beta, dbeta.Value, loss)
	}
}

// Magnitudes follow from the function alone. These are of functions whose terms are known.
func TestReferenceActivations(t *testing.T) {
	relu := device.ActivationSpec{Function: reluFunction()}
	for _, x := range []float64{-2, -1e-3, 0, 1e-3, 2} {
		wantValues(t, fmt.Sprintf("magnitudes of relu at %v", x),
			[]float64{reference.ValueMagnitude(relu, x), reference.SlopeMagnitude(relu, x)}, relu.Function.Value(x, 0), relu.Function.Slope(x, 0))
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
		got := []float64{reference.ValueMagnitude(exp, x) / e, reference.SlopeMagnitude(exp, x) / e}
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
	stats, gradient := reference.Loss(s, reference.LossBatch{Outputs: []float64{math.Log(3), 0}, Labels: []int32{0}})
	wantValues(t, "cross-entropy", stats.Value, -0.875*math.Log(0.75)-0.125*math.Log(0.25), 1, 1, 1)
	wantValues(t, "its gradient", gradient.Value, 0.75-0.875, 0.25-0.125)
	stats, _ = reference.Loss(device.LossSpec{Kind: device.MeanSquaredError, N: 2, Classes: 2}, reference.LossBatch{Outputs: []float64{3, 1, 1, 1}, Labels: []int32{1, 1}})
	wantValues(t, "mean squared error", stats.Value, (9+0)/2.0+(1+0)/2.0, 0, 2, 2)

	for _, c := range lossCases() {
		if len(c.outputs) > 200 || strings.HasSuffix(c.name, "label-out-of-range") || strings.HasSuffix(c.name, "NaN") || c.name == "cross-entropy-right-and-wrong-by-1e4" {
			continue
		}
		b := c.batch()
		_, gradient := reference.Loss(c.spec, b)
		wantGradient(t, c.name, b.Outputs, gradient.Value, func([]float64) float64 {
			stats, _ := reference.Loss(c.spec, b)
			if c.spec.Sum || stats.Value[device.StatWeight] == 0 {
				return stats.Value[device.StatLoss]
			}
			return stats.Value[device.StatLoss] / stats.Value[device.StatWeight]
		})
	}
}

// The same examples, given as labels and as rows with a single 1, with the same class weights.
func TestReferenceOneHotIsTheLabel(t *testing.T) {
	for _, c := range lossCases() {
		if c.labels == nil || c.spec.Ignore || c.name == "label-out-of-range" {
			continue
		}
		stats, gradient := reference.Loss(c.spec, c.batch())
		oneHotTargets(&c)
		softStats, softGradient := reference.Loss(c.spec, c.batch())
		wantValues(t, c.name, softStats.Value, stats.Value...)
		wantValues(t, c.name+" gradient", softGradient.Value, gradient.Value...)
	}
}

// The results of PyTorch's formulas, computed by hand. softmax(log 3, 0) = (3/4, 1/4) and softmax(0, log 3) = (1/4,
// 3/4), so that -log p is l3 = log(4/3) or l1 = log 4.
func TestReferenceLossIsPyTorchs(t *testing.T) {
	l1, l3 := math.Log(4), math.Log(4.0/3)
	b := reference.LossBatch{Outputs: []float64{math.Log(3), 0, 0, math.Log(3), math.Log(3), 0}, Labels: []int32{0, 1, 1}, ClassWeights: []float64{2, 0.5}}
	mean := func(s device.LossSpec, b reference.LossBatch) float64 {
		s.Kind, s.N, s.Classes = device.SoftmaxCrossEntropy, 3, 2
		stats, _ := reference.Loss(s, b)
		return stats.Value[device.StatLoss] / stats.Value[device.StatWeight]
	}
	// CrossEntropyLoss(weight=w): sum_i -w[y_i] log p[y_i] / sum_i w[y_i].
	wantValues(t, "class weights", []float64{mean(device.LossSpec{}, b)}, (2*l3+0.5*l3+0.5*l1)/(2+0.5+0.5))
	// With ignore_index=0 the first example counts nowhere.
	wantValues(t, "ignored label", []float64{mean(device.LossSpec{Ignore: true}, b)}, (0.5*l3+0.5*l1)/(0.5+0.5))
	// With label_smoothing=s: (1-s) of the above + s/K sum_i sum_k -w[k] log p[k] / sum_i w[y_i].
	smooth := (2*l3 + 0.5*l1) + (2*l1 + 0.5*l3) + (2*l3 + 0.5*l1)
	wantValues(t, "smoothing", []float64{mean(device.LossSpec{Smoothing: 0.5}, b)}, 0.5*(2*l3+0.5*l3+0.5*l1)/3+0.25*smooth/3)
	// Probabilities without class Weights: sum_i sum_k -t[k] log p[k] / n; with smoothing t is (1-s) t + s/K.
	soft := reference.LossBatch{Outputs: b.Outputs, Soft: []float64{0.75, 0.25, 0.5, 0.5, 0, 1}}
	wantValues(t, "probabilities", []float64{mean(device.LossSpec{SoftTargets: true}, soft)},
		(0.75*l3+0.25*l1+0.5*l1+0.5*l3+l1)/3)
	wantValues(t, "smoothed probabilities", []float64{mean(device.LossSpec{SoftTargets: true, Smoothing: 0.5}, soft)},
		(0.625*l3+0.375*l1+0.5*l1+0.5*l3+0.25*l3+0.75*l1)/3)
}

func TestReferenceSoftmax(t *testing.T) {
	wantValues(t, "softmax", reference.Softmax(2, []float64{math.Log(3), 0, 1e4, -1e4}).Value, 0.75, 0.25, 1, 0)
}

// TestReferenceOptimizer follows two steps by hand.
func TestReferenceOptimizer(t *testing.T) {
	two := func(s device.OptimizerSpec, h [device.HyperLen]float32) float64 {
		p := reference.Parameter{W: 1}
		device.SetBetas(h[:], float64(h[device.HyperMomentum]), float64(h[device.HyperBeta2]))
		p.Step(s, reference.Widen(h[:]), 2)
		p.Step(s, reference.Widen(h[:]), 4)
		return p.W
	}
	for _, c := range []struct {
		name string
		spec device.OptimizerSpec
		h    [device.HyperLen]float32
		want float64
	}{
		// 1 - 0.5*2 - 0.5*4.
		{"sgd", device.OptimizerSpec{Kind: device.SGD}, [device.HyperLen]float32{0.5, 0, 0, 0, 1, 1, 1}, -2},
		// v = 2, then 0.5*2 + 4 = 5: 1 - 0.5*2 - 0.5*5.
		{"momentum", device.OptimizerSpec{Kind: device.SGD}, [device.HyperLen]float32{0.5, 0, 0.5, 0, 1, 1, 1}, -2.5},
		// 2 + 0.5*2 = 3, then 4 + 0.5*5 = 6.5.
		{"nesterov", device.OptimizerSpec{Kind: device.SGD, Nesterov: true}, [device.HyperLen]float32{0.5, 0, 0.5, 0, 1, 1, 1}, 1 - 1.5 - 3.25},
		// g = 2 + 1*1 = 3, w = -0.5; g = 4 - 0.5 = 3.5.
		{"decay", device.OptimizerSpec{Kind: device.SGD}, [device.HyperLen]float32{0.5, 1, 0, 0, 1, 1, 1}, -0.5 - 1.75},
		// w = 1 - 0.25*1 - 0.5*1 = 0.25 (gradients halved); then 0.25 - 0.0625 - 1.
		{"decoupled", device.OptimizerSpec{Kind: device.SGD, Decoupled: true}, [device.HyperLen]float32{0.5, 0.5, 0, 0, 1, 1, 0.5}, 0.25 - 0.0625 - 1},
		// m = 1, v = 2, 1/sqrt 2; m = 2.5, v = 1 + 8 = 9, 2.5/3.
		{"adam", device.OptimizerSpec{Kind: device.Adam}, [device.HyperLen]float32{1, 0, 0.5, 0.5, 1, 1, 1}, 1 - 1/math.Sqrt(2) - 2.5/3},
		// v = 2 and 9: 2/sqrt 2, then 4/3.
		{"rmsprop", device.OptimizerSpec{Kind: device.RMSProp}, [device.HyperLen]float32{1, 0, 0, 0.5, 1, 1, 1}, 1 - 2/math.Sqrt(2) - 4.0/3},
		{"rmsprop with momentum", device.OptimizerSpec{Kind: device.RMSProp}, [device.HyperLen]float32{1, 0, 0.5, 0.5, 1, 1, 1}, 1 - 2/math.Sqrt(2) - (1/math.Sqrt(2) + 4.0/3)},
	} {
		wantValues(t, c.name, []float64{two(c.spec, c.h)}, c.want)
	}
}

func TestReferenceFormats(t *testing.T) {
	f16, bf16 := reference.FormatOf(device.Float16), reference.FormatOf(device.BFloat16)
	for _, c := range []struct {
		format  reference.Format
		x, want float64
	}{
		{f16, 65504, 65504}, {f16, 65519.99, 65504}, {f16, 65520, math.Inf(1)}, {f16, -1e30, math.Inf(-1)},
		{f16, 2049, 2048}, {f16, 2051, 2052}, {f16, 0x1p-25, 0}, {f16, 0x1.8p-25, 0x1p-24}, {f16, 0x1.8p-24, 0x1p-23},
		{bf16, 257, 256}, {bf16, 259, 260}, {bf16, 0x1p-134, 0}, {bf16, 0x1.8p-134, 0x1p-133}, {bf16, math.MaxFloat32, math.Inf(1)},
	} {
		if got := c.format.Round(c.x); got != c.want {
			t.Errorf("%v rounded is %v, want %v", c.x, got, c.want)
		}
	}
	for _, format := range []reference.Format{f16, bf16} {
		for b := uint32(0); b < 1<<16; b++ {
			if x := format.Decode(b); !math.IsNaN(x) && format.Encode(x) != b {
				t.Fatalf("%v is %#x, and not %#x, in %+v", x, b, format.Encode(x), format)
			}
		}
		if x := format.Decode(format.Encode(math.NaN())); !math.IsNaN(x) {
			t.Errorf("NaN becomes %v in %+v", x, format)
		}
	}
	if f16.Largest() != 65504 || bf16.Largest() != 0x1.FEp127 {
		t.Errorf("the largest numbers are %v and %v", f16.Largest(), bf16.Largest())
	}
	for x, want := range map[float64]float64{0: 0x1p-24, 0x1p-24: 0x1p-24, 0x1p-14: 0x1p-24, 1: 0x1p-10, 1.99: 0x1p-10, -2: 0x1p-9, 65504: 32} {
		if got := f16.Spacing(x); got != want {
			t.Errorf("neighbours of %v in float16 are %v apart, want %v", x, got, want)
		}
	}
	f32 := reference.FormatOf(device.Float32)
	for b, want := range map[uint32]float64{0x3F800000: 1, 0xC0490FDB: -float64(float32(math.Pi)), 1: 0x1p-149, 0x7F7FFFFF: math.MaxFloat32, 0x7F800000: math.Inf(1)} {
		if got := f32.Decode(b); got != want {
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
		if got := reference.LossScaling(c.before, c.bad, c.interval); got != c.want {
			t.Errorf("%v, bad %v, becomes %v, want %v", c.before, c.bad, got, c.want)
		}
	}
}

func TestReferenceComposed(t *testing.T) {
	x := []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12} // [2, 2, 3]
	sum := func(keep device.Axes) []float64 {
		return reference.Reduce(device.ReduceSpec{Kind: device.ReduceSum, Batch: 2, Rows: 2, C: 3, Keep: keep}, 2, x, nil).Value
	}
	wantValues(t, "sum", sum(device.NoAxes), 78)
	wantValues(t, "sum of columns", sum(device.AxisC), 22, 26, 30)
	wantValues(t, "sum of rows", sum(device.AxisBatch|device.AxisRows), 6, 15, 24, 33)
	wantValues(t, "sum of images", sum(device.AxisBatch), 21, 57)
	wantValues(t, "sum of images' columns", sum(device.AxisBatch|device.AxisC), 5, 7, 9, 17, 19, 21)
	wantValues(t, "sum over the batch", sum(device.AxisRows|device.AxisC), 8, 10, 12, 14, 16, 18)
	wantValues(t, "sum over batch and columns", sum(device.AxisRows), 30, 48)
	half := device.ReduceSpec{Kind: device.ReduceSumProducts, Batch: 2, Rows: 2, C: 3, Alpha: 0.5}
	wantValues(t, "half of the products", reference.Reduce(half, 2, x, x).Value, 325)

	s := device.MapSpec{Kind: device.MapAdd, Batch: 2, Rows: 2, C: 3, B: device.AxisBatch | device.AxisC, Alpha: 1, Beta: 10}
	wantValues(t, "add", reference.Map(s, x, x, []float64{1, 2, 3, 4, 5, 6}).Value, 11, 22, 33, 14, 25, 36, 47, 58, 69, 50, 61, 72)
	wantValues(t, "transpose", reference.Transpose(device.TransposeSpec{Batch: 2, M: 2, N: 3}, x).Value, 1, 4, 2, 5, 3, 6, 7, 10, 8, 11, 9, 12)
	wantValues(t, "gather", reference.Gather(device.GatherSpec{Rows: 3, XRows: 4, RowLen: 3}, x, []int32{3, 4, 0}).Value, 10, 11, 12, 0, 0, 0, 1, 2, 3)
	columns := device.CopyColumnsSpec{Rows: 2, Width: 2, YC: 3, YFrom: 1, XC: 4, XFrom: 2}
	wantValues(t, "columns", reference.CopyColumns(columns, make([]float64, 6), x).Value, 0, 3, 4, 0, 7, 8)
}
