package reference

import (
	"trainer/nn/device"
)

// Average returns decay*dst + (1-decay)*src.
func Average(decay float64, dst, src []float64) Sums {
	mean := NewSums(len(dst), ElementwiseUlps)
	for i := range dst {
		mean.Add(i, decay*dst[i])
		mean.Add(i, (1-decay)*src[i])
	}
	return mean
}

type average struct {
	*Operations
	s device.AverageSpec
}

// NewAverage makes a plan of moving averages.
func (o *Operations) NewAverage(s device.AverageSpec) (device.Average, error) {
	require("average", len(s.Dst) == len(s.Src), "%d averages of %d tensors", len(s.Dst), len(s.Src))
	for i, d := range s.Dst {
		device.CheckLen("average", "src", s.Src[i], device.Float32, d.Len())
	}
	return made[device.Average](o, "average", average{o, s}, nil)
}

func (p average) Run(decay *device.Tensor) {
	const op = "average"
	device.Check(op, "decay", decay, device.Float32, 1)
	if !p.begin(op) {
		return
	}
	for i, dst := range p.s.Dst {
		p.store(op, dst, Average(p.loadAt(decay, 0), p.load(dst), p.load(p.s.Src[i])).Value)
		if p.s.CopyBack {
			p.memory.Copy(p.s.Src[i], dst)
		}
	}
}
