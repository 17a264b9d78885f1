//go:build cuda && linux && cgo && (amd64 || arm64)

package training

import (
	"testing"

	"trainer/gpu/cudasim"
	"trainer/nn/optim"
	"trainer/nn/train"
)

// makers are the driver's and the libraries' functions that make something.
var makers = []string{
	"cuMemAlloc_v2", "cuMemHostAlloc", "cuEventCreate", "cuModuleLoadDataEx", "cuModuleGetFunction", "cublasCreate_v2", "cudnnCreate",
	"cudnnCreateTensorDescriptor", "cudnnCreateFilterDescriptor", "cudnnCreateConvolutionDescriptor", "cudnnGetConvolutionForwardAlgorithm_v7",
	"cudnnBackendCreateDescriptor", "cuGraphInstantiateWithFlags",
}

// made returns how often each of the makers was called.
func made() map[string]uint64 {
	counts := map[string]uint64{}
	for _, name := range makers {
		counts[name] = cudasim.Calls(name)
	}
	return counts
}

// A training with a second seed, on the software emulation, makes no plan, no module and no memory, records no step, and copies neither
// data sets nor anything else of their size to the device. It has the bits of a training by itself. Its work changes on the way, when the
// training of the first layer ends.
func TestSecondSeed(t *testing.T) {
	var alone []float32
	for _, sharing := range []bool{false, true} {
		d := newDevice(t)
		cfg := epochConfig(d)
		cfg.Epochs = 1
		cfg.Optimizer.Clip = optim.Clip{} // which needs all gradients
		cfg.Optimizer.Groups = []optim.Group{{Match: "conv1.*", UntilEpoch: 0.5}}
		images, tests := cfg.Data.Train.Len(), cfg.Data.Test.Len()
		h, w, c := cfg.Data.Train.ImageShape()
		if !sharing {
			cfg.Seed = 6
			alone = runOf(t, cfg)
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			continue
		}
		shared := &train.Shared{}
		cfg.Shared = shared
		cfg.Seed = 5
		graphs := cudasim.Calls("cuGraphInstantiateWithFlags")
		runOf(t, cfg)
		if n := cudasim.Calls("cuGraphInstantiateWithFlags") - graphs; n != 2 {
			t.Errorf("the first seed records %d steps, want one before and one after the end of the first layer's training", n)
		}
		before := made()
		cudasim.KeepJournal()
		cfg.Seed = 6
		got := runOf(t, cfg)
		var copied int64
		for _, work := range cudasim.Journal() {
			if work.Kind == "copy" {
				copied = max(copied, work.Written)
			}
		}
		same(t, got, alone)
		for name, n := range made() {
			if n != before[name] {
				t.Errorf("the second seed calls %s %d times", name, n-before[name])
			}
		}
		if copied >= int64(min(images, tests)*h*w*c) {
			t.Errorf("the second seed copies %d bytes at once: a data set is %d", copied, tests*h*w*c)
		}
		shared.Close()
	}
}

// runOf trains, and returns the weights.
func runOf(t *testing.T, cfg train.Config) []float32 {
	t.Helper()
	r, err := train.Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return trained(t, r)
}
