//go:build cuda && linux && cgo && (amd64 || arm64)

// Package emulated lets a test of the device run on the software emulation of package cudasim. Only tests import it.
package emulated

import (
	"os"
	"testing"

	"trainer/gpu/cudasim"
	"trainer/gpu/internal/cuda"
)

// GPUVariable asks for tests on this machine's first GPU instead of the emulation.
const GPUVariable = "TRAINER_TEST_GPU"

// OnGPU reports whether the environment asks for tests on a GPU.
func OnGPU() bool { return os.Getenv(GPUVariable) != "" }

// Use makes this process use the software emulation, in its initial state except for the settings. Libraries are loaded
// once per process: those that another test has loaded stay loaded. Wrong calls that the emulation detects fail the test.
// Without a C++ compiler to build the emulation, or if the tests are to run on a GPU, the test is skipped.
func Use(t testing.TB, settings string) {
	t.Helper()
	if OnGPU() {
		t.Skipf("%s is set: this test is for the software emulation", GPUVariable)
	}
	t.Log("on the software emulation of CUDA, not on a GPU")
	os.Setenv(cudasim.PathVariable, cudasim.Build(t, cudasim.Options{}))
	if _, err := cuda.DriverVersion(); err != nil { // loads the driver
		t.Fatal(err)
	}
	cudasim.Reset()
	Configure(t, settings)
	cudasim.Watch(t)
	t.Cleanup(cudasim.Disarm)
}

// UseCounting is Use with kernels that tell which bytes they read and write (cudasim.Journal).
func UseCounting(t testing.TB, settings string) {
	t.Helper()
	Use(t, settings)
	Configure(t, "kernels="+cudasim.Build(t, cudasim.Options{Count: true}))
}

// Configure changes the emulation's settings.
func Configure(t testing.TB, settings string) {
	t.Helper()
	if err := cudasim.Configure(settings); err != nil {
		t.Fatal(err)
	}
}
