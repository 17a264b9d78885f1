package device

import "fmt"

// TransposeSpec swaps the two inner dimensions: y[n,j,i] = x[n,i,j].
type TransposeSpec struct {
	Batch, M, N int // x is [batch, m, n], y [batch, n, m]; batch is at most Batch
	DType       DType
}

// Transpose is the plan of a TransposeSpec. y must not overlap x.
type Transpose interface {
	Run(y, x *Tensor)
}

// Check panics unless the sizes are positive.
func (s TransposeSpec) Check() {
	if s.Batch < 1 || s.M < 1 || s.N < 1 {
		panic(fmt.Sprintf("transpose: [%d %d %d]", s.Batch, s.M, s.N))
	}
}

// CheckOperands panics unless the tensors fit the spec, and returns the batch.
func (s TransposeSpec) CheckOperands(y, x *Tensor) (batch int) {
	batch = checkBatch("transpose", "x", x, s.DType.OrFloat32(), s.Batch, s.M*s.N)
	CheckLen("transpose", "y", y, s.DType.OrFloat32(), x.Len())
	return batch
}
