//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	cudnn "gorgonia.org/cu/dnn"

	"trainer/gpu/internal/cuda"
	"trainer/nn/device"
)

// What convolutions and matrix products multiply in. Products of two 16-bit numbers are exact in float32, so that
// only float32 factors leave a choice: as they are, or rounded to TF32 for tensor cores.

// ampere is the compute capability, times 10, from which tensor cores take TF32 and bfloat16.
const ampere = 80

// settle checks that the GPU can do the precision that was asked for, and replaces Auto.
func (d *Device) settle(p cuda.Properties) error {
	if int(d.precision) >= len(precisionNames) {
		return unsupported("precision %d: %s", uint8(d.precision), wantPrecision)
	}
	capability := 10*p.Major + p.Minor
	d.factors = FP32
	if capability >= ampere {
		d.factors = TF32
	}
	instead := map[Precision]Precision{TF32: FP32, BF16: FP16}
	if other, needs := instead[d.precision]; needs && capability < ampere {
		return unsupported("precision %v needs compute capability 8.0, the %s has %d.%d: use %v", d.precision, p.Name, p.Major, p.Minor, other)
	}
	switch d.precision {
	case Auto:
		d.precision = d.factors
	case FP32, TF32:
		d.factors = d.precision
	}
	return nil
}

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
