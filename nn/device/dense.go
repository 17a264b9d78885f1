package device

import "fmt"

// FusedDense is a device that computes a dense layer with few outputs, as a classifier's last one has, in fewer passes than
// one per product and sum. It answers ErrNotSupported to layers that are better computed one by one.
type FusedDense interface {
	// NewDenseLoss makes the plan of the layer's forward pass together with both passes of the loss of its outputs.
	NewDenseLoss(DenseSpec, LossSpec) (DenseLoss, error)
	// NewDenseGradients makes the plan of the layer's backward pass.
	NewDenseGradients(DenseSpec) (DenseGradients, error)
}

// DenseSpec is a dense layer times a number, for at most Rows examples, with x [n, In], w [In, Out], y [n, Out]:
//
//	y = Alpha x w + bias
//	dw = Alpha x^T dy        dbias = sum_n dy[n]        dx = Alpha dy w^T
type DenseSpec struct {
	Rows, In, Out int
	Alpha         float32
	Bias          bool
	DType         DType // of x, w and y and their gradients, except dw and dbias, which are float32 as bias is
}

// Check panics unless the sizes are positive.
func (s DenseSpec) Check() {
	if s.Rows < 1 || s.In < 1 || s.Out < 1 {
		panic(fmt.Sprintf("dense layer: %d rows of %d inputs and %d outputs, want at least one of each", s.Rows, s.In, s.Out))
	}
}

// DenseLoss is the plan of a DenseSpec's forward pass and of a plain LossSpec, whose N and Classes are Rows and Out.
type DenseLoss interface {
	// Run computes y and, from y as it is stored, what TrainingLoss.Run does: it adds to stats, and computes dy. bias is
	// nil without Bias.
	Run(stats, dy, y, x, w, bias, targets *Tensor)
}

// DenseGradients is the plan of a DenseSpec's backward pass.
type DenseGradients interface {
	// Run computes those of dx, dw and dbias that are not nil.
	Run(dx, dw, dbias, dy, x, w *Tensor)
}

// CheckLoss panics unless the operands of DenseLoss.Run fit, and returns the number of examples.
func (s DenseSpec) CheckLoss(l LossSpec, stats, dy, y, x, w, bias, targets *Tensor) int {
	const op = "dense layer with loss"
	dtype := s.DType.OrFloat32()
	n := l.CheckTraining(op, dtype, stats, dy, y, targets)
	Check(op, "x", x, dtype, n, s.In)
	Check(op, "w", w, dtype, s.In, s.Out)
	if (bias != nil) != s.Bias {
		panic(fmt.Sprintf("%s: bias given: %v, by the spec: %v", op, bias != nil, s.Bias))
	}
	if bias != nil {
		Check(op, "bias", bias, Float32, s.Out)
	}
	return n
}

// CheckGradients panics unless the operands of DenseGradients.Run fit, and returns the number of examples.
func (s DenseSpec) CheckGradients(dx, dw, dbias, dy, x, w *Tensor) int {
	const op = "gradients of a dense layer"
	dtype := s.DType.OrFloat32()
	n := CheckRows(op, "dy", dy, dtype, s.Rows, s.Out)
	Check(op, "x", x, dtype, n, s.In)
	Check(op, "w", w, dtype, s.In, s.Out)
	if dx != nil {
		Check(op, "dx", dx, dtype, n, s.In)
	}
	if dw != nil {
		Check(op, "dw", dw, Float32, s.In, s.Out)
	}
	if dbias != nil {
		Check(op, "dbias", dbias, Float32, s.Out)
	}
	return n
}
