//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	cudnn "gorgonia.org/cu/dnn"

	"trainer/gpu/internal/cuda"
	"trainer/nn/device"
)

// The types in which convolutions and matrix products multiply. Products of two 16-bit numbers are exact in float32, so
// there is a choice only for float32 operands: unchanged, or rounded to TF32 for tensor cores.

// Precision returns the device's precision: the requested one, or the one that Auto stands for on this GPU.
func (d *Device) Precision() Precision { return d.precision }

// products returns the precision in which operands of a type are multiplied.
func (d *Device) products(t device.DType) Precision {
	switch t {
	case device.Float16:
		return FP16
	case device.BFloat16:
		return BF16
	}
	return d.factors
}

// math returns the math type in which cuDNN may multiply operands of a type, before an algorithm restricts it.
func (d *Device) math(t device.DType) cudnn.MathType {
	switch d.products(t) {
	case FP32:
		return cuda.FMAMath
	case TF32:
		return cuda.DefaultMath
	}
	return cuda.TensorOpMath
}

// compute returns the type in which cuBLAS multiplies operands of a type.
func (d *Device) compute(t device.DType) cuda.Compute {
	if d.products(t) == TF32 {
		return cuda.ComputeTF32
	}
	return cuda.ComputeFloat32
}
