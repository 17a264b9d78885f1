package reference

import (
	"math"

	"trainer/nn/device"
)

// Clip returns the limited gradients: first all of them times min(1, maxNorm/norm), where
// norm is the square root of the sum of all squares, then each element limited to
// [-maxValue, maxValue]. 0 means no limit. A norm of NaN makes all gradients NaN.
func Clip(maxNorm, maxValue float64, grads [][]float64) []Sums {
	squares, count := 0.0, 0
	for _, g := range grads {
		for _, v := range g {
			squares += v * v
			count++
		}
	}
	scale := 1.0
	if norm := math.Sqrt(squares); maxNorm > 0 && !(norm <= maxNorm) {
		scale = maxNorm / norm
	}
	clipped := make([]Sums, len(grads))
	for i, g := range grads {
		clipped[i] = NewSums(len(g), SumUlps(count))
		for j, v := range g {
			limited := v * scale
			if maxValue > 0 {
				limited = math.Max(-maxValue, math.Min(maxValue, limited))
			}
			clipped[i].Add(j, limited)
		}
		if scale == 1 {
			clipped[i].Ulps = 0
		}
	}
	return clipped
}

type clip struct {
	*Operations
	s device.ClipSpec
}

// NewClip makes a plan that limits gradients.
func (o *Operations) NewClip(s device.ClipSpec) (device.Clip, error) {
	for _, g := range s.Grads {
		device.CheckLen("clip", "gradient", g, device.Float32, g.Len())
	}
	return made[device.Clip](o, "clip", clip{o, s}, o.scales("clip", s.Scaling))
}

func (p clip) Run() {
	const op = "clip"
	if !p.begin(op) {
		return
	}
	scale := 1.0
	if p.s.Scaling != nil {
		scale = 1 / p.loadAt(p.s.Scaling, device.ScalingInverse)
	}
	var grads [][]float64
	for _, t := range p.s.Grads {
		g := p.load(t)
		for i := range g {
			g[i] /= scale
		}
		grads = append(grads, g)
	}
	for i, limited := range Clip(float64(p.s.MaxNorm), float64(p.s.MaxValue), grads) {
		p.store(op, p.s.Grads[i], limited.Times(scale).Value)
	}
}
