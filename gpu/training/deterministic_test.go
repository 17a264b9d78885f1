//go:build cuda && linux && cgo && (amd64 || arm64)

package training

import (
	"encoding/json"
	"testing"

	"trainer/gpu"
	"trainer/gpu/cudasim"
	"trainer/gpu/internal/emulated"
	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/device"
)

// With -deterministic a training has the same bits in every run, whatever the order in which a GPU happens to run blocks and
// threads: the software emulation runs them in ascending and in descending order. That is also true for algorithms that were
// measured in an earlier run, which no later run measures again.
func TestDeterministicBits(t *testing.T) {
	if emulated.OnGPU() {
		t.Skip("tests the order of threads, which a GPU chooses itself")
	}
	for _, name := range []string{"conv, pool, dense", "norm, GELU, dropout, Adam"} {
		cfg := parityCases()[name]
		t.Run(name, func(t *testing.T) {
			t.Setenv("XDG_CACHE_HOME", t.TempDir())
			cfg.Epochs, cfg.Batch, cfg.Seed, cfg.DType = 1, 8, 11, device.Float16
			cfg.Loss = nn.CrossEntropy{}
			cfg.Data = &data.Dataset{Name: "stripes", Train: stripes(36, 1), Test: stripes(9, 2)}
			run := func(settings string, opts ...gpu.Option) (weights []float32, chosen []byte, searches uint64) {
				t.Helper()
				emulated.Use(t, settings)
				searched := func() uint64 {
					return cudasim.Calls("cuEventElapsedTime") + cudasim.Calls("cudnnFindConvolutionForwardAlgorithmEx")
				}
				before := searched()
				d := open(t, append(opts, gpu.WithPrecision(gpu.FP16), gpu.WithDeterministic())...)
				c := cfg
				c.Device = d
				weights, chosen = runOf(t, c), d.ChosenAlgorithms()
				if err := d.Close(); err != nil {
					t.Fatal(err)
				}
				return weights, chosen, searched() - before
			}
			want, _, _ := run("order=0; cc=90")
			got, _, _ := run("order=1; cc=90")
			same(t, got, want)

			want, measured, searches := run("order=0; cc=90", gpu.WithAutotune())
			if searches == 0 || measured == nil {
				t.Fatalf("the first run measures %d times and chooses %s", searches, measured)
			}
			got, cached, again := run("order=1; cc=90", gpu.WithAutotune())
			same(t, got, want)
			if again != 0 {
				t.Errorf("the second run measures %d times", again)
			}
			first := entries(t, measured)
			for key, e := range entries(t, cached) {
				if first[key] != e {
					t.Errorf("%s: the second run takes %s, the first %s", key, e, first[key])
				}
			}
		})
	}
}

// entries returns the choices that a device made, by convolution.
func entries(t *testing.T, chosen []byte) map[string]string {
	t.Helper()
	var all map[string]json.RawMessage
	if err := json.Unmarshal(chosen, &all); err != nil || len(all) == 0 {
		t.Fatalf("the choices are %s, %v", chosen, err)
	}
	texts := map[string]string{}
	for key, e := range all {
		texts[key] = string(e)
	}
	return texts
}
