//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"fmt"

	"trainer/gpu/internal/cuda"
	"trainer/kernels"
	"trainer/nn/device"
)

// combine is the plan of y = alpha*a + beta*b, or alpha*a without b, computed by the kernels in
// combine.cu.
type combine struct {
	d              *Device
	spec           device.WeightedSumSpec
	combine, scale *cuda.Kernel
}

// NewWeightedSum makes a plan for a weighted sum.
func (d *Device) NewWeightedSum(s device.WeightedSumSpec) (device.WeightedSum, error) {
	if s.Len < 1 {
		panic(fmt.Sprintf("gpu: NewCombine: %d elements", s.Len))
	}
	s.DType = floatType("NewCombine", s.DType)
	return build(d, "combine", func(b *builder) device.WeightedSum {
		b.elements(s.Len)
		return &combine{d: d, spec: s, combine: b.family(kernels.Combine, s.DType), scale: b.family(kernels.Scale, s.DType)}
	})
}

func (p *combine) Run(y, a, b *device.Tensor) {
	const op = "combine"
	n := device.CheckUpTo(op, "a", a, p.spec.DType, p.spec.Len)
	device.CheckLen(op, "y", y, p.spec.DType, n)
	if b != nil {
		device.CheckLen(op, "b", b, p.spec.DType, n)
	}
	d := p.d
	if !d.begin(op) {
		return
	}
	defer d.end()
	grid := kernels.VectorPerThread(n, storage(p.spec.DType))
	if b == nil {
		d.arguments().Pointer(d.data(y)).Pointer(d.data(a)).Int32(int32(n)).Float32(p.spec.Alpha)
		d.launch(p.scale, grid)
		return
	}
	d.arguments().Pointer(d.data(y)).Pointer(d.data(a)).Pointer(d.data(b)).Int32(int32(n)).Float32(p.spec.Alpha).Float32(p.spec.Beta)
	d.launch(p.combine, grid)
}
