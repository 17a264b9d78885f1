package kernels_test

import (
	"fmt"
	"math"
	"testing"

	"trainer/kernels"
	"trainer/nn/device"
)

// activationKernels are the kernels of an activation, alone and fused with batch normalisation.
type activationKernels struct {
	kind                       device.ActivationKind // 0: none
	forward, backward          kernels.Family
	normalize, sums, gradients kernels.Family
}

func activations() []activationKernels {
	return []activationKernels{
		{0, "", "", kernels.BatchNormNormalize, kernels.BatchNormSums, kernels.BatchNormBackward},
		{device.ReLU, kernels.ActivationReLUForward, kernels.ActivationReLUBackward, kernels.BatchNormNormalizeReLU, kernels.BatchNormSumsReLU, kernels.BatchNormBackwardReLU},
		{device.LeakyReLU, kernels.ActivationLeakyReLUForward, kernels.ActivationLeakyReLUBackward, "", "", ""},
		{device.GELU, kernels.ActivationGELUForward, kernels.ActivationGELUBackward, kernels.BatchNormNormalizeGELU, kernels.BatchNormSumsGELU, kernels.BatchNormBackwardGELU},
		{device.GELUTanh, kernels.ActivationGELUTanhForward, kernels.ActivationGELUTanhBackward, kernels.BatchNormNormalizeGELUTanh, kernels.BatchNormSumsGELUTanh, kernels.BatchNormBackwardGELUTanh},
		{device.Sigmoid, kernels.ActivationSigmoidForward, kernels.ActivationSigmoidBackward, kernels.BatchNormNormalizeSigmoid, kernels.BatchNormSumsSigmoid, kernels.BatchNormBackwardSigmoid},
		{device.Tanh, kernels.ActivationTanhForward, kernels.ActivationTanhBackward, kernels.BatchNormNormalizeTanh, kernels.BatchNormSumsTanh, kernels.BatchNormBackwardTanh},
		{device.SiLU, kernels.ActivationSiLUForward, kernels.ActivationSiLUBackward, kernels.BatchNormNormalizeSiLU, kernels.BatchNormSumsSiLU, kernels.BatchNormBackwardSiLU},
	}
}

const alpha = 0.25 // of LeakyReLU

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// activate returns f(x) and the magnitude of its terms: in GELU, x/2 and x/2 erf cancel for negative x.
func activate(kind device.ActivationKind, x float64) (value, magnitude float64) {
	switch kind {
	case 0:
		value = x
	case device.ReLU:
		value = math.Max(x, 0)
	case device.LeakyReLU:
		value = math.Max(x, alpha*x)
	case device.GELU:
		return x * math.Erfc(-x/math.Sqrt2) / 2, math.Abs(x) / 2 * (1 + math.Abs(math.Erf(x/math.Sqrt2)))
	case device.GELUTanh:
		u := math.Sqrt(2/math.Pi) * (x + 0.044715*x*x*x)
		return x * sigmoid(2*u), math.Abs(x) / 2 * (1 + math.Abs(math.Tanh(u)))
	case device.Sigmoid:
		value = sigmoid(x)
	case device.Tanh:
		value = math.Tanh(x)
	case device.SiLU:
		value = x * sigmoid(x)
	}
	return value, math.Abs(value)
}

// slope returns f'(x) and the magnitude of its terms. An error of 2^-24 x^2 in the argument of exp is a
// relative error of the exponential.
func slope(kind device.ActivationKind, x float64) (value, magnitude float64) {
	switch kind {
	case 0:
		value = 1
	case device.ReLU, device.LeakyReLU:
		if kind == device.LeakyReLU {
			value = alpha
		}
		if x > 0 {
			value = 1
		}
	case device.GELU:
		phi := math.Exp(-x*x/2) / math.Sqrt(2*math.Pi)
		return math.Erfc(-x/math.Sqrt2)/2 + x*phi, (1+math.Abs(math.Erf(x/math.Sqrt2)))/2 + math.Abs(x)*phi*(1+x*x)
	case device.GELUTanh:
		u, du := math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x), math.Sqrt(2/math.Pi)*(1+3*0.044715*x*x)
		inner := 2 * du * sigmoid(2*u) * sigmoid(-2*u)
		return sigmoid(2*u) + x*inner, (1+math.Abs(math.Tanh(u)))/2 + math.Abs(x)*inner*(1+math.Abs(u))
	case device.Sigmoid:
		value = sigmoid(x) * sigmoid(-x)
		return value, value * (1 + math.Abs(x))
	case device.Tanh:
		value = 4 * sigmoid(2*x) * sigmoid(-2*x)
		return value, value * (1 + math.Abs(x))
	case device.SiLU:
		inner := sigmoid(x) * sigmoid(-x)
		return sigmoid(x) + x*inner, sigmoid(x) + math.Abs(x)*inner*(1+math.Abs(x))
	}
	return value, math.Abs(value)
}

func refActivation(kind device.ActivationKind, x []float64) sums {
	y := newSums(len(x), functionUlps)
	for i, v := range x {
		value, magnitude := activate(kind, v)
		y.set(i, value, magnitude)
	}
	return y
}

func refActivationBackward(kind device.ActivationKind, dy, x []float64) sums {
	dx := newSums(len(x), functionUlps)
	for i, v := range x {
		value, magnitude := slope(kind, v)
		dx.set(i, dy[i]*value, math.Abs(dy[i])*magnitude)
	}
	return dx
}

// activationInputs are random numbers, large and small ones, and zeros. In the tails, exponentials
// underflow.
func activationInputs(n int, s kernels.Storage) []float64 {
	src := newSource("activation")
	x := src.between(n, -6, 6, s)
	special := []float64{0, 1e-3, -1e-3, 20, -20, 88, -88, 104, -104, 3e4, -3e4}
	for i := 0; i < n; i += 3 {
		x[i] = formatOf(s).round(special[i/3%len(special)])
	}
	return x
}

func TestActivations(t *testing.T) {
	for _, a := range activations()[1:] {
		for _, s := range storages() {
			for _, n := range []int{1, 7, 8, 1037} {
				t.Run(name(a.kind, s, n), func(t *testing.T) { testActivation(t, a, s, n, 0) })
			}
			t.Run(name(a.kind, s, "unaligned"), func(t *testing.T) { testActivation(t, a, s, 67, formatOf(s).bytes()) })
		}
	}
}

// testActivation runs forward and backward, out of place and in place, with the grid of package kernels
// and with a small one.
func testActivation(t *testing.T, a activationKernels, s kernels.Storage, n, shift int) {
	x, dy := activationInputs(n, s), newSource("dy").values(n, s)
	results := run(t, func(h *host) []pointer {
		xs, dys := h.uploadAt(shift, encode(s, x)), h.uploadAt(shift, encode(s, dy))
		y, dx := h.blank(n*formatOf(s).bytes()), h.blank(n*formatOf(s).bytes())
		again, inPlace := h.uploadAt(shift, encode(s, x)), h.uploadAt(shift, encode(s, dy))
		grid := kernels.VectorPerThread(n, s)
		h.launch(a.forward.In(s), grid, y, xs, n, float32(alpha))
		h.launch(a.backward.In(s), grid, dx, dys, xs, n, float32(alpha))
		h.launch(a.backward.In(s), kernels.Grid{X: 1, Y: 1}, inPlace, inPlace, xs, n, float32(alpha))
		h.launch(a.forward.In(s), kernels.Grid{X: 1, Y: 1}, again, again, n, float32(alpha))
		return []pointer{y, again, dx, inPlace}
	})
	for i, got := range results {
		want := refActivation(a.kind, x)
		if i >= 2 {
			want = refActivationBackward(a.kind, dy, x)
		}
		want.check(t, []string{"y", "y in place", "dx", "dx in place"}[i], s, got)
	}
}

// NaN gives NaN, and an infinity gives the limit of the function, unless the formula contains infinity
// times 0.
func TestActivationsOfSpecials(t *testing.T) {
	inf := math.Inf(1)
	limits := map[device.ActivationKind][2]float64{ // at -Inf, at +Inf; NaN: not told
		device.ReLU: {0, inf}, device.LeakyReLU: {-inf, inf}, device.Sigmoid: {0, 1}, device.Tanh: {-1, 1},
		device.GELU: {math.NaN(), inf}, device.GELUTanh: {math.NaN(), inf}, device.SiLU: {math.NaN(), inf},
	}
	for _, a := range activations()[1:] {
		for _, s := range storages() {
			x := []float64{math.NaN(), -inf, inf, 1}
			got := decode(s, run(t, func(h *host) []pointer {
				y := h.blank(4 * formatOf(s).bytes())
				h.launch(a.forward.In(s), kernels.VectorPerThread(4, s), y, h.upload(encode(s, x)), 4, float32(alpha))
				return []pointer{y}
			})[0])
			if !math.IsNaN(got[0]) {
				t.Errorf("%v of NaN is %v in %s", a.kind, got[0], s)
			}
			for i, want := range limits[a.kind] {
				if !math.IsNaN(want) && got[i+1] != want {
					t.Errorf("%v of %v is %v in %s, want %v", a.kind, x[i+1], got[i+1], s, want)
				}
			}
		}
	}
}

func TestCombineScaleFillBias(t *testing.T) {
	for _, s := range storages() {
		for _, n := range []int{1, 30, 1037} {
			for _, shift := range []int{0, formatOf(s).bytes()} {
				t.Run(fmt.Sprintf("%s/%d/shift-%d", s, n, shift), func(t *testing.T) { testCombine(t, s, n, shift) })
			}
		}
		for _, shape := range [][2]int{{1, 1}, {7, 3}, {5, 24}, {33, 130}} {
			t.Run(name("bias", s, shape), func(t *testing.T) { testBias(t, s, shape[0], shape[1]) })
		}
	}
}

func testCombine(t *testing.T, s kernels.Storage, n, shift int) {
	src := newSource("combine")
	a, b := src.values(n, s), src.values(n, s)
	const x, y = 0.75, -1.5
	results := run(t, func(h *host) []pointer {
		grid := kernels.VectorPerThread(n, s)
		as, bs := h.uploadAt(shift, encode(s, a)), h.uploadAt(shift, encode(s, b))
		out, scaled, filled := h.blank(n*formatOf(s).bytes()), h.blank(n*formatOf(s).bytes()), h.uploadAt(shift, encode(s, a))
		h.launch(kernels.Combine.In(s), grid, out, as, bs, n, float32(x), float32(y))
		h.launch(kernels.Scale.In(s), grid, scaled, as, n, float32(x))
		h.launch(kernels.Fill.In(s), grid, filled, n, float32(0.1))
		h.launch(kernels.Combine.In(s), kernels.Grid{X: 1, Y: 1}, bs, as, bs, n, float32(x), float32(y))
		return []pointer{out, bs, scaled, filled}
	})
	want := [4]sums{}
	for i := range want {
		want[i] = newSums(n, elementwiseUlps)
	}
	for i := range n {
		for _, w := range want[:3] {
			w.add(i, x*a[i])
		}
		want[0].add(i, y*b[i])
		want[1].add(i, y*b[i])
		want[3].add(i, float64(float32(0.1)))
	}
	for i, w := range want {
		w.check(t, []string{"combine", "combine in place", "scale", "fill"}[i], s, results[i])
	}
}

func testBias(t *testing.T, s kernels.Storage, rows, c int) {
	n := rows * c
	x, bias := newSource("x").values(n, s), newSource("bias").values(c, kernels.Float32)
	results := run(t, func(h *host) []pointer {
		inPlace, b, y := h.upload(encode(s, x)), h.upload(encode(kernels.Float32, bias)), h.blank(n*formatOf(s).bytes())
		h.launch(kernels.BiasReLU.In(s), kernels.VectorPerThread(n, s), y, inPlace, b, n, c)
		h.launch(kernels.Bias.In(s), kernels.VectorPerThread(n, s), inPlace, inPlace, b, n, c)
		return []pointer{inPlace, y}
	})
	plain, relu := newSums(n, elementwiseUlps), newSums(n, elementwiseUlps)
	for i, v := range x {
		plain.add(i, v)
		plain.add(i, bias[i%c])
		relu.set(i, math.Max(plain.value[i], 0), plain.magnitude[i])
	}
	plain.check(t, "bias", s, results[0])
	relu.check(t, "bias_relu", s, results[1])
}
