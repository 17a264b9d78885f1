package cpu

import (
	"fmt"
	"math"

	"trainer/nn/device"
)

// optimizer is the plan of one update rule over all parameters of a network. The
// formulas are those of device.OptimizerKind; weight decay enters as
//
//	g = GradScale*grad + coupled*w      coupled = WeightDecay, or 0 where Decoupled
//	w = keep*w - ...                    keep = 1, or 1 - LR*WeightDecay where Decoupled
//
// Each task is a chunk of one parameter, and passes once over value, gradient and states.
type optimizer struct {
	d      *Device
	spec   device.OptimizerSpec
	groups int
	tasks  []slotChunk

	hyper []float32 // of the call that is running
}

// slotChunk is a piece of one parameter. state1 and state2 may be nil.
type slotChunk struct {
	value, grad, state1, state2 []float32
	group                       int
}

// NewOptimizer makes a plan for an update of the slots.
func (d *Device) NewOptimizer(s device.OptimizerSpec) (device.Optimizer, error) {
	p := &optimizer{d: d, spec: s}
	for i, slot := range s.Slots {
		checkSlot(s.Kind, i, slot)
		p.groups = max(p.groups, slot.Group+1)
		all := slotChunk{floats(slot.Value), floats(slot.Grad), optionalFloats(slot.State1), optionalFloats(slot.State2), slot.Group}
		for c := 0; c < chunks(len(all.value)); c++ {
			p.tasks = append(p.tasks, all.cut(span(c, len(all.value))))
		}
	}
	return p, nil
}

// checkSlot panics unless slot i has what the rule needs.
func checkSlot(kind device.OptimizerKind, i int, s device.Slot) {
	op := fmt.Sprintf("cpu: NewOptimizer: slot %d", i)
	if s.Value == nil || s.Group < 0 {
		panic(fmt.Sprintf("%s: value %v, group %d", op, s.Value, s.Group))
	}
	n := s.Value.Len()
	device.CheckLen(op, "value", s.Value, device.Float32, n)
	device.CheckLen(op, "grad", s.Grad, device.Float32, n)
	needs1, needs2 := false, false
	switch kind {
	case device.SGD:
	case device.Adam:
		needs1, needs2 = true, true
	case device.RMSProp:
		needs1 = true
	default:
		panic(fmt.Sprintf("cpu: NewOptimizer: kind %d", kind))
	}
	if needs1 || s.State1 != nil {
		device.CheckLen(op, "state1", s.State1, device.Float32, n)
	}
	if needs2 || s.State2 != nil {
		device.CheckLen(op, "state2", s.State2, device.Float32, n)
	}
}

// cut returns elements [from, to).
func (s slotChunk) cut(from, to int) slotChunk {
	s.value, s.grad = s.value[from:to], s.grad[from:to]
	if s.state1 != nil {
		s.state1 = s.state1[from:to]
	}
	if s.state2 != nil {
		s.state2 = s.state2[from:to]
	}
	return s
}

func (p *optimizer) Step(hyper *device.Tensor) {
	const op = "cpu: optimizer step"
	device.Check(op, "hyper", hyper, device.Float32, -1, device.HyperLen)
	if hyper.Rows() < p.groups {
		panic(fmt.Sprintf("%s: hyper is %v, want %d groups", op, hyper, p.groups))
	}
	p.hyper = floats(hyper)
	p.d.pool.Run(len(p.tasks), (*optimizerStep)(p))
}

// update is a row of hyperparameters as the loops need them.
type update struct {
	lr, gradScale, coupled, keep float32
	momentum, beta2              float32
	correction1, correction2     float32
	epsilon                      float32
}

// row returns the hyperparameters of a group.
func (p *optimizerStep) row(group int) update {
	h := p.hyper[group*device.HyperLen:][:device.HyperLen]
	u := update{
		lr: h[device.HyperLR], gradScale: h[device.HyperGradScale], coupled: h[device.HyperWeightDecay], keep: 1,
		momentum: h[device.HyperMomentum], beta2: h[device.HyperBeta2],
		correction1: h[device.HyperCorrection1], correction2: h[device.HyperCorrection2],
		epsilon: p.spec.Epsilon,
	}
	if p.spec.Decoupled {
		u.coupled, u.keep = 0, float32(1-float64(u.lr)*float64(u.coupled))
	}
	return u
}

// optimizerStep is the loop over the chunks of all parameters.
type optimizerStep optimizer

func (p *optimizerStep) Do(i, _ int) {
	s := p.tasks[i]
	u := p.row(s.group)
	switch {
	case p.spec.Kind == device.Adam:
		adam(s.value, s.grad, s.state1, s.state2, u)
	case p.spec.Kind == device.RMSProp && s.state2 != nil:
		rmsPropMomentum(s.value, s.grad, s.state1, s.state2, u)
	case p.spec.Kind == device.RMSProp:
		rmsProp(s.value, s.grad, s.state1, u)
	case s.state1 == nil:
		sgd(s.value, s.grad, u)
	case p.spec.Nesterov:
		sgdNesterov(s.value, s.grad, s.state1, u)
	default:
		sgdMomentum(s.value, s.grad, s.state1, u)
	}
}

// sgd: w -= LR*g.
func sgd(w, grad []float32, u update) {
	grad = grad[:len(w)]
	for i, x := range w {
		g := u.gradScale*grad[i] + u.coupled*x
		w[i] = u.keep*x - u.lr*g
	}
}

// sgdMomentum: v = momentum*v + g; w -= LR*v.
func sgdMomentum(w, grad, velocity []float32, u update) {
	grad, velocity = grad[:len(w)], velocity[:len(w)]
	for i, x := range w {
		g := u.gradScale*grad[i] + u.coupled*x
		v := u.momentum*velocity[i] + g
		velocity[i] = v
		w[i] = u.keep*x - u.lr*v
	}
}

// sgdNesterov: v = momentum*v + g; w -= LR*(g + momentum*v).
func sgdNesterov(w, grad, velocity []float32, u update) {
	grad, velocity = grad[:len(w)], velocity[:len(w)]
	for i, x := range w {
		g := u.gradScale*grad[i] + u.coupled*x
		v := u.momentum*velocity[i] + g
		velocity[i] = v
		w[i] = u.keep*x - u.lr*(g+u.momentum*v)
	}
}

// adam: m = b1 m + (1-b1) g; v = b2 v + (1-b2) g^2;
// w -= LR*m*Correction1 / (sqrt(v*Correction2) + Epsilon).
func adam(w, grad, first, second []float32, u update) {
	grad, first, second = grad[:len(w)], first[:len(w)], second[:len(w)]
	new1, new2 := 1-u.momentum, 1-u.beta2
	lr := u.lr * u.correction1
	for i, x := range w {
		g := u.gradScale*grad[i] + u.coupled*x
		m := u.momentum*first[i] + new1*g
		v := u.beta2*second[i] + new2*(g*g)
		first[i], second[i] = m, v
		w[i] = u.keep*x - lr*m/(sqrt(v*u.correction2)+u.epsilon)
	}
}

// rmsProp: v = b2 v + (1-b2) g^2; w -= LR*g / (sqrt(v) + Epsilon).
func rmsProp(w, grad, squares []float32, u update) {
	grad, squares = grad[:len(w)], squares[:len(w)]
	new2 := 1 - u.beta2
	for i, x := range w {
		g := u.gradScale*grad[i] + u.coupled*x
		v := u.beta2*squares[i] + new2*(g*g)
		squares[i] = v
		w[i] = u.keep*x - u.lr*g/(sqrt(v)+u.epsilon)
	}
}

// rmsPropMomentum: as rmsProp, with u = momentum*u + g/(sqrt(v)+Epsilon); w -= LR*u.
func rmsPropMomentum(w, grad, squares, velocity []float32, u update) {
	grad, squares, velocity = grad[:len(w)], squares[:len(w)], velocity[:len(w)]
	new2 := 1 - u.beta2
	for i, x := range w {
		g := u.gradScale*grad[i] + u.coupled*x
		v := u.beta2*squares[i] + new2*(g*g)
		step := u.momentum*velocity[i] + g/(sqrt(v)+u.epsilon)
		squares[i], velocity[i] = v, step
		w[i] = u.keep*x - u.lr*step
	}
}

// sqrt is the square root in float32, one instruction.
func sqrt(x float32) float32 { return float32(math.Sqrt(float64(x))) }
