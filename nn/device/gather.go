package device

import "fmt"

// GatherSpec picks rows by index: y[i] = x[ids[i]].
type GatherSpec struct {
	Rows   int // of y, at most
	XRows  int // of x
	RowLen int // elements per row
	DType  DType
}

// Gather is the plan of a GatherSpec. ids is int32 [rows]; an index outside x gives a row of zeros, never an
// out-of-bounds read.
type Gather interface {
	Run(y, x, ids *Tensor)
}

// Check panics unless the sizes are positive.
func (s GatherSpec) Check() {
	if s.Rows < 1 || s.XRows < 1 || s.RowLen < 1 {
		panic(fmt.Sprintf("gather: %d of %d rows of %d elements", s.Rows, s.XRows, s.RowLen))
	}
}

// CheckOperands panics unless the tensors fit the spec, and returns the number of rows.
func (s GatherSpec) CheckOperands(y, x, ids *Tensor) (rows int) {
	rows = CheckUpTo("gather", "ids", ids, Int32, s.Rows)
	CheckLen("gather", "x", x, s.DType.OrFloat32(), s.XRows*s.RowLen)
	CheckLen("gather", "y", y, s.DType.OrFloat32(), rows*s.RowLen)
	return rows
}
