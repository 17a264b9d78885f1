//go:build cuda && linux && cgo && (amd64 || arm64)

// Package require knows which drivers, GPUs and precisions the CUDA device can work with.
package require

import (
	"fmt"
	"strconv"
	"strings"

	"trainer/gpu/internal/cuda"
	"trainer/nn/device"
)

// oldestDriver is the first CUDA version whose driver accepts the PTX of package kernels.
const oldestDriver = 12010

// Driver returns an error that names the remedy if the driver is too old.
func Driver() error {
	version, err := cuda.DriverVersion()
	if err != nil {
		return err
	}
	if version < oldestDriver {
		return Unsupported("the driver is for CUDA %d.%d, 12.1 or newer is needed: update the NVIDIA driver to 530 or newer",
			version/1000, version%1000/10)
	}
	return nil
}

// GPU returns an error if the GPU can't run the kernels.
func GPU(p cuda.Properties) error {
	if 10*p.Major+p.Minor < 75 {
		return Unsupported("the %s has compute capability %d.%d, 7.5 or newer is needed", p.Name, p.Major, p.Minor)
	}
	return nil
}

// Libraries returns an error that names the remedy if cuBLAS or cuDNN, which are loaded, are for a newer CUDA than the driver.
func Libraries() error {
	version, err := cuda.DriverVersion()
	if err != nil {
		return err
	}
	for _, l := range cuda.Libraries() {
		of := l.CUDA
		if l.Name == "libcublas" {
			of = l.Version // it has CUDA's major version
		}
		major, _, _ := strings.Cut(of, ".")
		if n, err := strconv.Atoi(major); err == nil && n > version/1000 {
			return Unsupported("%s is for CUDA %d, the driver for CUDA %d.%d: install the package for CUDA %d, or update the NVIDIA driver",
				l.File, n, version/1000, version%1000/10, version/1000)
		}
	}
	return nil
}

// Ampere is the compute capability, times 10, from which tensor cores take TF32 and bfloat16.
const Ampere = 80

// Precision resolves a precision for a GPU: it returns the precision that Auto stands for, and whether float32 operands
// are multiplied in FP32 or TF32.
func Precision(asked device.Precision, p cuda.Properties) (settled, float32Operands device.Precision, err error) {
	if !asked.Valid() {
		return 0, 0, Unsupported("precision %d: want %s", uint8(asked), device.PrecisionNames())
	}
	capability := 10*p.Major + p.Minor
	float32Operands = device.FP32
	if capability >= Ampere {
		float32Operands = device.TF32
	}
	instead := map[device.Precision]device.Precision{device.TF32: device.FP32, device.BF16: device.FP16}
	if other, needs := instead[asked]; needs && capability < Ampere {
		return 0, 0, Unsupported("precision %v needs compute capability 8.0, the %s has %d.%d: use %v", asked, p.Name, p.Major, p.Minor, other)
	}
	switch asked {
	case device.Auto:
		return float32Operands, float32Operands, nil
	case device.FP32, device.TF32:
		return asked, asked, nil
	}
	return asked, float32Operands, nil
}

// Unsupported returns an error that is a device.ErrNotSupported.
func Unsupported(format string, args ...any) error {
	return notSupported(fmt.Sprintf(format, args...))
}

type notSupported string

func (e notSupported) Error() string { return string(e) }

// Is reports whether target is device.ErrNotSupported.
func (e notSupported) Is(target error) bool { return target == device.ErrNotSupported }
