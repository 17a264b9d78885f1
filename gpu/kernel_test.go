//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"math"
	"slices"
	"testing"

	"gorgonia.org/cu"

	transforms "trainer/nn/augment"
	"trainer/nn/device"
	"trainer/nn/device/devicetest"
)

// What kernels do that the conformance suite doesn't ask of every device.

// Elementwise kernels take tensors at any address. These tensors begin one element after an aligned address, where no
// vector may be loaded or stored.
func TestUnalignedTensors(t *testing.T) {
	d := &unalignedDevice{Device: anyDevice(t, WithDeterministic())}
	run := []string{"activation", "weighted sum", "map", "dropout", "cast"}
	for _, op := range devicetest.Operations() {
		if slices.Contains(run, op.Name) {
			t.Run(op.Name, func(t *testing.T) { devicetest.RunOperation(t, d, devicetest.Options{}, op) })
		}
	}
}

// unalignedDevice is a device whose tensors begin one element after the address of their memory.
type unalignedDevice struct {
	*Device
	held []*memory // whose addresses are in use
}

func (d *unalignedDevice) NewTensor(dtype device.DType, shape ...int) (*device.Tensor, error) {
	n := 1
	for _, s := range shape {
		n *= s
	}
	whole, err := d.Device.NewTensor(dtype, n+1)
	if err != nil {
		return nil, err
	}
	m := whole.Memory().(*memory)
	d.held = append(d.held, m)
	size := int64(dtype.Size())
	return device.WrapTensor(dtype, &memory{owner: m.owner, address: m.address + cu.DevicePtr(size), bytes: m.bytes - size, whole: m}, shape...), nil
}

// The id of an image that is not in the data set gives an image of NaN and the label -1: checking ids on the host would
// mean waiting for the GPU.
func TestImagesThatAreNotThere(t *testing.T) {
	const h, w, c, set = 5, 4, 3, 2
	d := anyDevice(t, WithDeterministic())
	ids := []int32{-1, 1, 2, math.MaxInt32, math.MinInt32}
	n := len(ids)
	tensor := func(dtype device.DType, content []byte, shape ...int) *device.Tensor {
		x := created(d.NewTensor(dtype, shape...))(t)
		if err := d.Upload(x, content); err != nil {
			t.Fatal(err)
		}
		return x
	}
	pixels := make([]byte, set*h*w*c)
	for i := range pixels {
		pixels[i] = byte(device.RandomWord(1, 0, 0, uint64(i)))
	}
	images, at := tensor(device.Uint8, pixels, set, h, w, c), tensor(device.Int32, device.Bytes(ids), n)
	mean, std := []float32{0.5, 0.4, 0.3}, []float32{1, 2, 3}
	y := created(d.NewTensor(device.Float32, n, h, w, c))(t)
	check := func(what string) {
		t.Helper()
		got := floats(t, d, y)
		for i, v := range got {
			if wrong := i/(h*w*c) != 1; wrong != math.IsNaN(float64(v)) {
				t.Fatalf("%s: element %d of image %d, number %d of %d, is %v", what, i%(h*w*c), i/(h*w*c), ids[i/(h*w*c)], set, v)
			}
		}
	}
	a := created(d.NewAugment(device.AugmentSpec{N: n, H: h, W: w, C: c, Mean: mean, Std: std, Flip: device.FlipRandom, Crop: 1, Gather: true}))(t)
	a.Normalize(y, images, at, 0, 0, false)
	check("normalized")
	a.Train(y, images, at, tensor(device.Int32, device.Bytes([]int32{3}), 1))
	check("augmented")
	labels := created(d.NewTensor(device.Int32, n))(t)
	a.GatherLabels(labels, tensor(device.Int32, device.Bytes([]int32{40, 41}), set), at)
	numbers := make([]int32, n)
	if err := d.Download(device.Bytes(numbers), labels); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(numbers, []int32{-1, 41, -1, -1, -1}) {
		t.Errorf("labels %v", numbers)
	}

	spec := device.TransformSpec{N: n, H: h, W: w, C: c, Mean: mean, Std: std, Ops: transforms.Brightness{}.Ops(), Classes: 2, Gather: true}
	p := created(d.NewTransform(spec))(t)
	drawn := tensor(device.Float32, make([]byte, 4*n*spec.Columns()), n, spec.Columns())
	p.Run(y, images, at, drawn)
	check("transformed")
	targets := created(d.NewTensor(device.Float32, n, 2))(t)
	p.Targets(targets, tensor(device.Int32, device.Bytes([]int32{1, 2, -1, 0, 1}), n), drawn)
	for i, v := range floats(t, d, targets) {
		want := []float64{0, 1, math.NaN(), math.NaN(), math.NaN(), math.NaN(), 1, 0, 0, 1}[i]
		if float64(v) != want && !(math.IsNaN(want) && v != v) {
			t.Errorf("target %d is %v, want %v", i, v, want)
		}
	}
}

// A NaN output makes the loss NaN; it counts as the largest only at index 0, where a loop that looks for a larger element
// begins.
func TestLossOfNaN(t *testing.T) {
	d := anyDevice(t, WithDeterministic())
	nan := float32(math.NaN())
	loss := created(d.NewLoss(device.LossSpec{Kind: device.SoftmaxCrossEntropy, N: 1, Classes: 3}))(t)
	z, label := created(d.NewTensor(device.Float32, 1, 3))(t), created(d.NewTensor(device.Int32, 1))(t)
	stats := created(d.NewTensor(device.Float32, device.StatsLen))(t)
	for _, c := range []struct {
		z       [3]float32
		label   int32
		correct float32
	}{
		{[3]float32{nan, 1, 2}, 0, 1}, {[3]float32{nan, 1, 2}, 2, 0}, {[3]float32{1, nan, 2}, 2, 1},
		{[3]float32{3, nan, nan}, 0, 1}, {[3]float32{nan, nan, nan}, 0, 1},
	} {
		for x, content := range map[*device.Tensor][]byte{z: device.Bytes(c.z[:]), label: device.Bytes([]int32{c.label})} {
			if err := d.Upload(x, content); err != nil {
				t.Fatal(err)
			}
		}
		d.Zero(stats)
		loss.Forward(stats, z, label, nil)
		if got := floats(t, d, stats); got[0] == got[0] || got[1] != c.correct {
			t.Errorf("outputs %v, label %d: loss %v, correct %v; want NaN, %v", c.z, c.label, got[0], got[1], c.correct)
		}
	}
}

// floats returns the numbers of a float32 tensor.
func floats(t *testing.T, d *Device, x *device.Tensor) []float32 {
	t.Helper()
	numbers := make([]float32, x.Len())
	if err := d.Download(device.Bytes(numbers), x); err != nil {
		t.Fatal(err)
	}
	return numbers
}
