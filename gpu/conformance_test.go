//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	stdflag "flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"trainer/gpu/cudasim"
	"trainer/kernels"
	"trainer/nn/device/devicetest"
)

// TestConformance runs the suite that every device passes, on the software emulation (or on a GPU, see
// emulation_test.go). Tile allows for Winograd's method, with tiles of up to 4 pixels, which the emulation doesn't use.
//
// On the emulation, the suite repeats every run with threads and blocks in the opposite order, which must give the same
// bits, and launches every kernel of this project at least once.
func TestConformance(t *testing.T) {
	opt := devicetest.Options{Tile: 4}
	emulated := os.Getenv(gpuVariable) == ""
	if emulated {
		opt.BeforeRepeat = reverseThreads(t)
	}
	devicetest.RunAllWith(t, anyDevice(t, WithDeterministic()), opt)
	if all := !strings.Contains(stdflag.Lookup("test.run").Value.String(), "/"); !all || !emulated {
		return
	}
	for _, m := range kernels.Modules() {
		for _, k := range m.Kernels {
			if cudasim.Calls(string(k.Name)) == 0 {
				t.Errorf("no case of the suite launches the kernel %s of %s: add one, or delete the kernel", k.Name, m.Source)
			}
		}
	}
}

// reverseThreads returns a function that makes the emulation run threads and blocks in descending order, and in ascending
// order again with the next call.
func reverseThreads(t *testing.T) func() {
	descending := 0
	return func() {
		descending = 1 - descending
		configure(t, fmt.Sprintf("order=%d", descending))
	}
}

// TestPlansAllocateNothing checks that the calls of a training step allocate nothing on the
// heap, on the software emulation (or on a GPU).
func TestPlansAllocateNothing(t *testing.T) {
	devicetest.RunAllocations(t, anyDevice(t))
}

// On the software emulation, which always multiplies in float32, a float32 network gives the same results in every
// precision.
func TestFloat32OfEveryPrecision(t *testing.T) {
	var want []float32
	for _, precision := range []Precision{FP32, TF32, Auto, FP16, BF16} {
		t.Run(precision.String(), func(t *testing.T) {
			n := newSmallNet(t, newDevice(t, WithPrecision(precision)), true)
			n.step()
			got := n.weights()
			if want == nil {
				want = got
			}
			same(t, got, want)
		})
	}
}
