//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"os"
	"testing"

	"trainer/gpu/internal/emulated"
	"trainer/nn/device"
)

// The tests of this package run on package cudasim, a software emulation of the driver, cuBLAS and cuDNN: no GPU is
// involved, and nothing here says that one gives the same results. Wrong calls that the emulation detects fail the
// test. Without a C++ compiler to build the emulation, the tests are skipped.
//
// With TRAINER_TEST_GPU=1 in the environment, the tests that make sense on a GPU run on this machine's first GPU
// instead, and the others are skipped.

// gpuVariable asks for tests on a GPU.
const gpuVariable = emulated.GPUVariable

// emulate is emulated.Use.
func emulate(t testing.TB, settings string) {
	t.Helper()
	emulated.Use(t, settings)
}

// configure changes the emulation's settings.
func configure(t testing.TB, settings string) {
	t.Helper()
	emulated.Configure(t, settings)
}

// openEmulated opens a device, and closes it at once.
func openEmulated(index int, opts ...Option) (device.Info, error) {
	d, err := New(index, opts...)
	if err != nil {
		return device.Info{}, err
	}
	return d.Info(), d.Close()
}

// newDevice returns a device of the software emulation for a test, which computes in FP32 unless an option says otherwise.
func newDevice(t testing.TB, opts ...Option) *Device {
	t.Helper()
	emulate(t, "")
	return open(t, inFP32(opts)...)
}

// inFP32 returns the options with a precision that compares with the CPU's, unless they have one.
func inFP32(opts []Option) []Option { return append([]Option{WithPrecision(FP32)}, opts...) }

// anyDevice is newDevice, or opens a GPU if the environment asks for one. On the emulation tensors are freed early,
// because it checks the guard words of all existing tensors after each kernel.
func anyDevice(t testing.TB, opts ...Option) *Device {
	t.Helper()
	if os.Getenv(gpuVariable) == "" {
		d := newDevice(t, opts...)
		d.heap.least = 1 << 20
		return d
	}
	d := open(t, inFP32(opts)...)
	t.Logf("on %s, %q", d.Info().Description, d.Info().Features)
	return d
}

// open opens device 0, and closes it after the test.
func open(t testing.TB, opts ...Option) *Device {
	t.Helper()
	d, err := New(0, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d.(*Device)
}
