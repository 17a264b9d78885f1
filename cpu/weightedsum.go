package cpu

import (
	"fmt"

	"trainer/nn/device"
)

// weightedSum is the plan of y = alpha*a + beta*b, or of y = alpha*a without b.
type weightedSum struct {
	d    *Device
	spec device.WeightedSumSpec

	// Operands of the current call; b may be nil.
	y, a, b []float32
}

// NewWeightedSum returns a plan for a weighted sum.
func (d *Device) NewWeightedSum(s device.WeightedSumSpec) (device.WeightedSum, error) {
	if err := d.float32Only("weighted sum", s.DType); err != nil {
		return nil, err
	}
	if s.Len < 1 {
		panic(fmt.Sprintf("cpu: NewWeightedSum: %d elements", s.Len))
	}
	return &weightedSum{d: d, spec: s}, nil
}

func (p *weightedSum) Run(y, a, b *device.Tensor) {
	const op = "cpu: weighted sum"
	n := device.CheckUpTo(op, "a", a, device.Float32, p.spec.Len)
	device.CheckLen(op, "y", y, device.Float32, n)
	if b != nil {
		device.CheckLen(op, "b", b, device.Float32, n)
	}
	p.y, p.a, p.b = floats(y), floats(a), optionalFloats(b)
	p.d.pool.Run(chunks(n), (*weightedSumRun)(p))
}

// weightedSumRun is the loop over chunks.
type weightedSumRun weightedSum

func (p *weightedSumRun) Do(i, _ int) {
	from, to := span(i, len(p.a))
	if p.b == nil {
		p.d.vector.Scaled(p.y[from:to], p.a[from:to], p.spec.Alpha)
		return
	}
	p.d.vector.WeightedSum(p.y[from:to], p.a[from:to], p.b[from:to], p.spec.Alpha, p.spec.Beta)
}
