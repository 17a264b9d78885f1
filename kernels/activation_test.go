package kernels_test

import (
	"fmt"
	"math"
	"testing"

	"trainer/kernels"
	"trainer/nn"
	"trainer/nn/device"
	"trainer/nn/device/reference"
)

// activationKernels are the kernels of an activation, alone and, if batch normalisation fuses it, after the normalisation.
type activationKernels struct {
	spec                       device.ActivationSpec // without a function: none
	forward, backward          kernels.Family
	normalize, sums, gradients kernels.Family
}

const alpha = 0.25 // of functions that have one

// unactivated are the kernels of batch normalisation alone.
func unactivated() activationKernels {
	return activationKernels{
		normalize: kernels.BatchNormNormalize, sums: kernels.BatchNormSums, gradients: kernels.BatchNormBackward,
	}
}

// activations returns the kernels of every activation, each of which has some.
func activations(t *testing.T) []activationKernels {
	t.Helper()
	var all []activationKernels
	for _, f := range nn.Functions() {
		a := activationKernels{spec: device.ActivationSpec{Function: f, Alpha: alpha}}
		var ok, fused bool
		if a.forward, a.backward, ok = kernels.Activation(f.Name); !ok {
			t.Errorf("no kernels of the activation %s", f)
			continue
		}
		if a.normalize, a.sums, a.gradients, fused = kernels.BatchNormActivation(f.Name); !fused {
			a.normalize = ""
		}
		all = append(all, a)
	}
	return all
}

// Every kernel of the list in the sources is that of an activation.
func TestActivationKernelsHaveFunctions(t *testing.T) {
	known := map[kernels.Name]bool{}
	for _, a := range activations(t) {
		for _, s := range storages() {
			known[a.forward.In(s)], known[a.backward.In(s)] = true, true
		}
	}
	for _, m := range kernels.Modules() {
		for _, k := range m.Kernels {
			if m.Source == "activation.cu" && !known[k.Name] {
				t.Errorf("no activation has the kernel %s", k.Name)
			}
		}
	}
}

func refActivation(s device.ActivationSpec, x []float64) sums {
	y := newSums(len(x), functionUlps)
	for i, v := range x {
		y.set(i, s.Function.Value(v, float64(s.Alpha)), reference.ValueMagnitude(s, v))
	}
	return y
}

func refActivationBackward(s device.ActivationSpec, dy, x []float64) sums {
	dx := newSums(len(x), functionUlps)
	for i, v := range x {
		dx.set(i, dy[i]*s.Function.Slope(v, float64(s.Alpha)), math.Abs(dy[i])*reference.SlopeMagnitude(s, v))
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
	for _, a := range activations(t) {
		for _, s := range storages() {
			for _, n := range []int{1, 7, 8, 1037} {
				t.Run(name(a.spec.Function, s, n), func(t *testing.T) { testActivation(t, a, s, n, 0) })
			}
			t.Run(name(a.spec.Function, s, "unaligned"), func(t *testing.T) { testActivation(t, a, s, 67, formatOf(s).bytes()) })
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
		want := refActivation(a.spec, x)
		if i >= 2 {
			want = refActivationBackward(a.spec, dy, x)
		}
		want.check(t, []string{"y", "y in place", "dx", "dx in place"}[i], s, got)
	}
}

// NaN gives NaN, and an infinity gives the limit of the function, unless the formula contains infinity
// times 0.
func TestActivationsOfSpecials(t *testing.T) {
	for _, a := range activations(t) {
		for _, s := range storages() {
			x := []float64{math.NaN(), math.Inf(-1), math.Inf(1), 1}
			got := decode(s, run(t, func(h *host) []pointer {
				y := h.blank(4 * formatOf(s).bytes())
				h.launch(a.forward.In(s), kernels.VectorPerThread(4, s), y, h.upload(encode(s, x)), 4, float32(alpha))
				return []pointer{y}
			})[0])
			f := a.spec.Function
			if !math.IsNaN(got[0]) {
				t.Errorf("%s of NaN is %v in %s", f, got[0], s)
			}
			for i, v := range x[1:3] {
				want := f.Value(v, alpha)
				if !math.IsNaN(want) && got[i+1] != formatOf(s).round(want) {
					t.Errorf("%s of %v is %v in %s, want %v", f, v, got[i+1], s, want)
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
