package devicetest

import "trainer/nn/device"

// The limits of a LossScaling's scale.
const (
	leastScale    = 1
	greatestScale = 1 << 24
)

// refScaling returns the state after an update, bad telling whether a gradient was NaN or infinite:
//
//	bad    scale = max(scale/2, 1), skip = 1, good = 0
//	else   good = good+1, skip = 0; at interval good steps scale = min(2*scale, 2^24), good = 0
//
// The inverse is that of the scale before.
func refScaling(state [device.ScalingLen]float64, bad bool, interval int) [device.ScalingLen]float64 {
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
