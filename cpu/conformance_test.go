package cpu

import (
	"fmt"
	"testing"

	"trainer/cpu/internal/simd"
	"trainer/nn/device/devicetest"
)

// newDevice returns a device for a test.
func newDevice(t testing.TB, opts ...Option) *Device {
	t.Helper()
	d, err := New(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// TestConformance runs the suite that every device must pass on every instruction set of
// this processor, and on the best one also with so many threads that some cases have
// fewer tasks than threads.
func TestConformance(t *testing.T) {
	for i, name := range simd.Available() {
		run(t, string(name), 2)
		if i == 0 {
			run(t, string(name), 1)
			run(t, string(name), 5)
		}
	}
}

// winogradTile is the side of the largest output tile of package winograd, in pixels.
const winogradTile = 4

func run(t *testing.T, instructions string, threads int) {
	t.Run(fmt.Sprintf("%s/threads=%d", instructions, threads), func(t *testing.T) {
		if testing.Short() && threads != 2 {
			t.Skip("short: two threads only")
		}
		d := newDevice(t, WithInstructions(instructions), WithThreads(threads))
		devicetest.RunAllWith(t, d, devicetest.Options{Tile: winogradTile})
	})
}

// TestPlansAllocateNothing enforces that a training step allocates nothing.
func TestPlansAllocateNothing(t *testing.T) {
	devicetest.RunAllocations(t, newDevice(t, WithThreads(2)))
}
