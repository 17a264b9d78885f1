//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"math"
	"testing"

	"trainer/nn"
	"trainer/nn/device"
	"trainer/nn/device/reference"
)

// composedNetwork has every layer that is composed of small plans, and windows with unequal padding and gaps.
func composedNetwork() nn.Layer {
	conv := func(out int) nn.Layer { return nn.Conv2D{OutC: out, Kernel: nn.Square(1), NoBias: true} }
	return nn.NewSequential(
		conv(16), nn.LayerNorm{}, nn.PReLU{}, conv(8), nn.GroupNorm{Groups: 2}, nn.Tanh{}, nn.ChannelScale{Reduction: 4},
		nn.Concat{Branches: []nn.Layer{nil, nn.NewSequential(conv(8), nn.PReLU{})}}, nn.UpSample{}, nn.Tanh{},
		nn.Conv2D{OutC: 6, Kernel: nn.Square(2), Stride: nn.Square(3), SameLower: true}, nn.ConvTranspose2D{OutC: 8, Kernel: nn.Square(3), Stride: nn.Square(2), SameUpper: true},
		nn.AvgPool2D{Kernel: nn.Square(2), Stride: nn.Square(1), Padding: nn.Square(1), Dilation: nn.Pair{H: 2, W: 1}, CeilMode: true},
		nn.GlobalAvgPool{}, nn.Dense{Out: 3},
	)
}

// composedStep returns the outputs and gradients of one step of it.
func composedStep(t *testing.T, d device.Device, dtype device.DType) (all [][]float64) {
	t.Helper()
	const batch, side, channels = 3, 4, 5
	n, err := nn.Compile(d, composedNetwork(), nn.Options{
		Input: nn.Shape{side, side, channels}, Batch: batch, Training: true, Seed: 3, Loss: nn.CrossEntropy{Sum: true}, DType: dtype,
	})
	if err != nil {
		t.Fatal(err)
	}
	single, x, labels := filled(t, d, batch*side*side*channels), created(d.NewTensor(dtype, batch, side, side, channels))(t), created(d.NewTensor(device.Int32, batch))(t)
	created(d.NewCast(device.CastSpec{From: device.Float32, To: dtype, Len: single.Len()}))(t).Run(x, single)
	y := n.Forward(x, nn.Training)
	out := created(d.NewTensor(device.Float32, y.Shape()...))(t)
	created(d.NewCast(device.CastSpec{From: y.DType(), To: device.Float32, Len: y.Len()}))(t).Run(out, y)
	n.Loss(labels)
	n.Backward(labels)
	for _, r := range append([]*device.Tensor{out}, gradients(n)...) {
		values := make([]float32, r.Len())
		if err := d.Download(device.Bytes(values), r); err != nil {
			t.Fatal(err)
		}
		wide := make([]float64, len(values))
		for i, v := range values {
			wide[i] = float64(v)
		}
		all = append(all, wide)
	}
	return all
}

// filled returns a float32 tensor of numbers in [-1, 1).
func filled(t *testing.T, d device.Device, n int) *device.Tensor {
	t.Helper()
	values := make([]float32, n)
	for i := range values {
		values[i] = 2*device.Uniform(device.RandomWord(4, device.StreamShuffle, 0, uint64(i))) - 1
	}
	x := created(d.NewTensor(device.Float32, n))(t)
	if err := d.Upload(x, device.Bytes(values)); err != nil {
		t.Fatal(err)
	}
	return x
}

func gradients(n *nn.Network) (all []*device.Tensor) {
	for _, p := range n.Params() {
		if p.Grad != nil {
			all = append(all, p.Grad)
		}
	}
	return all
}

// Layers that are composed of small plans compute on the software emulation (or a GPU) what the references do, in all
// types. In 16 bits a number is rounded some twenty times on its way through the network, each time by at most the unit
// roundoff of its size.
func TestComposedLayers(t *testing.T) {
	d := anyDevice(t, WithDeterministic(), WithPrecision(FP32))
	want := composedStep(t, reference.NewHost(), device.Float32)
	for dtype, bound := range map[device.DType]float64{device.Float32: 64 * 0x1p-24, device.Float16: 32 * 0x1p-11, device.BFloat16: 32 * 0x1p-8} {
		for i, got := range composedStep(t, d, dtype) {
			var off, size float64
			for k, w := range want[i] {
				off += (got[k] - w) * (got[k] - w)
				size += w * w
			}
			if off := math.Sqrt(off / size); !(off <= bound) {
				t.Errorf("%v: result %d is off by %.3g of its length, where %.3g is allowed", dtype, i, off, bound)
			}
		}
	}
}

// created unwraps what a New method of a device returned.
func created[P any](p P, err error) func(t *testing.T) P {
	return func(t *testing.T) P {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
}
