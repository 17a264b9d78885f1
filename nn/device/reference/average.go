package reference

import (
	"trainer/nn/device"
)

// Average returns weights[0]*dst + weights[1]*src.
func Average(weights []float64, dst, src []float64) Sums {
	mean := NewSums(len(dst), ElementwiseUlps)
	for i := range dst {
		mean.Add(i, weights[0]*dst[i])
		mean.Add(i, weights[1]*src[i])
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

func (p average) Run(weights *device.Tensor) {
	const op = "average"
	device.Check(op, "weights", weights, device.Float32, 2)
	if !p.begin(op) {
		return
	}
	for i, dst := range p.s.Dst {
		p.store(op, dst, Average(p.load(weights), p.load(dst), p.load(p.s.Src[i])).Value)
		if p.s.CopyBack {
			p.memory.Copy(p.s.Src[i], dst)
		}
	}
}
