package vector

import (
	"math"

	"trainer/nn/device"
)

// Mask holds what dropout needs and what doesn't change from step to step.
type Mask struct {
	seed   uint64
	stream device.Stream
	scale  float32 // 1/(1-rate)
	// uniform(r) >= rate exactly when r>>8 >= threshold: uniform(r) is (r>>8) * 2^-24.
	threshold uint32
	keys      [20]uint32 // of the rounds of device.Philox4x32, two per round
}

// NewMask returns the mask that drops elements with a probability of rate, 0 <= rate < 1,
// according to the random words of (seed, stream).
func NewMask(rate float32, seed uint64, stream device.Stream) *Mask {
	m := &Mask{
		seed: seed, stream: stream,
		scale:     float32(1 / (1 - float64(rate))),
		threshold: uint32(math.Ceil(float64(rate) * (1 << 24))),
	}
	k0, k1 := uint32(seed), uint32(seed>>32)
	for i := 0; i < len(m.keys); i += 2 {
		m.keys[i], m.keys[i+1] = k0, k1
		k0 += 0x9E3779B9
		k1 += 0xBB67AE85
	}
	return m
}

func dropout(y, x []float32, m *Mask, step uint32, block uint64) {
	y = y[:len(x)]
	for len(x) >= 4 {
		a, b, c, d := device.Random(m.seed, m.stream, step, block)
		y[0] = keep(x[0]*m.scale, a, m.threshold)
		y[1] = keep(x[1]*m.scale, b, m.threshold)
		y[2] = keep(x[2]*m.scale, c, m.threshold)
		y[3] = keep(x[3]*m.scale, d, m.threshold)
		x, y = x[4:], y[4:]
		block++
	}
	if len(x) == 0 {
		return
	}
	var words [4]uint32
	words[0], words[1], words[2], words[3] = device.Random(m.seed, m.stream, step, block)
	for j, v := range x {
		y[j] = keep(v*m.scale, words[j], m.threshold)
	}
}

// keep returns v, or 0 if the word is below the threshold.
func keep(v float32, word, threshold uint32) float32 {
	b := math.Float32bits(v)
	if word>>8 < threshold {
		b = 0
	}
	return math.Float32frombits(b)
}
