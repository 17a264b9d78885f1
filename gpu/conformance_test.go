//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"testing"

	"trainer/nn/device/devicetest"
)

// TestConformance runs the suite that every device passes, on the software emulation (or on a GPU, see
// emulation_test.go). Tile allows for Winograd's method, by tiles of up to 4 pixels, which the emulation hasn't.
func TestConformance(t *testing.T) {
	devicetest.RunAllWith(t, anyDevice(t, WithDeterministic()), devicetest.Options{Tile: 4})
}

// TestPlansAllocateNothing holds the promise that a training step makes no garbage, on the
// software emulation (or on a GPU).
func TestPlansAllocateNothing(t *testing.T) {
	devicetest.RunAllocations(t, anyDevice(t))
}

// A float32 network is computed the same with every precision on the software emulation, which multiplies in float32 always.
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
