//go:build cuda && linux && cgo && (amd64 || arm64)

// Package training has the tests that train networks on the CUDA device, and compare them with the CPU device. They are
// apart from those of package gpu so that go test runs the two at the same time: a process has one emulation, on which
// tests run one after the other.
//
// They run on package cudasim, a software emulation of the driver, cuBLAS and cuDNN. With TRAINER_TEST_GPU=1 in the
// environment, those that make sense on a GPU run on this machine's first GPU instead, and the others are skipped.
package training

import (
	"testing"

	"trainer/cpu"
	"trainer/gpu"
	"trainer/gpu/internal/emulated"
	"trainer/nn/device"
)

// newCPU returns a CPU device for a test.
func newCPU(t *testing.T) device.Device {
	t.Helper()
	dev, err := cpu.New(cpu.WithThreads(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	return dev
}

// newDevice returns a device of the software emulation for a test, which computes in FP32 unless an option says otherwise.
func newDevice(t testing.TB, opts ...gpu.Option) *gpu.Device {
	t.Helper()
	emulated.Use(t, "")
	return open(t, opts...)
}

// anyDevice is newDevice, or opens a GPU if the environment asks for one.
func anyDevice(t testing.TB, opts ...gpu.Option) *gpu.Device {
	t.Helper()
	if !emulated.OnGPU() {
		return newDevice(t, opts...)
	}
	d := open(t, opts...)
	t.Logf("on %s, %q", d.Info().Description, d.Info().Features)
	return d
}

// open opens device 0 with a precision that compares with the CPU's, unless an option has another, and closes it after
// the test.
func open(t testing.TB, opts ...gpu.Option) *gpu.Device {
	t.Helper()
	d, err := gpu.New(0, append([]gpu.Option{gpu.WithPrecision(gpu.FP32)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d.(*gpu.Device)
}

// same checks that numbers are equal.
func same(t *testing.T, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d numbers, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("number %d of %d is %v, want %v", i, len(want), got[i], want[i])
		}
	}
}
