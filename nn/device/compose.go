package device

// The plans of this file are small. Layers, update rules and losses that have no operation of their own
// are composed of them: each reads its operands once and writes its result once. A fused operation is worth its
// code only where a benchmark shows that the composed one is too slow.
//
// All of them see a tensor as [batch, rows, c]: c is innermost, and the tensor's own shape does not
// matter, only its number of elements. The batch may be smaller at run time than in the spec; its size follows
// from the tensors.

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

// MapKind is a function of one element, or of two.
type MapKind string

// The functions of one element; b is nil.
const (
	MapAffine     MapKind = "affine"     // alpha*a + beta
	MapSquare     MapKind = "square"     // alpha*a^2 + beta
	MapAbs        MapKind = "abs"        // alpha*|a| + beta
	MapSign       MapKind = "sign"       // alpha*sign(a) + beta, with sign(0) = 0
	MapSqrt       MapKind = "sqrt"       // sqrt(alpha*a + beta)
	MapRsqrt      MapKind = "rsqrt"      // 1 / sqrt(alpha*a + beta)
	MapReciprocal MapKind = "reciprocal" // 1 / (alpha*a + beta)
	MapExp        MapKind = "exp"        // exp(alpha*a + beta)
	MapLog        MapKind = "log"        // log(alpha*a + beta)
)

// The functions of two elements.
const (
	MapAdd     MapKind = "add"     // alpha*a + beta*b
	MapMul     MapKind = "mul"     // alpha*a*b
	MapDiv     MapKind = "div"     // alpha*a / (b + beta)
	MapMax     MapKind = "max"     // max(alpha*a, beta*b)
	MapMin     MapKind = "min"     // min(alpha*a, beta*b)
	MapGreater MapKind = "greater" // alpha where a > b, beta elsewhere
	MapSelect  MapKind = "select"  // a where b is 0, the old y elsewhere: a NaN that is not selected leaves no trace
)

// MapSpec is an elementwise function over [batch, rows, c], with b broadcast:
//
//	y[n,i,j] = f(a[n,i,j], b[n,i,j])
//
// B names the dimensions that b has; along the others its value is repeated. With AxisC alone b is one value
// per column, [c]; with AxisBatch|AxisC one per image and channel; with AxisBatch|AxisRows one per
// row; with NoAxes it is one number on the device, such as a learning rate: element BIndex of a tensor of any length.
type MapSpec struct {
	Kind           MapKind
	Batch, Rows, C int // largest batch; rows and c are fixed
	B              Axes
	BIndex         int // with NoAxes only
	Alpha, Beta    float32
	Accumulate     bool // y += f instead of y = f
	// DType is that of y and a, 0 meaning Float32; BDType that of b: Float32 or DType, 0 meaning DType if b
	// has all axes, and Float32 otherwise. The function is computed in float32.
	DType, BDType DType
}

// Map is its plan. y may be a, and b where b has all axes.
type Map interface {
	Run(y, a, b *Tensor)
}

// TransposeSpec swaps the two inner dimensions: y[n,j,i] = x[n,i,j].
type TransposeSpec struct {
	Batch, M, N int // x is [batch, m, n], y [batch, n, m]; the largest batch
	DType       DType
}

// Transpose is its plan. y must not overlap x.
type Transpose interface {
	Run(y, x *Tensor)
}

// GatherSpec picks rows by index: y[i] = x[ids[i]].
type GatherSpec struct {
	Rows   int // of y, at most
	XRows  int // of x
	RowLen int // elements per row
	DType  DType
}

// Gather is its plan. ids is int32 [rows]; an index outside of x gives a row of zeros, never a wrong read.
type Gather interface {
	Run(y, x, ids *Tensor)
}

// CopyColumnsSpec copies a range of columns: y[i, YFrom+j] = x[i, XFrom+j] for j in [0, width). The
// other columns of y keep their values.
type CopyColumnsSpec struct {
	Rows      int // at most
	Width     int
	YC, YFrom int // columns of y, and the first that is written
	XC, XFrom int // columns of x, and the first that is read
	DType     DType
}

// CopyColumns is its plan.
type CopyColumns interface {
	Run(y, x *Tensor)
}
