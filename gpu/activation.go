//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"fmt"

	"trainer/gpu/internal/cuda"
	"trainer/kernels"
	"trainer/nn/device"
)

// activation is the plan of y[i] = f(x[i]):
//
//	forward   y = f(x)
//	backward  dx = dy * f'(x)
//
// by the kernels of activation.cu.
type activation struct {
	d                 *Device
	spec              device.ActivationSpec
	forward, backward *cuda.Kernel
}

// NewActivation makes a plan for an elementwise activation: a function without a kernel is left to the reference.
func (d *Device) NewActivation(s device.ActivationSpec) (device.Activation, error) {
	if s.Function == nil || s.Len < 1 {
		panic(fmt.Sprintf("gpu: NewActivation: function %v over %d elements", s.Function, s.Len))
	}
	forward, backward, ok := kernels.Activation(s.Function.Name)
	if !ok {
		return d.Operations.NewActivation(s)
	}
	s.DType = floatType("NewActivation", s.DType)
	return build(d, "activation", func(b *builder) device.Activation {
		b.elements(s.Len)
		return &activation{d: d, spec: s, forward: b.family(forward, s.DType), backward: b.family(backward, s.DType)}
	})
}

func (p *activation) Forward(y, x *device.Tensor) {
	const op = "activation forward"
	n := device.CheckUpTo(op, "x", x, p.spec.DType, p.spec.Len)
	device.CheckLen(op, "y", y, p.spec.DType, n)
	d := p.d
	if !d.begin(op) {
		return
	}
	defer d.end()
	d.arguments().Pointer(d.data(y)).Pointer(d.data(x)).Int32(int32(n)).Float32(p.spec.Alpha)
	d.launch(p.forward, kernels.VectorPerThread(n, storage(p.spec.DType)))
}

func (p *activation) Backward(dx, dy, x, y *device.Tensor) {
	const op = "activation backward"
	n := device.CheckUpTo(op, "x", x, p.spec.DType, p.spec.Len)
	device.CheckLen(op, "dx", dx, p.spec.DType, n)
	device.CheckLen(op, "dy", dy, p.spec.DType, n)
	device.CheckLen(op, "y", y, p.spec.DType, n)
	d := p.d
	if !d.begin(op) {
		return
	}
	defer d.end()
	d.arguments().Pointer(d.data(dx)).Pointer(d.data(dy)).Pointer(d.data(x)).Int32(int32(n)).Float32(p.spec.Alpha)
	d.launch(p.backward, kernels.VectorPerThread(n, storage(p.spec.DType)))
}
