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

// activationKernels returns the kernels of a kind; ok is false for one that isn't known.
func activationKernels(kind device.ActivationKind) (forward, backward kernels.Family, ok bool) {
	switch kind {
	case device.ReLU:
		return kernels.ActivationReLUForward, kernels.ActivationReLUBackward, true
	case device.LeakyReLU:
		return kernels.ActivationLeakyReLUForward, kernels.ActivationLeakyReLUBackward, true
	case device.GELU:
		return kernels.ActivationGELUForward, kernels.ActivationGELUBackward, true
	case device.GELUTanh:
		return kernels.ActivationGELUTanhForward, kernels.ActivationGELUTanhBackward, true
	case device.Sigmoid:
		return kernels.ActivationSigmoidForward, kernels.ActivationSigmoidBackward, true
	case device.Tanh:
		return kernels.ActivationTanhForward, kernels.ActivationTanhBackward, true
	case device.SiLU:
		return kernels.ActivationSiLUForward, kernels.ActivationSiLUBackward, true
	}
	return "", "", false
}

// NewActivation makes a plan for an elementwise activation: a function without a kernel is left to the reference.
func (d *Device) NewActivation(s device.ActivationSpec) (device.Activation, error) {
	forward, backward, ok := activationKernels(s.Kind)
	if !ok {
		return d.Operations.NewActivation(s)
	}
	if s.Len < 1 {
		panic(fmt.Sprintf("gpu: NewActivation: %v over %d elements", s.Kind, s.Len))
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
