//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"errors"
	"fmt"

	"trainer/gpu/internal/cuda"
	"trainer/kernels"
	"trainer/nn/device"
)

// A module of kernels is loaded as a cubin, machine code that the GPU runs as it is, if package kernels has one for the GPU's
// architecture. Otherwise, and if the driver refuses a cubin, as those of some embedded GPUs do, it is loaded as PTX. The driver
// compiles PTX, which takes a second or two for all modules of a network, and keeps the result on disk for the next time.

// cubins is what is known of the cubins that were loaded.
type cubins struct {
	of      int   // architecture of the first, such as 80; 0 if none was loaded
	refused error // why the driver refused one; no others are tried then
}

// load loads a module. Memory that is short and a lost device are not the fault of a cubin.
func (c *code) load(m kernels.Module) (*cuda.Module, error) {
	if c.cubins.refused == nil {
		if cubin, of := m.Cubin(c.architecture); cubin != nil {
			loaded, err := cuda.LoadModule(fmt.Sprintf("the cubin of kernels %s for %s", m.Name, capability(of)), string(cubin))
			switch {
			case err == nil:
				c.cubins.of = of
				return loaded, nil
			case errors.Is(err, device.ErrOutOfMemory), errors.Is(err, device.ErrLost):
				return nil, err
			}
			c.cubins.refused = err
		}
	}
	return cuda.LoadModule("kernels "+m.Name, string(m.PTX()))
}

// KernelCode says in what form the device has loaded its own kernels so far: "cubins for compute capability 9.0", or PTX and why.
func (d *Device) KernelCode() string {
	switch c := d.code; {
	case c.cubins.refused != nil:
		return fmt.Sprintf("PTX, which the driver compiles (%v)", c.cubins.refused)
	case c.cubins.of > 0:
		return "cubins for " + capability(c.cubins.of)
	case len(c.modules) > 0:
		return fmt.Sprintf("PTX, which the driver compiles (there are no cubins for %s)", capability(c.architecture))
	}
	return "none"
}

// capability returns an architecture as text, "compute capability 9.0" for 90.
func capability(architecture int) string {
	return fmt.Sprintf("compute capability %d.%d", architecture/10, architecture%10)
}
