package recipe

import (
	"math"
	"slices"
	"testing"

	"trainer/cpu"
	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/device/reference"
	"trainer/nn/train"
)

// TestTrainsOnMemoryAlone trains some steps of the recipe mnist-basic on a device that has only memory and copies, and
// computes with package reference. The weights must equal the CPU's up to rounding: each step adds a few roundings of
// 2^-24 to weights below 1, and the rounding of gradients adds little to that.
func TestTrainsOnMemoryAlone(t *testing.T) {
	dev, err := cpu.New(cpu.WithThreads(1))
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	host := reference.NewHost()
	want, got := fewSteps(t, dev), fewSteps(t, host)
	for i := range want {
		if math.Abs(float64(got[i]-want[i])) > 1e-5 {
			t.Fatalf("weight %d is %v, on the CPU %v", i, got[i], want[i])
		}
	}
	if len(dev.Fallbacks()) != 0 {
		t.Errorf("the CPU lacks %q", dev.Fallbacks())
	}
	for _, operation := range []string{"conv2d", "pool2d", "matmul", "activation relu", "loss", "optimizer", "augment"} {
		if !slices.Contains(host.Fallbacks(), operation) {
			t.Errorf("the fallbacks %q do not name %s", host.Fallbacks(), operation)
		}
	}
}

// fewSteps trains mnist-basic for five steps on noise, and returns all weights.
func fewSteps(t *testing.T, dev device.Device) []float32 {
	t.Helper()
	r, err := LoadWith("mnist-basic", []string{"batch=4", "epochs=1"})
	if err != nil {
		t.Fatal(err)
	}
	set := &data.InMemory{Name: "noise", H: 28, W: 28, C: 1, ClassNames: make([]string, 10), Images: make([]byte, 20*28*28)}
	for i := range set.Images {
		set.Images[i] = byte(device.RandomWord(1, 0, 0, uint64(i)))
	}
	for i := range 20 {
		set.Labels = append(set.Labels, int32(i%10))
	}
	cfg := r.TrainConfig(dev, &data.Dataset{Name: "noise", Train: set}, 1)
	result, err := train.Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if result.Steps != 5 || !(result.FinalLoss > 0) {
		t.Errorf("%d steps with a mean loss of %v, want 5 and a positive one", result.Steps, result.FinalLoss)
	}
	var all []float32
	for _, p := range result.Network.Tensors() {
		values := make([]float32, p.Value.Len())
		if err := dev.Download(device.Bytes(values), p.Value); err != nil {
			t.Fatal(err)
		}
		all = append(all, values...)
	}
	return all
}
