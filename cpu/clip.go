package cpu

import (
	"fmt"
	"math"

	"trainer/nn/device"
)

// clip is the plan of gradient clipping (Pascanu, Mikolov and Bengio, "On the Difficulty
// of Training Recurrent Neural Networks", 2013, for the norm):
//
//	g = g * min(1, MaxNorm / sqrt(sum of all g^2))      then      g = min(max(g, -MaxValue), MaxValue)
//
// With MaxNorm, one NaN makes all gradients NaN; with MaxValue it stays alone. Either way
// the code that follows can detect it.
type clip struct {
	d       *Device
	spec    device.ClipSpec
	tasks   [][]float32 // chunks of all gradients
	partial []float64   // sum of squares of each chunk

	scale float32 // of the current call
}

// NewClip returns a plan for clipping gradients.
func (d *Device) NewClip(s device.ClipSpec) (device.Clip, error) {
	if err := d.unscaled("clip", s.Scaling); err != nil {
		return nil, err
	}
	if !(s.MaxNorm >= 0) || !(s.MaxValue >= 0) {
		panic(fmt.Sprintf("cpu: NewClip: largest norm %v, largest value %v, want 0 or more", s.MaxNorm, s.MaxValue))
	}
	p := &clip{d: d, spec: s}
	for i, t := range s.Grads {
		if t == nil || t.DType() != device.Float32 {
			panic(fmt.Sprintf("cpu: NewClip: gradient %d is %v, want float32", i, t))
		}
		g := floats(t)
		for c := 0; c < chunks(len(g)); c++ {
			from, to := span(c, len(g))
			p.tasks = append(p.tasks, g[from:to])
		}
	}
	p.partial = make([]float64, len(p.tasks))
	return p, nil
}

func (p *clip) Run() {
	p.scale = 1
	if p.spec.MaxNorm > 0 {
		p.d.pool.Run(len(p.tasks), (*clipNorm)(p))
		var squares float64
		for _, v := range p.partial {
			squares += v
		}
		p.scale = float32(min(1, float64(p.spec.MaxNorm)/math.Sqrt(squares)))
	}
	if p.scale != 1 || p.spec.MaxValue > 0 {
		p.d.pool.Run(len(p.tasks), (*clipApply)(p))
	}
}

// clipNorm is the loop over chunks for the sum of squares.
type clipNorm clip

func (p *clipNorm) Do(i, _ int) { p.partial[i] = p.d.vector.SumSquares(p.tasks[i]) }

// clipApply is the loop over chunks that scales and limits the gradients.
type clipApply clip

func (p *clipApply) Do(i, _ int) {
	g := p.tasks[i]
	if p.scale != 1 {
		p.d.vector.Scaled(g, g, p.scale)
	}
	if p.spec.MaxValue > 0 {
		limit(g, p.spec.MaxValue)
	}
}

// limit computes g = min(max(g, -largest), largest).
func limit(g []float32, largest float32) {
	for i, v := range g {
		if v > largest {
			g[i] = largest
		}
		if v < -largest {
			g[i] = -largest
		}
	}
}
