package nn_test

import (
	"testing"

	"trainer/cpu"
	"trainer/nn"
	"trainer/nn/device"
)

// bare hides the optional interfaces of a device, so that nothing is fused.
type bare struct{ device.Device }

func newCPU(t testing.TB) *cpu.Device {
	t.Helper()
	dev, err := cpu.New(cpu.WithThreads(2))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := dev.Close(); err != nil {
			t.Error(err)
		}
	})
	return dev
}

func newTensor(t testing.TB, dev device.Device, values []float32, shape ...int) *device.Tensor {
	t.Helper()
	x, err := dev.NewTensor(device.Float32, shape...)
	if err != nil {
		t.Fatal(err)
	}
	upload(t, dev, x, values)
	return x
}

func newLabels(t testing.TB, dev device.Device, labels ...int32) *device.Tensor {
	t.Helper()
	x, err := dev.NewTensor(device.Int32, len(labels))
	if err != nil {
		t.Fatal(err)
	}
	upload(t, dev, x, labels)
	return x
}

func upload[T device.Element](t testing.TB, dev device.Device, x *device.Tensor, values []T) {
	t.Helper()
	if err := dev.Upload(x, device.Bytes(values)); err != nil {
		t.Fatal(err)
	}
}

func download(t testing.TB, dev device.Device, x *device.Tensor) []float32 {
	t.Helper()
	values := make([]float32, x.Len())
	if err := dev.Download(device.Bytes(values), x); err != nil {
		t.Fatal(err)
	}
	return values
}

func compile(t testing.TB, dev device.Device, model nn.Layer, opt nn.Options) *nn.Network {
	t.Helper()
	n, err := nn.Compile(dev, model, opt)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// random returns n numbers from [-1, 1).
func random(seed uint64, n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = 2*device.Uniform(device.RandomWord(seed, device.StreamShuffle, 0, uint64(i))) - 1
	}
	return v
}

// spread returns n different numbers in random order, gap apart from each other and at
// least gap/2 from 0: a step shorter than gap/2 crosses no kink of ReLU or max pooling.
func spread(seed uint64, n int, gap float32) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = (float32(i-n/2) + 0.5) * gap
	}
	for i := n - 1; i > 0; i-- {
		j := device.Below(device.RandomWord(seed, device.StreamShuffle, 1, uint64(i)), i+1)
		v[i], v[j] = v[j], v[i]
	}
	return v
}
