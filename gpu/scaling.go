//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"fmt"

	"trainer/gpu/internal/cuda"
	"trainer/kernels"
	"trainer/nn/device"
)

// lossScaling is the plan of dynamic loss scaling (Micikevicius et al., "Mixed Precision Training", ICLR 2018),
// computed by the kernel in scaling.cu. It converts the gradients that have a source, counts the elements of all that are NaN or
// infinite, and sets the state:
//
//	none   good = good+1, and where that is Interval: scale = min(2*scale, 2^24), good = 0
//	some   skip = 1, scale = max(scale/2, 1), good = 0
//
// together with the inverse of the scale of the current gradients. The host does not see the state.
type lossScaling struct {
	d      *Device
	spec   device.LossScalingSpec // keeps the tensors alive: the kernel has only their addresses
	grads  list
	found  *memory // uint32 [2]: the count, and the blocks that have counted; 0 between calls
	kernel *cuda.Kernel
}

// NewLossScaling makes a plan for dynamic loss scaling.
func (d *Device) NewLossScaling(s device.LossScalingSpec) (device.LossScaling, error) {
	const op = "loss scaling"
	if s.Interval < 1 {
		panic(fmt.Sprintf("gpu: NewLossScaling: an interval of %d steps, want at least 1", s.Interval))
	}
	if s.State == nil {
		panic("gpu: NewLossScaling: the state is nil")
	}
	d.checkScaling(op, s.State)
	if s.Sources != nil && len(s.Sources) != len(s.Grads) {
		panic(fmt.Sprintf("gpu: NewLossScaling: %d sources for %d gradients", len(s.Sources), len(s.Grads)))
	}
	var table []kernels.Pair
	var lengths []int
	for i, t := range s.Grads {
		if t == nil || t.DType() != device.Float32 {
			panic(fmt.Sprintf("gpu: NewLossScaling: gradient %d is %v, want float32", i, t))
		}
		pair := kernels.Pair{Dst: d.address(op, "gradient", t)}
		if s.Sources != nil && s.Sources[i] != nil {
			device.CheckLen(fmt.Sprintf("gpu: NewLossScaling: gradient %d", i), "source", s.Sources[i], device.Float16, t.Len())
			pair.Src = d.address(op, "source", s.Sources[i])
		}
		table = append(table, pair)
		lengths = append(lengths, t.Len())
	}
	return build(d, op, func(b *builder) device.LossScaling {
		return &lossScaling{
			d: d, spec: s, grads: b.list(kernels.Table(table), lengths), found: b.zeros(8), kernel: b.kernel(kernels.ScalingUpdate),
		}
	})
}

// Update checks the gradients and sets the state.
func (p *lossScaling) Update() {
	d := p.d
	if !d.begin("loss scaling") {
		return
	}
	defer d.end()
	d.hold(p)
	a, grid := d.arguments().Pointer(d.data(p.spec.State)).Pointer(p.found.address), oneBlock
	if p.grads.empty() {
		a.Pointer(0).Pointer(0)
	} else {
		a.Pointer(p.grads.tensors.address).Pointer(p.grads.chunks.address)
		grid = p.grads.grid()
	}
	a.Int32(int32(p.spec.Interval))
	d.launch(p.kernel, grid)
}

// checkScaling panics unless t is nil, or the state of a LossScaling on this device.
func (d *Device) checkScaling(op string, t *device.Tensor) {
	device.CheckScaling("gpu: "+op, t)
	if t != nil {
		d.memoryOf(op, "scaling", t)
	}
}
