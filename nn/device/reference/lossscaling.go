package reference

import (
	"math"

	"trainer/nn/device"
)

// The limits of a LossScaling's scale.
const (
	leastScale    = 1
	greatestScale = 1 << 24
)

// LossScaling returns the state after an update, where bad says that a gradient was NaN or infinite:
//
//	bad    scale = max(scale/2, 1), skip = 1, good = 0
//	else   good = good+1, skip = 0; at interval good steps scale = min(2*scale, 2^24), good = 0
//
// The inverse is the inverse of the previous scale.
func LossScaling(state [device.ScalingLen]float64, bad bool, interval int) [device.ScalingLen]float64 {
	scale, good := state[device.ScalingScale], state[device.ScalingGoodSteps]+1
	next := [device.ScalingLen]float64{device.ScalingScale: scale, device.ScalingInverse: 1 / scale}
	switch {
	case bad:
		next[device.ScalingScale] = max(scale/2, leastScale)
		next[device.ScalingSkip] = 1
		good = 0
	case good >= float64(interval):
		next[device.ScalingScale] = min(2*scale, greatestScale)
		good = 0
	}
	next[device.ScalingGoodSteps] = good
	return next
}

type lossScaling struct {
	*Operations
	s device.LossScalingSpec
}

// NewLossScaling makes a plan of loss scaling.
func (o Mixed) NewLossScaling(s device.LossScalingSpec) (device.LossScaling, error) {
	const op = "loss scaling"
	device.Check(op, "state", s.State, device.Float32, device.ScalingLen)
	require(op, s.Interval >= 1, "interval %d", s.Interval)
	require(op, s.Sources == nil || len(s.Sources) == len(s.Grads), "%d sources for %d gradients", len(s.Sources), len(s.Grads))
	for i, g := range s.Grads {
		device.CheckLen(op, "gradient", g, device.Float32, g.Len())
		if s.Sources != nil && s.Sources[i] != nil {
			device.CheckLen(op, "source", s.Sources[i], device.Float16, g.Len())
		}
	}
	return made[device.LossScaling](o.Operations, op, lossScaling{o.Operations, s}, nil)
}

func (p lossScaling) Update() {
	const op = "loss scaling"
	if !p.begin(op) {
		return
	}
	bad := false
	for i, g := range p.s.Grads {
		if p.s.Sources != nil && p.s.Sources[i] != nil {
			p.store(op, g, p.load(p.s.Sources[i]))
		}
		for _, v := range p.load(g) {
			bad = bad || math.IsNaN(v) || math.IsInf(v, 0)
		}
	}
	next := LossScaling([device.ScalingLen]float64(p.load(p.s.State)), bad, p.s.Interval)
	p.store(op, p.s.State, next[:])
}
