//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"testing"

	"trainer/nn/device/devicetest"
)

// TestConformance runs the suite that every device passes, on the software emulation (or on a GPU, see
// emulation_test.go). Tile allows for Winograd's method, with tiles of up to 4 pixels, which the emulation doesn't use.
func TestConformance(t *testing.T) {
	devicetest.RunAllWith(t, anyDevice(t, WithDeterministic()), devicetest.Options{Tile: 4})
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
