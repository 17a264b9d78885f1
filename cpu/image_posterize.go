package cpu

import "math"

// posterize computes x = s floor(q/s) / 255, where q is the nearest byte. p is s.
func posterize(m *picture, p []float32) {
	for i, v := range m.x {
		m.x[i] = p[0] * float32(math.Floor(float64(quantized(v)/p[0]))) / 255
	}
}
