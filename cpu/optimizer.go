package cpu

import (
	"fmt"

	"trainer/cpu/internal/vector"
	"trainer/nn/device"
)

// optimizer is the plan of one update rule over all parameters of a network. The
// formulas are those of device.OptimizerKind; weight decay enters as
//
//	g = GradScale*grad + coupled*w      coupled = WeightDecay, or 0 where Decoupled
//	w = keep*w - ...                    keep = 1, or 1 - LR*WeightDecay where Decoupled
//
// Each task is a chunk of one parameter, and goes once over its value, gradient and
// states.
type optimizer struct {
	d      *Device
	spec   device.OptimizerSpec
	groups int
	tasks  []slotChunk
	// perWorker holds, for each worker, the hyperparameters of its current task.
	perWorker []vector.Hyperparameters

	hyper []float32 // of the current call
}

// slotChunk is a piece of one parameter. state1 and state2 may be nil.
type slotChunk struct {
	value, grad, state1, state2 []float32
	group                       int
}

// NewOptimizer returns a plan that updates the parameters in slots.
func (d *Device) NewOptimizer(s device.OptimizerSpec) (device.Optimizer, error) {
	if err := d.unscaled("optimizer", s.Scaling); err != nil {
		return nil, err
	}
	p := &optimizer{d: d, spec: s, perWorker: make([]vector.Hyperparameters, d.pool.Workers())}
	for i, slot := range s.Slots {
		slot.Check(s.Kind, i)
		p.groups = max(p.groups, slot.Group+1)
		all := slotChunk{floats(slot.Value), floats(slot.Grad), optionalFloats(slot.State1), optionalFloats(slot.State2), slot.Group}
		for c := 0; c < chunks(len(all.value)); c++ {
			p.tasks = append(p.tasks, all.cut(span(c, len(all.value))))
		}
	}
	return p, nil
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

// hyperparameters returns the hyperparameters of a group as the loops need them.
func (p *optimizerStep) hyperparameters(group int) vector.Hyperparameters {
	h := p.hyper[group*device.HyperLen:][:device.HyperLen]
	u := vector.Hyperparameters{
		LR: h[device.HyperLR], GradScale: h[device.HyperGradScale], Coupled: h[device.HyperWeightDecay], Keep: 1,
		Momentum: h[device.HyperMomentum], Beta2: h[device.HyperBeta2],
		NewMomentum: h[device.HyperNewMomentum], NewBeta2: h[device.HyperNewBeta2],
		Correction2: h[device.HyperCorrection2], Epsilon: p.spec.Epsilon,
	}
	if p.spec.Decoupled {
		u.Coupled, u.Keep = 0, float32(1-float64(u.LR)*float64(u.Coupled))
	}
	if p.spec.Kind == device.Adam {
		u.LR *= h[device.HyperCorrection1]
	}
	return u
}

// optimizerStep is the loop over the chunks of all parameters.
type optimizerStep optimizer

func (p *optimizerStep) Do(i, worker int) {
	s, rules := p.tasks[i], &p.d.vector.Update
	u := &p.perWorker[worker]
	*u = p.hyperparameters(s.group)
	switch {
	case p.spec.Kind == device.Adam:
		rules.Adam(s.value, s.grad, s.state1, s.state2, u)
	case p.spec.Kind == device.RMSProp && s.state2 != nil:
		rules.RMSPropMomentum(s.value, s.grad, s.state1, s.state2, u)
	case p.spec.Kind == device.RMSProp:
		rules.RMSProp(s.value, s.grad, s.state1, u)
	case s.state1 == nil:
		rules.SGD(s.value, s.grad, u)
	case p.spec.Nesterov:
		rules.SGDNesterov(s.value, s.grad, s.state1, u)
	default:
		rules.SGDMomentum(s.value, s.grad, s.state1, u)
	}
}
