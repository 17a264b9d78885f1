package optim

import (
	"fmt"
	"math"

	"trainer/nn/device"
	"trainer/nn/setting"
)

// Muon makes every step an orthogonal matrix (Jordan et al., "Muon: An optimizer for hidden layers in neural networks",
// 2024), in the form of the program airbench94_muon (Jordan 2024). The momentum u of a parameter, seen as a matrix with
// one row per filter, has a singular value decomposition U S V^T; the step is approximately U V^T, so that all
// directions learn equally fast:
//
//	v = momentum*v + g
//	u = v                           or, with Nesterov, g + momentum*v
//	w = w * sqrt(n)/|w|             with Normalize, n being the number of filters
//	w = w - LR * orthogonal(u)
//
// Newton and Schulz's iteration brings the singular values of X close to 1 without a decomposition. It applies an odd
// polynomial of degree 5 with a steep slope at 0 (the coefficients are Jordan's):
//
//	X = u/(|u| + epsilon)           |.| is the Frobenius norm: no singular value is above 1
//	repeat:  A = X X^T              X = 3.4445*X + (-4.7750*A + 2.0315*A^2) X
//
// After about 5 iterations the singular values are between 0.7 and 1.2, which works as well as 1. A matrix with more
// rows than columns is transposed during the iteration, so that A is the smaller of the two possible products.
//
// The parameters need at least two dimensions; biases and gains need a group with another rule. Normalize suits filters
// that are followed by batch normalisation, so that their scale doesn't matter.
type Muon struct {
	Momentum  float64
	Nesterov  bool
	Normalize bool    // before each step, set the weights' norm to the square root of the number of filters
	Steps     int     // iterations; 0 means 3, as in airbench94_muon
	Epsilon   float64 // 0 means 1e-7
}

func muonKind() RuleKind {
	return RuleKind{Name: "muon", Doc: "steps by an orthogonal matrix, for filters (Jordan 2024)", New: func() Rule { return Muon{} }}
}

// Kind returns "muon".
func (Muon) Kind() string { return "muon" }

// Settings declares the keys of recipes.
func (r *Muon) Settings(s *setting.List) {
	s.Float64(&r.Momentum, "momentum", 0, setting.ZeroToBelowOne, "weight of the old velocity")
	s.Bool(&r.Nesterov, "nesterov", "step by the gradient and the velocity after it")
	s.Bool(&r.Normalize, "normalize", "set the norm of the weights to the root of the number of filters before each step")
	s.Int(&r.Steps, "steps", 3, setting.Range(1, 20), "Newton-Schulz iterations")
	s.Float64(&r.Epsilon, "epsilon", 1e-7, setting.Positive, "added to norms that divide")
}

// Check returns an error if Nesterov is set without momentum.
func (r *Muon) Check() error { return checkNesterov(r.Momentum, r.Nesterov) }

// Build composes the update of each parameter.
func (r Muon) Build(u *Update) error {
	momentum := u.Momentum(r.Momentum)
	u.EachStep(func(hyper []float32, _ int) {
		hyper[device.HyperMomentum], hyper[device.HyperNewMomentum] = float32(momentum()), 1
	})
	for p := range u.Params() {
		shape := p.Value.Shape()
		if len(shape) < 2 {
			return fmt.Errorf("%s has the shape %v, need a matrix or filters: put it into a group with another rule", p.Name, shape)
		}
		d, norm := r.direction(u, p), u.Scratch(1)
		if r.Normalize {
			n := shape[0] // filters of a convolution
			if len(shape) == 2 {
				n = shape[1] // outputs of a dense layer
			}
			u.Norm(norm, p.Value)
			u.Map(p.Value, r.divide(math.Sqrt(float64(n))), p.Value, norm)
		}
		x := u.Scratch(shape[0], p.Value.Len()/shape[0])
		u.Norm(norm, d)
		u.Map(x, r.divide(1), d, norm)
		orthogonalize(u, x, r.Steps)
		u.Descend(p, x)
	}
	return nil
}

// divide is alpha*a/(norm + epsilon).
func (r Muon) divide(alpha float64) device.MapSpec {
	return device.MapSpec{Kind: device.MapDiv, B: device.NoAxes, Alpha: float32(alpha), Beta: float32(r.Epsilon)}
}

// direction returns the matrix to orthogonalize: the gradient, the velocity, or with Nesterov a sum of both.
func (r Muon) direction(u *Update, p Param) *device.Tensor {
	g := u.Gradient(p)
	if r.Momentum == 0 && !u.ChangesMomentum() {
		return g
	}
	v := u.State("muon.velocity", p)
	if u.ChangesMomentum() {
		u.weightedSum(p, v, v, g)
		if !r.Nesterov {
			return v
		}
		d := u.Scratch(p.Value.Shape()...)
		u.weightedSum(p, d, v, g)
		return d
	}
	sum := device.MapSpec{Kind: device.MapAdd, B: device.AllAxes, Alpha: float32(r.Momentum), Beta: 1}
	u.Map(v, sum, v, g)
	if !r.Nesterov {
		return v
	}
	d := u.Scratch(p.Value.Shape()...)
	u.Map(d, sum, v, g)
	return d
}

// orthogonalize brings the singular values of the matrix x, which must be at most 1, close to 1, in place.
func orthogonalize(u *Update, x *device.Tensor, steps int) {
	if u.err != nil {
		return
	}
	rows, columns := x.Dim(0), x.Dim(1)
	if rows > columns {
		t := u.Scratch(columns, rows)
		u.Transpose(t, x)
		orthogonalize(u, t, steps)
		u.Transpose(x, t)
		return
	}
	a, a2, bx := u.Scratch(rows, rows), u.Scratch(rows, rows), u.Scratch(rows, columns)
	for range steps {
		u.MatMul(a, x, x, false, true)                                                                         // A = X X^T
		u.MatMul(a2, a, a, false, false)                                                                       // A^2
		u.Map(a2, device.MapSpec{Kind: device.MapAdd, B: device.AllAxes, Alpha: 2.0315, Beta: -4.7750}, a2, a) // B = 2.0315*A^2 - 4.7750*A
		u.MatMul(bx, a2, x, false, false)                                                                      // B X
		u.Map(x, device.MapSpec{Kind: device.MapAdd, B: device.AllAxes, Alpha: 3.4445, Beta: 1}, x, bx)        // X = 3.4445*X + B X
	}
}
