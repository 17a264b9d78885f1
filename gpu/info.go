//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"fmt"

	"trainer/gpu/internal/cuda"
	"trainer/nn/device"
)

// emulation is the name that the driver of package cudasim gives its devices. Only this line knows about the emulation:
// everything else uses device.Info.Emulated.
const emulation = "software emulation"

// describe names the GPU, the precision and the libraries.
func describe(p cuda.Properties, precision Precision) device.Info {
	info := device.Info{
		Description: p.Name,
		Features:    []string{precision.String(), fmt.Sprintf("compute capability %d.%d", p.Major, p.Minor)},
		Memory:      p.Memory,
		Emulated:    p.Name == emulation,
	}
	for _, l := range cuda.Libraries() {
		switch {
		case l.Version == "":
		case l.Name == "libcuda":
			info.Features = append(info.Features, "driver for CUDA "+l.Version)
		case l.Name == "libcublas":
			info.Features = append(info.Features, "cuBLAS "+l.Version)
		case l.Name == "libcudnn":
			info.Features = append(info.Features, "cuDNN "+l.Version)
		}
	}
	return info
}
