package device

import "fmt"

// GroupNormSpec is group normalisation of [batch, rows, c] (Wu and He 2018), with a scale gamma and a shift beta per
// column. The columns are divided into groups of neighbours. With mean and variance over all rows and columns of one
// group of one image,
//
//	xhat = (x - mean) / sqrt(var + epsilon)      y = gamma*xhat + beta
//
// With one row and one group it is layer normalisation over c (Ba, Kiros and Hinton 2016).
type GroupNormSpec struct {
	Batch, Rows, C int // largest batch; rows and c are fixed
	Groups         int // divides C
	Epsilon        float32
	DType          DType // of x, y, dx and dy; 0 means Float32. The rest, and all sums, are Float32
	NoBackward     bool
}

// GroupNorm is the plan of a GroupNormSpec. gamma, beta and their gradients are [c].
type GroupNorm interface {
	// Forward keeps the means and variances for Backward.
	Forward(y, x, gamma, beta *Tensor)
	// Backward computes the gradients of the last Forward. dgamma and dbeta may be nil, and so may dx, which is not
	// computed then. dx may be dy.
	Backward(dx, dgamma, dbeta, dy, x, gamma *Tensor)
}

// Check panics unless the sizes are positive and the groups divide the columns.
func (s GroupNormSpec) Check() {
	if s.Batch < 1 || s.Rows < 1 || s.C < 1 || s.Groups < 1 || s.C%s.Groups != 0 || !(s.Epsilon >= 0) {
		panic(fmt.Sprintf("groupnorm: [%d %d %d] in %d groups, epsilon %v", s.Batch, s.Rows, s.C, s.Groups, s.Epsilon))
	}
}

// CheckForward panics unless the tensors fit the spec, and returns the batch.
func (s GroupNormSpec) CheckForward(y, x, gamma, beta *Tensor) (batch int) {
	const op = "groupnorm forward"
	batch = checkBatch(op, "x", x, s.DType.OrFloat32(), s.Batch, s.Rows*s.C)
	CheckLen(op, "y", y, s.DType.OrFloat32(), x.Len())
	Check(op, "gamma", gamma, Float32, s.C)
	Check(op, "beta", beta, Float32, s.C)
	return batch
}

// CheckBackward panics unless the tensors fit the spec and the batch of the last Forward.
func (s GroupNormSpec) CheckBackward(dx, dgamma, dbeta, dy, x, gamma *Tensor, forward int) {
	const op = "groupnorm backward"
	if s.NoBackward {
		panic(op + ": the plan was made with NoBackward")
	}
	if batch := checkBatch(op, "x", x, s.DType.OrFloat32(), s.Batch, s.Rows*s.C); batch != forward {
		panic(fmt.Sprintf("%s: x is %v, the last Forward had a batch of %d", op, x, forward))
	}
	CheckLen(op, "dy", dy, s.DType.OrFloat32(), x.Len())
	if dx != nil {
		CheckLen(op, "dx", dx, s.DType.OrFloat32(), x.Len())
	}
	Check(op, "gamma", gamma, Float32, s.C)
	if dgamma != nil {
		Check(op, "dgamma", dgamma, Float32, s.C)
	}
	if dbeta != nil {
		Check(op, "dbeta", dbeta, Float32, s.C)
	}
}
