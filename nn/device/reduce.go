package device

import "fmt"

// ReduceKind says what a reduction computes from many elements.
type ReduceKind string

// The reductions.
const (
	ReduceSum         ReduceKind = "sum"          // sum a
	ReduceSumSquares  ReduceKind = "sum-squares"  // sum a^2
	ReduceSumProducts ReduceKind = "sum-products" // sum a*b
)

// ReduceSpec is a reduction of [batch, rows, c] over the dimensions that are not in Keep:
//
//	dst = Alpha * sum a
//
// Keep = AxisC gives one sum per column, [c], such as the gradient of a bias; AxisBatch|AxisC gives one sum per column
// of every image, [batch, c]; AxisBatch|AxisRows gives one number per row; NoAxes gives a single number.
type ReduceSpec struct {
	Kind           ReduceKind
	Batch, Rows, C int // largest batch; rows and c are fixed
	Keep           Axes
	Alpha          float32 // 0 means 1
	DType          DType   // of a and b; 0 means Float32. Sums are float32 or more precise
}

// Reduce is the plan of a ReduceSpec. dst is float32, with the kept dimensions. b is nil except with ReduceSumProducts,
// when it has a's type and size.
type Reduce interface {
	Run(dst, a, b *Tensor)
}

// Check panics unless the kind is known and the sizes are positive.
func (s ReduceSpec) Check() {
	switch s.Kind {
	case ReduceSum, ReduceSumSquares, ReduceSumProducts:
	default:
		panic(fmt.Sprintf("reduce: unknown kind %q", s.Kind))
	}
	if s.Batch < 1 || s.Rows < 1 || s.C < 1 || s.Keep > AllAxes {
		panic(fmt.Sprintf("reduce %s: [%d %d %d], keeping axes %b", s.Kind, s.Batch, s.Rows, s.C, s.Keep))
	}
}

// ColumnGroups returns how a reduction that keeps AxisC sees a batch: as groups of rows, each with its own results, and the
// number of rows per group. A row has C columns or, if AxisRows is kept too, Rows*C.
func (s ReduceSpec) ColumnGroups(batch int) (groups, rows int) {
	switch s.Keep {
	case AxisC:
		return 1, batch * s.Rows
	case AxisRows | AxisC:
		return 1, batch
	case AxisBatch | AxisC:
		return batch, s.Rows
	}
	return batch, 1
}

// Factor returns the factor by which the result is multiplied: Alpha, or 1 if Alpha is 0.
func (s ReduceSpec) Factor() float32 {
	if s.Alpha == 0 {
		return 1
	}
	return s.Alpha
}

// CheckOperands panics unless the tensors fit the spec, and returns the batch.
func (s ReduceSpec) CheckOperands(dst, a, b *Tensor) (batch int) {
	const op = "reduce"
	batch = checkBatch(op, "a", a, s.DType.OrFloat32(), s.Batch, s.Rows*s.C)
	CheckLen(op, "dst", dst, Float32, s.Keep.Len(batch, s.Rows, s.C))
	if s.Kind == ReduceSumProducts {
		CheckLen(op, "b", b, s.DType.OrFloat32(), a.Len())
	} else if b != nil {
		panic(fmt.Sprintf("%s: b is %v, want nil", op, b))
	}
	return batch
}
