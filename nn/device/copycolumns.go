package device

import "fmt"

// CopyColumnsSpec copies a range of columns: y[i, YFrom+j] = x[i, XFrom+j] for j in [0, width). The
// other columns of y keep their values.
type CopyColumnsSpec struct {
	Rows      int // at most
	Width     int
	YC, YFrom int // number of columns of y, and the first column written
	XC, XFrom int // number of columns of x, and the first column read
	DType     DType
}

// CopyColumns is the plan of a CopyColumnsSpec.
type CopyColumns interface {
	Run(y, x *Tensor)
}

// Check panics unless the sizes are positive and the columns exist.
func (s CopyColumnsSpec) Check() {
	if s.Rows < 1 || s.Width < 1 || s.YFrom < 0 || s.XFrom < 0 || s.YFrom+s.Width > s.YC || s.XFrom+s.Width > s.XC {
		panic(fmt.Sprintf("copy columns: %d rows, %d columns from %d of %d to %d of %d", s.Rows, s.Width, s.XFrom, s.XC, s.YFrom, s.YC))
	}
}

// CheckOperands panics unless the tensors fit the spec, and returns the number of rows.
func (s CopyColumnsSpec) CheckOperands(y, x *Tensor) (rows int) {
	rows = checkBatch("copy columns", "x", x, s.DType.OrFloat32(), s.Rows, s.XC)
	CheckLen("copy columns", "y", y, s.DType.OrFloat32(), rows*s.YC)
	return rows
}
