package device

import "fmt"

// FusedBiasGradient is a device that takes a gradient back through ReLU and adds up that of the bias before it in one pass.
type FusedBiasGradient interface {
	NewBiasReLUGradient(BiasGradientSpec) (BiasGradient, error)
}

// BiasGradientSpec is the way back through y = max(x + bias, 0), x [rows, C] with at most Rows rows and one bias per column:
//
//	dx[i,j] = dy[i,j] where y[i,j] > 0, otherwise 0        dbias[j] = sum_i dx[i,j]
type BiasGradientSpec struct {
	Rows, C int
	DType   DType
}

// Check panics unless the sizes are positive.
func (s BiasGradientSpec) Check() {
	if s.Rows < 1 || s.C < 1 {
		panic(fmt.Sprintf("gradient of a bias: [%d %d], want at least one row and one column", s.Rows, s.C))
	}
}

// BiasGradient is the plan of a BiasGradientSpec.
type BiasGradient interface {
	// Run computes dx, which may be dy, and dbias, float32 [C]. The others may have any shape whose last dimensions are C
	// elements.
	Run(dx, dbias, dy, y *Tensor)
}

// CheckOperands panics unless the operands of Run fit, and returns the number of rows.
func (s BiasGradientSpec) CheckOperands(dx, dbias, dy, y *Tensor) int {
	const op = "gradient of a bias"
	if dy == nil || dy.Len()%s.C != 0 || dy.Len() > s.Rows*s.C {
		panic(fmt.Sprintf("%s: dy is %v, want at most %d rows of %d", op, dy, s.Rows, s.C))
	}
	CheckLen(op, "dy", dy, s.DType.OrFloat32(), dy.Len())
	CheckLen(op, "dx", dx, s.DType.OrFloat32(), dy.Len())
	CheckLen(op, "y", y, s.DType.OrFloat32(), dy.Len())
	CheckLen(op, "dbias", dbias, Float32, s.C)
	return dy.Len() / s.C
}
