package cpu

// solarize computes x = 1-x for pixels whose nearest byte is at least s. p is s.
func solarize(m *picture, p []float32) {
	for i, v := range m.x {
		if quantized(v) >= p[0] {
			m.x[i] = 1 - v
		}
	}
}
