package device

import "fmt"

// Map, Reduce, Transpose, Gather and CopyColumns, and MatMul with a batch, are small plans: each reads its operands
// once and writes its result once. Layers, update rules and losses that have no operation of their own are composed of
// small plans. A fused operation is worth its code only if a benchmark shows that the composition is too slow.
//
// All small plans see a tensor as [batch, rows, c]: c is innermost, and the tensor's own shape does not matter, only
// its number of elements. The batch may be smaller at run time than in the spec; the actual size follows from the
// tensors.

// Axes is a set of the dimensions of [batch, rows, c].
type Axes uint8

// The dimensions.
const (
	AxisBatch Axes = 1 << iota
	AxisRows
	AxisC

	NoAxes  Axes = 0
	AllAxes      = AxisBatch | AxisRows | AxisC
)

// Len returns the number of elements of a tensor that has only these dimensions of [batch, rows, c].
func (a Axes) Len(batch, rows, c int) int {
	n := 1
	if a&AxisBatch != 0 {
		n *= batch
	}
	if a&AxisRows != 0 {
		n *= rows
	}
	if a&AxisC != 0 {
		n *= c
	}
	return n
}

// checkBatch panics unless t has a whole number of images of imageLen elements, at most limit images, and returns their
// number.
func checkBatch(op, operand string, t *Tensor, dtype DType, limit, imageLen int) int {
	if t == nil || t.dtype != dtype || t.Len()%imageLen != 0 || t.Len() > limit*imageLen {
		panic(fmt.Sprintf("%s: %s is %v, want %v with a multiple of %d elements, at most %d", op, operand, t, dtype, imageLen, limit*imageLen))
	}
	return t.Len() / imageLen
}
