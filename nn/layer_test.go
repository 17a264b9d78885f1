package nn_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"trainer/nn"
	"trainer/nn/device"
	"trainer/nn/device/reference"
)

// checkComposed checks what every layer must do: gradients against differences, the output's shape, fewer examples than
// it was built for, inference, steps without allocations, and 16 bits.
func checkComposed(t *testing.T, layer nn.Layer, in nn.Shape, out string) {
	t.Helper()
	if got, err := layer.OutputShape(in); err != nil || got.String() != out {
		t.Fatalf("the output of %v is %v, %v, want %s", in, got, err, out)
	}
	t.Run("gradients", func(t *testing.T) { checkLayer(t, newCPU(t), layer, in) })
	t.Run("network", func(t *testing.T) { checkInNetwork(t, layer, in) })
	t.Run("16-bit", func(t *testing.T) { check16Bit(t, layer, in) })
}

// around is a network with the layer in its middle: the input's gradient is needed, and memory is shared on both sides.
// No layer before a normalisation has a bias: it would have almost no effect, and its gradient would be rounding error.
func around(layer nn.Layer, in nn.Shape) nn.Layer {
	before := nn.Layer(nn.Dense{Out: in[0], NoBias: true})
	if len(in) == 3 {
		before = nn.Conv2D{OutC: in[2], Kernel: nn.Square(1), NoBias: true}
	}
	return nn.NewSequential(before, nn.Tanh{}, layer, nn.Tanh{}, nn.Flatten{}, nn.Dense{Out: 3})
}

func checkInNetwork(t *testing.T, layer nn.Layer, in nn.Shape) {
	dev := newCPU(t)
	const batch = 5
	opt := nn.Options{Input: in, Batch: batch, Training: true, Seed: 3, Loss: nn.CrossEntropy{}}
	training := compile(t, dev, around(layer, in), opt)
	opt.Training, opt.Loss = false, nil
	inference := compile(t, dev, around(layer, in), opt)
	x := newTensor(t, dev, random(4, batch*in.Len()), append([]int{batch}, in...)...)
	labels := newLabels(t, dev, 0, 1, 2, 0, 1)

	full := slices.Clone(download(t, dev, inference.Forward(x, nn.Inference)))
	if want := download(t, dev, training.Forward(x, nn.Inference)); !slices.Equal(full, want) {
		t.Errorf("compiled for inference the network gives %v, for training %v", full, want)
	}
	x.SetRows(2)
	for _, n := range []*nn.Network{training, inference} {
		if part := download(t, dev, n.Forward(x, nn.Inference)); !slices.Equal(part, full[:len(part)]) {
			t.Errorf("2 of 5 examples give %v, want %v", part, full[:len(part)])
		}
	}
	step := func(rows int) {
		x.SetRows(rows)
		labels.SetRows(rows)
		training.Forward(x, nn.Training)
		training.Loss(labels)
		training.Backward(labels)
		inference.Forward(x, nn.Inference)
	}
	if allocs := testing.AllocsPerRun(5, func() { step(5); step(3) }); allocs != 0 {
		t.Errorf("a step allocates %v times", allocs)
	}
}

// check16Bit compares a step in 16 bits, computed by the references, with that in float32. A number is rounded about
// ten times along the way, each time by at most the unit roundoff times its size.
func check16Bit(t *testing.T, layer nn.Layer, in nn.Shape) {
	memory := reference.HostMemory{}
	dev := struct {
		reference.HostMemory
		reference.Mixed
	}{memory, reference.MixedOn(memory)}
	const batch = 3
	step := func(dtype device.DType) (all [][]float32) {
		n := compile(t, dev, around(layer, in), nn.Options{Input: in, Batch: batch, Training: true, Seed: 3, Loss: nn.CrossEntropy{Sum: true}, DType: dtype})
		x := newTensor(t, dev, random(4, batch*in.Len()), append([]int{batch}, in...)...)
		x = inType(t, dev, x, dtype)
		labels := newLabels(t, dev, 0, 0, 0) // different labels would let the gradients of biases cancel
		all = append(all, slices.Clone(download(t, dev, n.Forward(x, nn.Training))))
		n.Loss(labels)
		n.Backward(labels)
		for _, p := range n.Params() {
			if p.Grad != nil {
				all = append(all, download(t, dev, p.Grad))
			}
		}
		return all
	}
	want := step(device.Float32)
	for dtype, bound := range map[device.DType]float64{device.Float16: 16 * 0x1p-11, device.BFloat16: 16 * 0x1p-8} {
		for i, got := range step(dtype) {
			var off, size float64
			for k, w := range want[i] {
				off += math.Pow(float64(got[k]-w), 2)
				size += math.Pow(float64(w), 2)
			}
			if off := math.Sqrt(off / max(size, 1e-4)); !(off <= bound) {
				t.Errorf("%v: result %d is off by %.3g of its length, where %.3g is allowed", dtype, i, off, bound)
			}
		}
	}
}

// inType returns x in another type.
func inType(t *testing.T, dev device.Device, x *device.Tensor, dtype device.DType) *device.Tensor {
	t.Helper()
	if dtype == device.Float32 {
		return x
	}
	y, err := dev.NewTensor(dtype, x.Shape()...)
	if err != nil {
		t.Fatal(err)
	}
	cast, err := dev.NewCast(device.CastSpec{From: device.Float32, To: dtype, Len: x.Len()})
	if err != nil {
		t.Fatal(err)
	}
	cast.Run(y, x)
	return y
}

// wantMisfit checks that the error of a layer that can't take its input says all of the words.
func wantMisfit(t *testing.T, layer nn.Layer, in nn.Shape, words ...string) {
	t.Helper()
	_, err := layer.OutputShape(in)
	for _, w := range words {
		if !strings.Contains(fmt.Sprint(err), w) {
			t.Errorf("%s %+v of %v: the error %q does not say %q", layer.Kind(), layer, in, fmt.Sprint(err), w)
		}
	}
}

// forward returns the output of a layer for a batch, with its parameters set.
func forward(t *testing.T, layer nn.Layer, in nn.Shape, x []float32, params ...[]float32) []float32 {
	t.Helper()
	dev := newCPU(t)
	batch := len(x) / in.Len()
	built, err := nn.BuildUnit(dev, layer, in, batch, 1)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range params {
		upload(t, dev, built.Params[i].Value, p)
	}
	return slices.Clone(download(t, dev, built.Unit.Forward(newTensor(t, dev, x, append([]int{batch}, in...)...), nn.Training)))
}

// wantNear reports elements that are further than 1e-5 from the wanted ones.
func wantNear(t *testing.T, got []float32, want ...float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d elements, want %d", len(got), len(want))
	}
	for i, w := range want {
		if !(math.Abs(float64(got[i])-w) <= 1e-5) {
			t.Errorf("element %d is %v, want %v", i, got[i], w)
		}
	}
}
