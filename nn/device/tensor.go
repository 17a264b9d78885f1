package device

import (
	"fmt"
	"slices"
)

// Tensor is a shape, an element type and a buffer on a device. Elements are contiguous in
// row-major order. The leading dimension, the rows, can be set lower than allocated, so
// that a smaller last batch uses the buffers of a full batch.
type Tensor struct {
	dtype   DType
	shape   []int
	rowLen  int // product of all dimensions but the first
	maxRows int
	memory  any
}

// WrapTensor is for implementations of Device: it makes a tensor over memory that the
// device has allocated, and whose type only the device knows.
func WrapTensor(dtype DType, memory any, shape ...int) *Tensor {
	if len(shape) == 0 {
		panic("device: a tensor needs at least one dimension")
	}
	rowLen := 1
	for i, d := range shape {
		if d < 1 {
			panic(fmt.Sprintf("device: tensor shape %v has a dimension below 1", shape))
		}
		if i > 0 {
			rowLen *= d
		}
	}
	return &Tensor{dtype: dtype, shape: slices.Clone(shape), rowLen: rowLen, maxRows: shape[0], memory: memory}
}

// DType returns the element type.
func (t *Tensor) DType() DType { return t.dtype }

// Shape returns the dimensions, which the caller must not change.
func (t *Tensor) Shape() []int { return t.shape }

// Dim returns dimension i.
func (t *Tensor) Dim(i int) int { return t.shape[i] }

// Rows returns the leading dimension.
func (t *Tensor) Rows() int { return t.shape[0] }

// MaxRows returns the largest leading dimension that fits the buffer.
func (t *Tensor) MaxRows() int { return t.maxRows }

// RowLen returns the elements in one row: the product of the other dimensions.
func (t *Tensor) RowLen() int { return t.rowLen }

// Len returns the number of elements in the current shape.
func (t *Tensor) Len() int { return t.shape[0] * t.rowLen }

// Memory returns the memory passed to WrapTensor; only the owning device knows its type.
func (t *Tensor) Memory() any { return t.memory }

// SetRows sets the leading dimension to n, 1 <= n <= MaxRows. Other views of the same
// memory keep their own.
func (t *Tensor) SetRows(n int) {
	if n < 1 || n > t.maxRows {
		panic(fmt.Sprintf("device: SetRows(%d) on a tensor of 1 to %d rows", n, t.maxRows))
	}
	t.shape[0] = n
}

// View returns another tensor over the same memory. The new shape may have fewer elements
// than the buffer, but not more.
func (t *Tensor) View(shape ...int) *Tensor {
	v := WrapTensor(t.dtype, t.memory, shape...)
	if v.Len() > t.maxRows*t.rowLen {
		panic(fmt.Sprintf("device: a view of shape %v needs %d elements, the tensor has %d", shape, v.Len(), t.maxRows*t.rowLen))
	}
	return v
}

// String describes the tensor without its contents, as in "float32[64 28 28 1]".
func (t *Tensor) String() string { return fmt.Sprintf("%v%v", t.dtype, t.shape) }

// Check panics unless t has the given element type and shape. -1 as a wanted dimension
// matches any size. The panic names the operation, the operand and both shapes.
func Check(op, operand string, t *Tensor, dtype DType, shape ...int) {
	if t == nil {
		panic(fmt.Sprintf("%s: %s is nil, want %v%v", op, operand, dtype, slices.Clone(shape)))
	}
	ok := t.dtype == dtype && len(t.shape) == len(shape)
	for i := 0; ok && i < len(shape); i++ {
		ok = shape[i] == -1 || shape[i] == t.shape[i]
	}
	if !ok {
		panic(fmt.Sprintf("%s: %s is %v, want %v%v", op, operand, t, dtype, slices.Clone(shape)))
	}
}

// CheckLen panics unless t has the given element type and number of elements.
func CheckLen(op, operand string, t *Tensor, dtype DType, n int) {
	if t == nil {
		panic(fmt.Sprintf("%s: %s is nil, want %d elements of %v", op, operand, n, dtype))
	}
	if t.dtype != dtype || t.Len() != n {
		panic(fmt.Sprintf("%s: %s is %v, want %d elements of %v", op, operand, t, n, dtype))
	}
}
