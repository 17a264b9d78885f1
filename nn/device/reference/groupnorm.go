package reference

import (
	"math"

	"trainer/nn/device"
)

// GroupNorm is group normalisation of [batch, rows, c] values in float64.
type GroupNorm struct {
	Batch, Rows, C, Groups int
	Epsilon                float64
}

// size returns the number of elements in a group.
func (g GroupNorm) size() int { return g.Rows * g.C / g.Groups }

// group returns the group of element i: the groups of an image are numbered one after the other.
func (g GroupNorm) group(i int) int {
	return i/(g.Rows*g.C)*g.Groups + i%g.C/(g.C/g.Groups)
}

// normalized returns xhat = (x-mean)/sqrt(var+epsilon), and 1/sqrt(var+epsilon) of each group with its relative error
// (see spread). An error of the mean is an error of every xhat.
func (g GroupNorm) normalized(x []float64) (xhat, scale Sums) {
	groups := g.Batch * g.Groups
	mean, variance := moments(x, groups, g.group)
	scale = NewSums(groups, 0)
	for k := range groups {
		scale.Set(k, 1/math.Sqrt(variance.Value[k]+g.Epsilon), spread(variance, k, g.Epsilon))
	}
	xhat = NewSums(len(x), mean.Ulps+ElementwiseUlps)
	for i, v := range x {
		k := g.group(i)
		value := scale.Value[k] * (v - mean.Value[k])
		xhat.Set(i, value, scale.Value[k]*(math.Abs(v)+mean.Magnitude[k])+scale.Magnitude[k]*math.Abs(value))
	}
	return xhat, scale
}

// Forward returns y = gamma*xhat + beta.
func (g GroupNorm) Forward(x, gamma, beta []float64) Sums {
	xhat, _ := g.normalized(x)
	y := NewSums(len(x), xhat.Ulps)
	for i, v := range xhat.Value {
		j := i % g.C
		y.Set(i, gamma[j]*v+beta[j], math.Abs(gamma[j])*xhat.Magnitude[i]+math.Abs(beta[j]))
	}
	return y
}

// Backward returns the gradients: with u = gamma*dy, sums over all pixels for gamma and beta, and sums over the m elements
// of a group for x,
//
//	dbeta = sum dy      dgamma = sum dy*xhat
//	dx = 1/sqrt(var+epsilon) * (u - 1/m sum u - xhat 1/m sum u*xhat)
//
// A sum of products with xhat is off by the sum's own rounding and by the error of xhat in each term.
func (g GroupNorm) Backward(dy, x, gamma []float64) (dx, dgamma, dbeta Sums) {
	xhat, scale := g.normalized(x)
	pixels, m := g.Batch*g.Rows, float64(g.size())
	dbeta, dgamma = NewSums(g.C, SumUlps(pixels)), NewSums(g.C, SumUlps(pixels)+xhat.Ulps)
	sum, products := NewSums(g.Batch*g.Groups, 0), NewSums(g.Batch*g.Groups, 0)
	for i, d := range dy {
		j, k := i%g.C, g.group(i)
		dbeta.Add(j, d)
		dgamma.Set(j, dgamma.Value[j]+d*xhat.Value[i], dgamma.Magnitude[j]+math.Abs(d)*xhat.Magnitude[i])
		u := gamma[j] * d / m
		sum.Add(k, u)
		products.Set(k, products.Value[k]+u*xhat.Value[i], products.Magnitude[k]+math.Abs(u)*xhat.Magnitude[i])
	}
	dx = NewSums(len(x), SumUlps(g.size())+xhat.Ulps)
	for i, d := range dy {
		k := g.group(i)
		u := gamma[i%g.C] * d
		dx.Set(i,
			scale.Value[k]*(u-sum.Value[k]-xhat.Value[i]*products.Value[k]),
			scale.Value[k]*scale.Magnitude[k]*(math.Abs(u)+sum.Magnitude[k]+
				math.Abs(xhat.Value[i])*products.Magnitude[k]+xhat.Magnitude[i]*math.Abs(products.Value[k])))
	}
	return dx, dgamma, dbeta
}

type groupNorm struct {
	*Operations
	s       device.GroupNormSpec
	forward int // batch of the last Forward
}

// NewGroupNorm makes a plan of a group normalisation.
func (o *Operations) NewGroupNorm(s device.GroupNormSpec) (device.GroupNorm, error) {
	s.Check()
	return made[device.GroupNorm](o, "groupnorm", &groupNorm{Operations: o, s: s}, o.accepts(s.DType))
}

// formula returns the formula for a batch.
func (p *groupNorm) formula(batch int) GroupNorm {
	return GroupNorm{Batch: batch, Rows: p.s.Rows, C: p.s.C, Groups: p.s.Groups, Epsilon: float64(p.s.Epsilon)}
}

func (p *groupNorm) Forward(y, x, gamma, beta *device.Tensor) {
	const op = "groupnorm forward"
	p.forward = p.s.CheckForward(y, x, gamma, beta)
	if p.begin(op) {
		p.store(op, y, p.formula(p.forward).Forward(p.load(x), p.load(gamma), p.load(beta)).Value)
	}
}

func (p *groupNorm) Backward(dx, dgamma, dbeta, dy, x, gamma *device.Tensor) {
	const op = "groupnorm backward"
	p.s.CheckBackward(dx, dgamma, dbeta, dy, x, gamma, p.forward)
	if !p.begin(op) {
		return
	}
	wantX, wantGamma, wantBeta := p.formula(p.forward).Backward(p.load(dy), p.load(x), p.load(gamma))
	p.store(op, dx, wantX.Value)
	p.store(op, dgamma, wantGamma.Value)
	p.store(op, dbeta, wantBeta.Value)
}
