//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"fmt"

	"trainer/gpu/internal/cuda"
	"trainer/gpu/internal/require"
	"trainer/kernels"
	"trainer/nn/device"
)

// The float types of tensors, and their names in the kernels and in cuDNN and cuBLAS.

func isFloat(t device.DType) bool {
	return t == device.Float32 || t == device.Float16 || t == device.BFloat16
}

// floatType returns a spec's DType, or Float32 for 0, and panics unless it is a float type.
func floatType(op string, t device.DType) device.DType {
	if t = t.OrFloat32(); !isFloat(t) {
		panic(fmt.Sprintf("gpu: %s: elements of %v, want float32, float16 or bfloat16", op, t))
	}
	return t
}

// storage returns the kernels' name for a float type.
func storage(t device.DType) kernels.Storage {
	switch t {
	case device.Float16:
		return kernels.Float16
	case device.BFloat16:
		return kernels.BFloat16
	}
	return kernels.Float32
}

// dataType returns the name of a float type in cuDNN and cuBLAS.
func dataType(t device.DType) cuda.DataType {
	switch t {
	case device.Float16:
		return cuda.Float16
	case device.BFloat16:
		return cuda.BFloat16
	}
	return cuda.Float32
}

// stores reports whether the GPU supports a float type, and records an error if not.
func (b *builder) stores(t device.DType) {
	if c := b.d.code.architecture; b.err == nil && t == device.BFloat16 && c < require.Ampere {
		b.err = unsupported("elements of %v need compute capability 8.0, the GPU has %d.%d: use %v", t, c/10, c%10, device.Float16)
	}
}
