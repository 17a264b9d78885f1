//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	cudnn "gorgonia.org/cu/dnn"

	"trainer/gpu/internal/cuda"
	"trainer/nn/device"
)

// What convolutions and matrix products multiply in. Products of two 16-bit numbers are exact in float32, so that
// only float32 factors leave a choice: as they are, or rounded to TF32 for tensor cores.

// Precision returns what the device computes in, which is what was asked for, or for Auto what that
// stands for on this GPU.
func (d *Device) Precision() Precision { return d.precision }

// products returns what factors of a type are multiplied in.
func (d *Device) products(t device.DType) Precision {
	switch t {
	case device.Float16:
		return FP16
	case device.BFloat16:
		return BF16
	}
	return d.factors
}

// math returns what cuDNN may multiply factors of a type in, before an algorithm says more.
func (d *Device) math(t device.DType) cudnn.MathType {
	switch d.products(t) {
	case FP32:
		return cuda.FMAMath
	case TF32:
		return cuda.DefaultMath
	}
	return cuda.TensorOpMath
}

// compute returns what cuBLAS multiplies factors of a type in.
func (d *Device) compute(t device.DType) cuda.Compute {
	if d.products(t) == TF32 {
		return cuda.ComputeTF32
	}
	return cuda.ComputeFloat32
}
