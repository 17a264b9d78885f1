package optim

import (
	"iter"
	"slices"

	"trainer/nn"
	"trainer/nn/device"
)

// Update is the device work of one rule over its parameters: the same at every step, so that it can be recorded. A
// rule's Build fills it in one of two ways. Fused adds a device's own update of all parameters in one pass. If the
// device has no such update, the methods Map, MatMul and so on add one plan each, in the order of their calls:
//
//	for p := range u.Params() {
//		g := u.Gradient(p)                 // g, with the coupled weight decay
//		...                                // the direction d
//		u.Descend(p, d)                    // w = w - LR*d, with the decoupled weight decay
//	}
//
// What changes from step to step is in a row of device.HyperLen numbers per group, on the device; see Fused and EachStep.
//
// The first error is kept; methods called after an error do nothing and return nil.
type Update struct {
	o         *Optimizer
	name      string // the rule's name
	decoupled bool
	params    []Param
	work      []func()
	fill      func(hyper []float32, step int) // nil if there is nothing to fill in
	copies    bool                            // the work writes every Param.ComputeCopy that is no Param.Value
	momentum  bool                            // the rule follows a schedule that sets the momentum
	err       error

	kept    map[*device.Tensor]bool // weights and states, which a skipped step must not change
	present Param                   // the parameter whose work is being added
	skip    *scalar                 // not 0 if the parameter's step is skipped; nil until first needed
	scratch int                     // number of tensors of Optimizer.scratch in use
}

// Param is a parameter with its group.
type Param struct {
	*nn.Param
	index  int // row of the hyperparameters
	decay  float64
	freeze bool // the group has an UntilEpoch
}

// scalar is one element of a float32 tensor.
type scalar struct {
	tensor *device.Tensor
	index  int
}

// Params yields the rule's parameters one after the other. Every parameter reuses the same scratch tensors.
func (u *Update) Params() iter.Seq[Param] {
	return func(yield func(Param) bool) {
		for _, p := range u.params {
			u.present, u.skip, u.scratch = p, nil, 0
			u.kept[p.Value] = true
			if !yield(p) {
				return
			}
		}
	}
}

// State returns a float32 tensor of zeros in the parameter's shape, which checkpoints keep as prefix.NAME.
func (u *Update) State(prefix string, p Param) *device.Tensor {
	if u.err != nil {
		return nil
	}
	t, err := u.o.state(prefix+"."+p.Name, p.Param)
	if err != nil {
		u.fail(err)
		return nil
	}
	u.kept[t] = true
	return t
}

// EachStep sets the function that writes the rule's columns of the hyperparameters before each step, once per group;
// step counts from 0. hyper[device.HyperLR] already holds the group's learning rate, and may be changed.
func (u *Update) EachStep(fill func(hyper []float32, step int)) { u.fill = fill }

// Momentum returns the function from which a rule gets its momentum, or first beta, when it fills in the hyperparameters:
// the schedule's if it sets one, and otherwise own. A rule that doesn't call Momentum can't be used with a schedule that
// sets the momentum.
func (u *Update) Momentum(own float64) func() float64 {
	u.momentum = true
	return func() float64 {
		if u.o.hasScheduled {
			return u.o.scheduled
		}
		return own
	}
}

// ChangesMomentum reports whether a schedule sets the momentum of any of the parameters.
func (u *Update) ChangesMomentum() bool {
	return slices.ContainsFunc(u.params, func(p Param) bool { return changesMomentum(u.o.rows[p.index].schedule) })
}

// Slot returns the parameter for a fused update, without states.
func (u *Update) Slot(p Param) device.OptimizerParam {
	s := device.OptimizerParam{Value: p.Value, Grad: p.StepGrad(), Group: p.index}
	if p.ComputeCopy != p.Value {
		s.Copy = p.ComputeCopy
	}
	return s
}

// Fused adds a device's own update. fill writes the columns of the hyperparameters that the update reads; see EachStep.
func (u *Update) Fused(spec device.OptimizerSpec, fill func(hyper []float32, step int)) {
	if u.err != nil {
		return
	}
	spec.Decoupled = u.decoupled
	spec.Scaling = u.params[0].Scaling // all parameters have the same one
	plan, err := u.o.dev.NewOptimizer(spec)
	if err != nil {
		u.fail(err)
		return
	}
	u.EachStep(fill)
	u.copies = writesCopies(spec.Slots, u.params)
	hyper := u.o.hyper
	u.work = append(u.work, func() { plan.Step(hyper) })
}

// writesCopies reports whether an update of the slots writes the copies of all parameters.
func writesCopies(slots []device.OptimizerParam, params []Param) bool {
	written := map[*device.Tensor]bool{}
	for _, s := range slots {
		written[s.Copy] = true
	}
	return !slices.ContainsFunc(params, func(p Param) bool { return p.ComputeCopy != p.Value && !written[p.ComputeCopy] })
}

// run queues the work.
func (u *Update) run() {
	for _, f := range u.work {
		f()
	}
}

// skipped returns the number on the device that says whether the current parameter's step is skipped, or a scalar
// without a tensor if no step can be skipped. A parameter may be skipped for two reasons: under a loss scaling, because
// gradients are not finite, and because its group's UntilEpoch is past.
func (u *Update) skipped() scalar {
	if u.skip == nil {
		u.skip = new(scalar) // the work that findSkip adds is never skipped
		*u.skip = u.findSkip(u.present)
	}
	return *u.skip
}

func (u *Update) findSkip(p Param) scalar {
	scaling := scalar{p.Scaling, device.ScalingSkip}
	frozen := scalar{u.o.hyper, p.index*device.HyperLen + device.HyperFrozen}
	switch {
	case !p.freeze:
		return scaling
	case scaling.tensor == nil:
		return frozen
	}
	// One number serves both reasons: their sum.
	either, err := u.o.tensor(1)
	if err != nil {
		u.fail(err)
		return scalar{}
	}
	u.Map(either, device.MapSpec{Kind: device.MapAdd, B: device.NoAxes, BIndex: scaling.index, Beta: 1}, either, scaling.tensor)
	u.Map(either, device.MapSpec{Kind: device.MapAdd, B: device.NoAxes, BIndex: frozen.index, Alpha: 1, Beta: 1}, either, frozen.tensor)
	return scalar{either, 0}
}

// fail keeps the first error.
func (u *Update) fail(err error) {
	if u.err == nil {
		u.err = err
	}
}
