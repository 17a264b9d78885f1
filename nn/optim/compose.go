package optim

import (
	"fmt"
	"slices"

	"trainer/nn/device"
)

// This file has the methods of Update from which a rule without a fused update is composed, one parameter at a time.
// Each method adds one plan of a device. The tensors that checkpoints keep, weights and states, may be changed in any
// order and in place: if a step may be skipped because its gradients are not finite, new values are computed in scratch
// memory and stored only if the step is not skipped.

// Gradient returns the parameter's gradient g, which must not be changed: without the scale of a loss scaling, and with
// the weight decay if it is coupled,
//
//	g = grad/scale + decay*w
func (u *Update) Gradient(p Param) *device.Tensor {
	g := u.lossGradient(p)
	if p.decay != 0 && !u.decoupled {
		next := u.Scratch(p.Value.Shape()...)
		u.Map(next, device.MapSpec{Kind: device.MapAdd, B: device.AllAxes, Alpha: 1, Beta: float32(p.decay)}, g, p.Value)
		g = next
	}
	return g
}

// lossGradient returns the gradient of the loss alone, grad/scale, which must not be changed.
func (u *Update) lossGradient(p Param) *device.Tensor {
	g := p.StepGrad()
	if p.Scaling == nil {
		return g
	}
	next := u.Scratch(p.Value.Shape()...)
	u.Map(next, device.MapSpec{Kind: device.MapMul, B: device.NoAxes, BIndex: device.ScalingInverse, Alpha: 1}, g, p.Scaling)
	return next
}

// Descend changes the weights by the direction d, after the weight decay if it is decoupled:
//
//	w = w - LR*decay*w             w = w - LR*d
func (u *Update) Descend(p Param, d *device.Tensor) {
	if p.decay != 0 && u.decoupled {
		lr := p.index*device.HyperLen + device.HyperLR
		decay := device.MapSpec{Kind: device.MapMul, B: device.NoAxes, BIndex: lr, Alpha: -float32(p.decay), Accumulate: true}
		u.Map(p.Value, decay, p.Value, u.o.hyper)
	}
	u.step(p, d)
}

// step changes the weights by the direction d alone: w = w - LR*d.
func (u *Update) step(p Param, d *device.Tensor) {
	lr := p.index*device.HyperLen + device.HyperLR
	u.Map(p.Value, device.MapSpec{Kind: device.MapMul, B: device.NoAxes, BIndex: lr, Alpha: -1, Accumulate: true}, d, u.o.hyper)
}

// weightedSum adds y = a*m + b*g, with the parameter's hyperparameters HyperMomentum and HyperNewMomentum as a and b:
// numbers that a schedule may change. y may be m.
func (u *Update) weightedSum(p Param, y, m, g *device.Tensor) {
	u.byColumn(p, y, device.HyperMomentum, m, false)
	u.byColumn(p, y, device.HyperNewMomentum, g, true)
}

// byColumn adds y = x times a column of the parameter's hyperparameters, or y += the same.
func (u *Update) byColumn(p Param, y *device.Tensor, column int, x *device.Tensor, accumulate bool) {
	at := p.index*device.HyperLen + column
	u.Map(y, device.MapSpec{Kind: device.MapMul, B: device.NoAxes, BIndex: at, Alpha: 1, Accumulate: accumulate}, x, u.o.hyper)
}

// Scratch returns a float32 tensor for values that are needed only until the parameter's work is done; other parameters
// and other rules use the same memory. Whatever its shape, the tensor's memory has room for the largest parameter.
func (u *Update) Scratch(shape ...int) *device.Tensor {
	if u.err != nil {
		return nil
	}
	o := u.o
	if u.scratch == len(o.scratch) {
		t, err := o.tensor(o.largest)
		if err != nil {
			u.fail(fmt.Errorf("room for the %s update: %w", u.name, err))
			return nil
		}
		o.scratch = append(o.scratch, t)
	}
	u.scratch++
	return o.scratch[u.scratch-1].View(shape...)
}

// Fill sets all elements of a state before the first step.
func (u *Update) Fill(state *device.Tensor, value float32) {
	if u.err != nil {
		return
	}
	values := slices.Repeat([]float32{value}, state.Len())
	if err := u.o.dev.Upload(state, device.Bytes(values)); err != nil {
		u.fail(err)
	}
}

// Map adds y = f(a, b), elementwise; see device.MapSpec. The sizes in the spec need not be set. b is nil for a function
// of one element.
func (u *Update) Map(y *device.Tensor, spec device.MapSpec, a, b *device.Tensor) {
	if u.err != nil {
		return
	}
	var skip scalar
	if u.kept[y] {
		skip = u.skipped()
	}
	if skip.tensor == nil {
		u.addMap(y, spec, a, b)
		return
	}
	next := u.Scratch(y.Shape()...)
	if u.err != nil {
		return
	}
	if spec.Accumulate {
		u.work = append(u.work, func() { u.o.dev.Copy(next, y) })
	}
	u.addMap(next, spec, a, b)
	u.addMap(y, device.MapSpec{Kind: device.MapSelect, B: device.NoAxes, BIndex: skip.index}, next, skip.tensor)
	u.scratch-- // frees the scratch tensor next
}

func (u *Update) addMap(y *device.Tensor, spec device.MapSpec, a, b *device.Tensor) {
	spec.Batch, spec.Rows, spec.C = 1, 1, y.Len()
	plan, err := u.o.dev.NewMap(spec)
	if err != nil {
		u.fail(err)
		return
	}
	u.work = append(u.work, func() { plan.Run(y, a, b) })
}

// Norm adds dst = sqrt(sum of squares of a); dst has one element.
func (u *Update) Norm(dst, a *device.Tensor) {
	if u.err != nil {
		return
	}
	plan, err := u.o.dev.NewReduce(device.ReduceSpec{Kind: device.ReduceSumSquares, Batch: 1, Rows: 1, C: a.Len()})
	if err != nil {
		u.fail(err)
		return
	}
	u.work = append(u.work, func() { plan.Run(dst, a, nil) })
	u.Map(dst, device.MapSpec{Kind: device.MapSqrt, Alpha: 1}, dst, nil)
}

// MatMul adds the matrix product c = op(a) op(b), where op transposes if asked; c must be neither a nor b.
func (u *Update) MatMul(c, a, b *device.Tensor, transA, transB bool) {
	if u.err != nil {
		return
	}
	k := a.Dim(1)
	if transA {
		k = a.Dim(0)
	}
	plan, err := u.o.dev.NewMatMul(device.MatMulSpec{M: c.Dim(0), N: c.Dim(1), K: k, TransA: transA, TransB: transB})
	if err != nil {
		u.fail(err)
		return
	}
	u.work = append(u.work, func() { plan.Run(c, a, b, nil) })
}

// Transpose adds y = x^T, for matrices; y must not be x.
func (u *Update) Transpose(y, x *device.Tensor) {
	if u.err != nil {
		return
	}
	plan, err := u.o.dev.NewTranspose(device.TransposeSpec{Batch: 1, M: x.Dim(0), N: x.Dim(1)})
	if err != nil {
		u.fail(err)
		return
	}
	u.work = append(u.work, func() { plan.Run(y, x) })
}
