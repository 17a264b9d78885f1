//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"errors"
	"strings"
	"testing"

	"trainer/gpu/cudasim"
	"trainer/nn/device"
)

// loadModule is the driver's function.
const loadModule = "cuModuleLoadDataEx"

// A driver that takes cubins gets those for its GPU. The software emulation refuses those for another one, and runs the sources in
// any case.
func TestCubinOfTheGPU(t *testing.T) {
	for settings, want := range map[string]string{
		"cc=75; cubins=1":  "cubins for compute capability 7.5",
		"cc=89; cubins=1":  "cubins for compute capability 8.0",
		"cc=90; cubins=1":  "cubins for compute capability 9.0",
		"cc=103; cubins=1": "cubins for compute capability 10.0",
		"cc=120; cubins=1": "cubins for compute capability 12.0",
		"cc=110; cubins=1": "PTX, which the driver compiles (there are no cubins for compute capability 11.0)",
	} {
		t.Run(settings, func(t *testing.T) {
			emulate(t, settings)
			d := open(t, inFP32(nil)...)
			if got := d.KernelCode(); got != "none" {
				t.Errorf("before the first plan: %s", got)
			}
			before := cudasim.Calls(loadModule)
			newSmallNet(t, d, true).step()
			if err := d.Sync(); err != nil {
				t.Error(err)
			}
			if got := d.KernelCode(); got != want {
				t.Errorf("kernels are loaded as %s, want %s", got, want)
			}
			if calls := cudasim.Calls(loadModule) - before; int(calls) != len(d.code.modules) || calls < 5 {
				t.Errorf("%d calls load %d modules", calls, len(d.code.modules))
			}
		})
	}
}

// If the driver refuses a cubin, that module and all others are loaded as PTX.
func TestCubinIsRefused(t *testing.T) {
	for _, settings := range []string{"", "cubins=1; fail=" + loadModule + "#1:INVALID_IMAGE", "cubins=1; fail=" + loadModule + "#1:NOT_SUPPORTED"} {
		t.Run(settings, func(t *testing.T) {
			emulate(t, settings)
			d := open(t, inFP32(nil)...)
			before := cudasim.Calls(loadModule)
			newSmallNet(t, d, true).step()
			if err := d.Sync(); err != nil {
				t.Error(err)
			}
			if calls := cudasim.Calls(loadModule) - before; int(calls) != len(d.code.modules)+1 {
				t.Errorf("%d calls load %d modules, want one more, for the cubin that is refused", calls, len(d.code.modules))
			}
			if got := d.KernelCode(); !strings.HasPrefix(got, "PTX, which the driver compiles (loading the cubin of kernels ") {
				t.Errorf("kernels are loaded as %s", got)
			}
		})
	}
}

// A lack of memory is not the fault of a cubin.
func TestNoMemoryForCubin(t *testing.T) {
	emulate(t, "cubins=1; fail="+loadModule+"#1:OUT_OF_MEMORY")
	d := open(t)
	if _, err := d.NewSoftmax(device.SoftmaxSpec{N: 1, Classes: 2}); !errors.Is(err, device.ErrOutOfMemory) {
		t.Errorf("error %v, want %v", err, device.ErrOutOfMemory)
	}
}
