//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"trainer/gpu/internal/cuda"
	"trainer/kernels"
	"trainer/nn/device"
)

// gather is the plan of y[i] = x[ids[i]], computed by the kernel in gather.cu.
type gather struct {
	d      *Device
	spec   device.GatherSpec
	pack   bool
	kernel *cuda.Kernel
}

// NewGather makes a plan that picks rows.
func (d *Device) NewGather(s device.GatherSpec) (device.Gather, error) {
	s.Check()
	s.DType = floatType("NewGather", s.DType)
	return build(d, "gather", func(b *builder) device.Gather {
		b.elements(s.Rows * s.RowLen)
		return &gather{d, s, packs(s.DType, s.RowLen), b.family(kernels.Gather, s.DType)}
	})
}

// packs reports whether each of the sizes is a whole number of 16-byte units. Tensors begin at multiples of 16.
func packs(t device.DType, sizes ...int) bool {
	for _, n := range sizes {
		if n*t.Size()%16 != 0 {
			return false
		}
	}
	return true
}

func (p *gather) Run(y, x, ids *device.Tensor) {
	s, d := p.spec, p.d
	rows := s.CheckOperands(y, x, ids)
	if !d.begin("gather") {
		return
	}
	defer d.end()
	n := rows * s.RowLen
	d.arguments().Pointer(d.data(y)).Pointer(d.data(x)).Pointer(d.data(ids)).Int32(int32(n)).
		Int32(int32(s.RowLen)).Int32(int32(s.XRows)).Int32(flag(p.pack))
	d.launch(p.kernel, kernels.VectorPerThread(n, storage(s.DType)))
}
