//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"fmt"

	"trainer/gpu/internal/cuda"
	"trainer/kernels"
	"trainer/nn/device"
)

// average is the plan of moving averages of weights: for each pair,
//
//	dst = weights[0]*dst + weights[1]*src      and with CopyBack      src = dst
//
// in one launch of the kernel in average.cu. (Polyak and Juditsky 1992; with CopyBack, Lookahead of
// Zhang et al. 2019, where dst holds the slow weights.)
type average struct {
	d      *Device
	spec   device.AverageSpec // keeps the tensors alive: the kernel has only their addresses
	pairs  list
	kernel *cuda.Kernel
}

// NewAverage makes a plan for moving averages.
func (d *Device) NewAverage(s device.AverageSpec) (device.Average, error) {
	if len(s.Dst) != len(s.Src) {
		panic(fmt.Sprintf("gpu: NewAverage: %d destinations for %d sources", len(s.Dst), len(s.Src)))
	}
	var table []kernels.Pair
	var lengths []int
	for i, t := range s.Dst {
		op := fmt.Sprintf("gpu: NewAverage: pair %d", i)
		if t == nil {
			panic(op + ": the destination is nil")
		}
		device.CheckLen(op, "destination", t, device.Float32, t.Len())
		device.CheckLen(op, "source", s.Src[i], device.Float32, t.Len())
		table = append(table, kernels.Pair{Dst: d.address(op, "destination", t), Src: d.address(op, "source", s.Src[i])})
		lengths = append(lengths, t.Len())
	}
	return build(d, "average", func(b *builder) device.Average {
		return &average{d, s, b.list(kernels.Table(table), lengths), b.kernel(kernels.Average)}
	})
}

func (p *average) Run(weights *device.Tensor) {
	const op = "average"
	device.CheckLen(op, "weights", weights, device.Float32, 2)
	d := p.d
	if p.pairs.empty() || !d.begin(op) {
		return
	}
	defer d.end()
	d.hold(p)
	d.arguments().Pointer(p.pairs.tensors.address).Pointer(p.pairs.chunks.address).Pointer(d.data(weights)).Int32(flag(p.spec.CopyBack))
	d.launch(p.kernel, p.pairs.grid())
}
