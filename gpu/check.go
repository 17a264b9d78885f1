//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"fmt"

	"trainer/nn/device"
)

// checkLength panics unless t is float32 with at most limit elements, and returns how
// many it has.
func checkLength(op, operand string, t *device.Tensor, limit int) int {
	if t == nil || t.DType() != device.Float32 || t.Len() > limit {
		panic(fmt.Sprintf("%s: %s is %v, want at most %d elements of float32", op, operand, t, limit))
	}
	return t.Len()
}

// checkRows panics unless t is float32 [n, c] with n at most limit, and returns n.
func checkRows(op, operand string, t *device.Tensor, limit, c int) int {
	device.Check(op, operand, t, device.Float32, -1, c)
	if t.Rows() > limit {
		panic(fmt.Sprintf("%s: %s is %v, the plan is for at most %d rows", op, operand, t, limit))
	}
	return t.Rows()
}

// checkImages panics unless t is float32 [n, h, w, c] with n at most limit, and returns n.
func checkImages(op, operand string, t *device.Tensor, limit, h, w, c int) int {
	device.Check(op, operand, t, device.Float32, -1, h, w, c)
	if t.Rows() > limit {
		panic(fmt.Sprintf("%s: %s is %v, the plan is for at most %d images", op, operand, t, limit))
	}
	return t.Rows()
}
