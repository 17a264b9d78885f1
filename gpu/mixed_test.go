//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"fmt"
	"math"
	"testing"

	"trainer/gpu/cudasim"
	"trainer/nn/device"
)

func halfTypes() []device.DType { return []device.DType{device.Float16, device.BFloat16} }

// On the software emulation (or a GPU), a 16-bit step that is recorded and replayed gives the bits of the step run
// directly. One of the steps overflows: the recording itself finds out, and skips it.
func TestMixedReplayEqualsStep(t *testing.T) {
	const steps, overflow = 6, 3
	for _, dtype := range halfTypes() {
		t.Run(dtype.String(), func(t *testing.T) {
			d := anyDevice(t, WithDeterministic())
			run := func(n *smallNet, step func()) []float32 {
				for i := range steps {
					n.count(int32(i))
					if i == overflow {
						n.setScale(float32(math.Inf(1)))
					}
					before := n.download(n.params["dense"].value)
					step()
					changed := fmt.Sprint(n.download(n.params["dense"].value)) != fmt.Sprint(before)
					if changed != (i != overflow) {
						t.Errorf("step %d: that weights changed is %v", i, changed)
					}
					if i == overflow {
						n.setScale(firstScale)
					}
				}
				return n.weights()
			}
			direct := newSmallNetOf(t, d, true, dtype)
			want := run(direct, direct.step)
			recorded := newSmallNetOf(t, d, true, dtype)
			same(t, run(recorded, capture(t, d, recorded.step).Launch), want)
			for i, v := range want {
				if v != v {
					t.Fatalf("number %d is NaN", i)
				}
			}
		})
	}
}

// setScale changes the loss scale.
func (n *smallNet) setScale(scale float32) {
	n.t.Helper()
	if err := n.dev.Upload(n.scaleState, device.Bytes([]float32{scale, 1 / scale, 0, 0})); err != nil {
		n.t.Fatal(err)
	}
}

// A 16-bit step gives weights close to those of the float32 step, on the software emulation (or a GPU). All weights
// change by the learning rate times a clipped gradient, of which 16 bits keep the first few digits.
func TestMixedStepIsNearFloat32(t *testing.T) {
	d := anyDevice(t, WithDeterministic())
	change := func(dtype device.DType) map[string][]float64 {
		n := newSmallNetOf(t, d, true, dtype)
		changes := map[string][]float64{}
		for _, name := range n.names() {
			before := n.download(n.params[name].value)
			for _, v := range before {
				changes[name] = append(changes[name], -float64(v))
			}
		}
		n.step()
		for _, name := range n.names() {
			for i, v := range n.download(n.params[name].value) {
				changes[name][i] += float64(v)
			}
		}
		return changes
	}
	want := change(device.Float32)
	// Along the way a gradient is stored about ten times, each time off by at most the unit roundoff; some of these
	// errors grow.
	for dtype, bound := range map[device.DType]float64{device.Float16: 16 * 0x1p-11, device.BFloat16: 16 * 0x1p-8} {
		for name, got := range change(dtype) {
			if name == "filters bias" {
				continue // the normalisation after it cancels this parameter: its gradient is only rounding error
			}
			var difference, size float64
			for i, w := range want[name] {
				difference += (got[i] - w) * (got[i] - w)
				size += w * w
			}
			if off := math.Sqrt(difference / size); !(off <= bound) {
				t.Errorf("%v: the step of %s is off by %.3g of its length, where %.3g is allowed", dtype, name, off, bound)
			}
		}
	}
}

// A 16-bit convolution gets its bias in 16 bits, as a copy that the plan owns; the software cuDNN refuses any other. If
// it refuses to add a bias at all, a pass over the output does, and the results differ only by rounding.
func TestMixedConvolutionBias(t *testing.T) {
	for _, dtype := range halfTypes() {
		for _, c := range []struct {
			name       string
			bias, relu bool
			workspace  int64
		}{{"bias", true, false, 2 * 7}, {"relu", false, true, 2 * 7}, {"bias and relu", true, true, 2 * 7}, {"neither", false, false, 0}} {
			t.Run(dtype.String()+" "+c.name, func(t *testing.T) {
				d := newDevice(t)
				n := newSmallNetOf(t, d, true, dtype)
				s := device.Conv2DSpec{
					N: netBatch, H: netSide, W: netSide, InC: 2, OutC: 7, KH: 3, KW: 3, StrideH: 1, StrideW: 1, DilationH: 1, DilationW: 1,
					Groups: 1, Bias: c.bias, DType: dtype,
				}
				x, w, y := n.half(s.N, s.H, s.W, s.InC), n.half(s.OutC, s.KH, s.KW, s.InC), n.half(s.N, s.OutH(), s.OutW(), s.OutC)
				bias := n.floats([]float32{1.0 / 3, -2, 3e-3, 0, 1, -1.0 / 7, 5}, s.OutC)
				if !c.bias {
					bias = nil
				}
				run := func() []float32 {
					conv, err := d.newConv2D(s, c.relu)
					if err != nil {
						t.Fatal(err)
					}
					if got := conv.Workspace(); got != c.workspace {
						t.Errorf("the plan owns %d bytes, want %d", got, c.workspace)
					}
					conv.Forward(y, x, w, bias)
					return n.widened(y)
				}
				before := cudasim.Calls("cudnnConvolutionBiasActivationForward")
				want := run()
				if fused := cudasim.Calls("cudnnConvolutionBiasActivationForward") - before; (fused > 0) != (c.bias || c.relu) {
					t.Errorf("cuDNN was asked %d times for bias and activation", fused)
				}
				configure(t, "fail=cudnnConvolutionBiasActivationForward#1+:NOT_SUPPORTED")
				roundoff := map[device.DType]float64{device.Float16: 0x1p-11, device.BFloat16: 0x1p-8}[dtype]
				for i, got := range run() {
					// Two roundings in each way of numbers below 5 + 18.
					if math.Abs(float64(got-want[i])) > 4*roundoff*23 || c.relu && got < 0 {
						t.Fatalf("element %d is %v after a pass over the output, %v by cuDNN", i, got, want[i])
					}
				}
			})
		}
	}
}

// half returns a tensor of the net's type with random numbers in [-1, 1).
func (n *smallNet) half(shape ...int) *device.Tensor {
	n.t.Helper()
	x := n.tensor(n.dtype, nil, shape...)
	values := make([]float32, x.Len())
	for i := range values {
		values[i] = 2*device.Uniform(device.RandomWord(uint64(x.Len()), 0, 0, uint64(i))) - 1
	}
	var cast device.Cast
	must(n, &cast)(n.dev.NewCast(device.CastSpec{From: device.Float32, To: n.dtype, Len: x.Len()}))
	cast.Run(x.View(x.Len()), n.floats(values, x.Len()))
	return x
}

// widened returns the elements of a tensor of the net's type.
func (n *smallNet) widened(x *device.Tensor) []float32 {
	n.t.Helper()
	var cast device.Cast
	must(n, &cast)(n.dev.NewCast(device.CastSpec{From: n.dtype, To: device.Float32, Len: x.Len()}))
	y := n.zeros(x.Len())
	cast.Run(y, x.View(x.Len()))
	return n.download(y)
}
