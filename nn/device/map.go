package device

import "fmt"

// MapKind is a function of one or two elements.
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
	MapMax     MapKind = "max"     // max(alpha*a, beta*b), NaN if either is NaN
	MapMin     MapKind = "min"     // min(alpha*a, beta*b), NaN if either is NaN
	MapGreater MapKind = "greater" // alpha if a > b, otherwise beta
	MapSelect  MapKind = "select"  // a if b is 0, otherwise the old y: an a that is not selected has no effect, even if it is NaN
)

// MapSpec is an elementwise function over [batch, rows, c], with b broadcast:
//
//	y[n,i,j] = f(a[n,i,j], b[n,i,j])
//
// B names the dimensions that b has; along the others its value is repeated. With AxisC alone b has one value per
// column, [c]; with AxisBatch|AxisC, one per image and channel; with AxisBatch|AxisRows, one per row; with NoAxes b is
// one number on the device, such as a learning rate: element BIndex of a tensor of any length.
type MapSpec struct {
	Kind           MapKind
	Batch, Rows, C int // largest batch; rows and c are fixed
	B              Axes
	BIndex         int // with NoAxes only
	Alpha, Beta    float32
	Accumulate     bool // y += f instead of y = f; not with MapSelect
	// DType is the type of y and a; 0 means Float32. BDType is the type of b, Float32 or DType; 0 means DType if b has
	// all axes, and Float32 otherwise. The function is computed in float32.
	DType, BDType DType
}

// Map is the plan of a MapSpec. y may be the same tensor as a, or as b if b has all axes.
type Map interface {
	Run(y, a, b *Tensor)
}

// Operands returns the number of elements that the function takes, 1 or 2, or 0 if the kind is unknown.
func (k MapKind) Operands() int {
	switch k {
	case MapAffine, MapSquare, MapAbs, MapSign, MapSqrt, MapRsqrt, MapReciprocal, MapExp, MapLog:
		return 1
	case MapAdd, MapMul, MapDiv, MapMax, MapMin, MapGreater, MapSelect:
		return 2
	}
	return 0
}

// Check panics unless the kind is known, the sizes are positive and the types fit each other.
func (s MapSpec) Check() {
	if s.Kind.Operands() == 0 {
		panic(fmt.Sprintf("map: unknown kind %q", s.Kind))
	}
	if s.Batch < 1 || s.Rows < 1 || s.C < 1 || s.B > AllAxes || s.BIndex < 0 || s.BIndex > 0 && s.B != NoAxes {
		panic(fmt.Sprintf("map %s: [%d %d %d], b along axes %b from element %d", s.Kind, s.Batch, s.Rows, s.C, s.B, s.BIndex))
	}
	if s.Accumulate && s.Kind == MapSelect {
		panic("map select: with Accumulate, want without")
	}
	if t := s.BType(); t != Float32 && t != s.DType.OrFloat32() {
		panic(fmt.Sprintf("map %s: b of %v, want %v or %v", s.Kind, t, s.DType.OrFloat32(), Float32))
	}
}

// BType returns the type of b's elements.
func (s MapSpec) BType() DType {
	if s.BDType == 0 && s.B == AllAxes {
		return s.DType.OrFloat32()
	}
	return s.BDType.OrFloat32()
}

// CheckOperands panics unless the tensors fit the spec, and returns the batch.
func (s MapSpec) CheckOperands(y, a, b *Tensor) (batch int) {
	const op = "map"
	batch = checkBatch(op, "a", a, s.DType.OrFloat32(), s.Batch, s.Rows*s.C)
	CheckLen(op, "y", y, s.DType.OrFloat32(), a.Len())
	unary := s.Kind.Operands() == 1
	switch {
	case unary && b != nil:
		panic(fmt.Sprintf("%s: b is %v, want nil", op, b))
	case unary:
	case s.B != NoAxes:
		CheckLen(op, "b", b, s.BType(), s.B.Len(batch, s.Rows, s.C))
	case b == nil || b.DType() != s.BType() || b.Len() <= s.BIndex:
		panic(fmt.Sprintf("%s: b is %v, want %v with an element %d", op, b, s.BType(), s.BIndex))
	}
	return batch
}
