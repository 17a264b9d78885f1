package cpu

import (
	"fmt"

	"trainer/nn/device"
)

// average is the plan of moving averages of weights: for each pair,
//
//	dst = weights[0]*dst + weights[1]*src      and with CopyBack      src = dst
//
// (Polyak and Juditsky 1992; with CopyBack this is Lookahead, Zhang et al. 2019, and dst
// holds the slow weights.)
type average struct {
	d     *Device
	spec  device.AverageSpec
	tasks []averageChunk

	weights []float32 // of the current call
}

// averageChunk is a piece of one pair.
type averageChunk struct{ dst, src []float32 }

// NewAverage returns a plan for moving averages.
func (d *Device) NewAverage(s device.AverageSpec) (device.Average, error) {
	if len(s.Dst) != len(s.Src) {
		panic(fmt.Sprintf("cpu: NewAverage: %d destinations for %d sources", len(s.Dst), len(s.Src)))
	}
	p := &average{d: d, spec: s}
	for i, t := range s.Dst {
		op := fmt.Sprintf("cpu: NewAverage: pair %d", i)
		if t == nil {
			panic(op + ": the destination is nil")
		}
		device.CheckLen(op, "destination", t, device.Float32, t.Len())
		device.CheckLen(op, "source", s.Src[i], device.Float32, t.Len())
		dst, src := floats(t), floats(s.Src[i])
		for c := 0; c < chunks(len(dst)); c++ {
			from, to := span(c, len(dst))
			p.tasks = append(p.tasks, averageChunk{dst[from:to], src[from:to]})
		}
	}
	return p, nil
}

func (p *average) Run(weights *device.Tensor) {
	device.CheckLen("cpu: average", "weights", weights, device.Float32, 2)
	p.weights = floats(weights)
	p.d.pool.Run(len(p.tasks), (*averageRun)(p))
}

// averageRun is the loop over the chunks of all pairs.
type averageRun average

func (p *averageRun) Do(i, _ int) {
	t := p.tasks[i]
	p.d.vector.WeightedSum(t.dst, t.dst, t.src, p.weights[0], p.weights[1])
	if p.spec.CopyBack {
		copy(t.src, t.dst)
	}
}
