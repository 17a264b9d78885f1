//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"fmt"

	"trainer/gpu/internal/cuda"
	"trainer/kernels"
	"trainer/nn/device"
)

// optimizer is the plan of one update rule over all parameters of a network, in one launch of a
// kernel in optimizer.cu. See device.OptimizerKind for the formulas.
type optimizer struct {
	d      *Device
	spec   device.OptimizerSpec // keeps the parameters alive: the kernel has only their addresses
	groups int
	slots  list
	kernel *cuda.Kernel
}

// NewOptimizer makes a plan for an update of the parameters.
func (d *Device) NewOptimizer(s device.OptimizerSpec) (device.Optimizer, error) {
	const op = "optimizer"
	d.checkScaling(op, s.Scaling)
	p := &optimizer{d: d, spec: s}
	var table []kernels.Slot
	var lengths []int
	for i, slot := range s.Slots {
		slot.Check(s.Kind, i)
		p.groups = max(p.groups, slot.Group+1)
		table = append(table, kernels.Slot{
			Value: d.address(op, "value", slot.Value), Grad: d.address(op, "grad", slot.Grad),
			State1: d.address(op, "state1", slot.State1), State2: d.address(op, "state2", slot.State2),
			Copy: d.address(op, "copy", slot.Copy), Group: int32(slot.Group), BFloat16: flag(slot.Copy != nil && slot.Copy.DType() == device.BFloat16),
		})
		lengths = append(lengths, slot.Value.Len())
	}
	return build(d, op, func(b *builder) device.Optimizer {
		p.slots = b.list(kernels.Table(table), lengths)
		p.kernel = b.kernel(ruleKernel(s))
		return p
	})
}

// ruleKernel returns the kernel of an update rule.
func ruleKernel(s device.OptimizerSpec) kernels.Name {
	switch {
	case s.Kind == device.Adam:
		return kernels.OptimizerAdam
	case s.Kind == device.RMSProp:
		return kernels.OptimizerRMSProp
	case s.Kind == device.SGD && s.Nesterov:
		return kernels.OptimizerNesterov
	case s.Kind == device.SGD:
		return kernels.OptimizerSGD
	}
	panic(fmt.Sprintf("gpu: NewOptimizer: kind %d", s.Kind))
}

func (p *optimizer) Step(hyper *device.Tensor) {
	const op = "optimizer step"
	device.Check(op, "hyper", hyper, device.Float32, -1, device.HyperLen)
	if hyper.Rows() < p.groups {
		panic(fmt.Sprintf("%s: hyper is %v, want %d groups", op, hyper, p.groups))
	}
	d := p.d
	if p.slots.empty() || !d.begin(op) {
		return
	}
	defer d.end()
	d.hold(p)
	a := d.arguments().Pointer(p.slots.tensors.address).Pointer(p.slots.chunks.address).Pointer(d.data(hyper)).Pointer(d.optional(p.spec.Scaling))
	if p.spec.Kind != device.SGD {
		a.Float32(p.spec.Epsilon)
	}
	a.Int32(flag(p.spec.Decoupled))
	d.launch(p.kernel, p.slots.grid())
}
