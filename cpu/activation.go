package cpu

import (
	"fmt"

	"trainer/cpu/internal/vector"
	"trainer/nn/device"
)

// activation is the plan of y[i] = f(x[i]):
//
//	forward   y = f(x)
//	backward  dx = dy * f'(x)
//
// with the loops of package vector. The slopes are written so that they do not cancel where f is flat: with
// e = exp(-|x|), the sigmoid's slope s(1-s) is e/(1+e)^2, and tanh's 1-tanh^2 the same
// with e = exp(-2|x|), times 4.
type activation struct {
	d     *Device
	spec  device.ActivationSpec
	apply vector.Activation

	// Operands of the call that is running.
	y, x, dx, dy []float32
}

// NewActivation makes a plan for an elementwise activation: a function without loops here is left to the reference.
func (d *Device) NewActivation(s device.ActivationSpec) (device.Activation, error) {
	if err := d.float32Only("activation", s.DType); err != nil {
		return nil, err
	}
	if s.Function == nil || s.Len < 1 {
		panic(fmt.Sprintf("cpu: NewActivation: function %v over %d elements", s.Function, s.Len))
	}
	f, ok := d.vector.Activations[s.Function.Name]
	if !ok {
		return d.Operations.NewActivation(s)
	}
	return &activation{d: d, spec: s, apply: f}, nil
}

func (p *activation) Forward(y, x *device.Tensor) {
	const op = "cpu: activation forward"
	n := device.CheckUpTo(op, "x", x, device.Float32, p.spec.Len)
	device.CheckLen(op, "y", y, device.Float32, n)
	p.y, p.x = floats(y), floats(x)
	p.d.pool.Run(chunks(n), (*activationForward)(p))
}

func (p *activation) Backward(dx, dy, x, y *device.Tensor) {
	const op = "cpu: activation backward"
	n := device.CheckUpTo(op, "x", x, device.Float32, p.spec.Len)
	device.CheckLen(op, "dx", dx, device.Float32, n)
	device.CheckLen(op, "dy", dy, device.Float32, n)
	device.CheckLen(op, "y", y, device.Float32, n)
	p.dx, p.dy, p.x = floats(dx), floats(dy), floats(x)
	p.d.pool.Run(chunks(n), (*activationBackward)(p))
}

// activationForward is the loop over chunks of Forward.
type activationForward activation

func (p *activationForward) Do(i, _ int) {
	from, to := span(i, len(p.x))
	p.apply.Forward(p.y[from:to], p.x[from:to], p.spec.Alpha)
}

// activationBackward is the loop over chunks of Backward.
type activationBackward activation

func (p *activationBackward) Do(i, _ int) {
	from, to := span(i, len(p.x))
	p.apply.Backward(p.dx[from:to], p.dy[from:to], p.x[from:to], p.spec.Alpha)
}
