//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"fmt"

	"trainer/gpu/internal/cuda"
	"trainer/kernels"
	"trainer/nn/device"
)

// weightedSum is the plan of y = alpha*a + beta*b, or alpha*a without b, computed by the kernels in
// weighted_sum.cu.
type weightedSum struct {
	d          *Device
	spec       device.WeightedSumSpec
	sum, scale *cuda.Kernel
}

// NewWeightedSum makes a plan for a weighted sum.
func (d *Device) NewWeightedSum(s device.WeightedSumSpec) (device.WeightedSum, error) {
	if s.Len < 1 {
		panic(fmt.Sprintf("gpu: NewWeightedSum: %d elements", s.Len))
	}
	s.DType = floatType("NewWeightedSum", s.DType)
	return build(d, "weighted sum", func(b *builder) device.WeightedSum {
		b.elements(s.Len)
		return &weightedSum{d: d, spec: s, sum: b.family(kernels.WeightedSum, s.DType), scale: b.family(kernels.Scale, s.DType)}
	})
}

func (p *weightedSum) Run(y, a, b *device.Tensor) {
	const op = "weighted sum"
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
	d.launch(p.sum, grid)
}
