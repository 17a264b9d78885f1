package reference

import (
	"math"

	"trainer/nn/device"
)

// Map returns y = f(a, b), or y + f(a, b), over [batch, rows, c]. y holds the old values.
//
// A relative error of e in the argument's two terms changes the result by e f' times their absolute values; the
// magnitudes below follow from this.
func Map(s device.MapSpec, y, a, b []float64) Sums {
	out := NewSums(len(a), ElementwiseUlps)
	for i, v := range a {
		var u float64
		if b != nil {
			u = b[s.BIndex+broadcast(s.B, i, s.Rows, s.C)]
		}
		value, magnitude := mapFunction(s, y[i], v, u)
		if s.Accumulate {
			value, magnitude = value+y[i], magnitude+math.Abs(y[i])
		}
		out.Set(i, value, magnitude)
	}
	switch s.Kind {
	case device.MapExp, device.MapLog, device.MapRsqrt:
		out.Ulps = FunctionUlps
	}
	return out
}

// mapFunction returns f(a, b) and the magnitude of its terms.
func mapFunction(s device.MapSpec, y, a, b float64) (value, magnitude float64) {
	alpha, beta := float64(s.Alpha), float64(s.Beta)
	linear := alpha*a + beta
	terms := math.Abs(alpha*a) + math.Abs(beta)
	plain := func(v, terms float64) (float64, float64) { return v, terms }
	exact := func(v float64) (float64, float64) { return v, math.Abs(v) }
	switch s.Kind {
	case device.MapAffine:
		return plain(linear, terms)
	case device.MapSquare:
		return plain(alpha*a*a+beta, math.Abs(alpha*a*a)+math.Abs(beta))
	case device.MapAbs:
		return plain(alpha*math.Abs(a)+beta, terms)
	case device.MapSign:
		return plain(alpha*sign(a)+beta, math.Abs(alpha)+math.Abs(beta))
	case device.MapSqrt:
		root := math.Sqrt(linear)
		return plain(root, root+terms/(2*root))
	case device.MapRsqrt:
		root := 1 / math.Sqrt(linear)
		return plain(root, root*(1+terms/(2*linear)))
	case device.MapReciprocal:
		return plain(1/linear, math.Abs(1/linear)*(1+terms/math.Abs(linear)))
	case device.MapExp:
		return plain(math.Exp(linear), math.Exp(linear)*(1+terms))
	case device.MapLog:
		return plain(math.Log(linear), math.Abs(math.Log(linear))+terms/linear)
	case device.MapAdd:
		return plain(alpha*a+beta*b, math.Abs(alpha*a)+math.Abs(beta*b))
	case device.MapMul:
		return exact(alpha * a * b)
	case device.MapDiv:
		q := alpha * a / (b + beta)
		return plain(q, math.Abs(q)*(1+(math.Abs(b)+math.Abs(beta))/math.Abs(b+beta)))
	case device.MapMax:
		return exact(max(alpha*a, beta*b))
	case device.MapMin:
		return exact(min(alpha*a, beta*b))
	case device.MapGreater:
		if a > b {
			return exact(alpha)
		}
		return exact(beta)
	}
	if b == 0 { // MapSelect
		return exact(a)
	}
	return exact(y)
}

// sign returns 1, 0 or -1, or NaN.
func sign(x float64) float64 {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return x
}

type mapping struct {
	*Operations
	s device.MapSpec
}

// NewMap makes a plan of an elementwise function.
func (o *Operations) NewMap(s device.MapSpec) (device.Map, error) {
	s.Check()
	return made[device.Map](o, "map "+string(s.Kind), mapping{o, s}, o.accepts(s.DType, s.BDType))
}

func (p mapping) Run(y, a, b *device.Tensor) {
	const op = "map"
	p.s.CheckOperands(y, a, b)
	if p.begin(op) {
		p.store(op, y, Map(p.s, p.load(y), p.load(a), p.load(b)).Value)
	}
}
