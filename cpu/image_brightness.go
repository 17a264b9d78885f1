package cpu

// brightness computes x = clamp(f x). p is f.
func brightness(m *picture, p []float32) {
	for i, v := range m.x {
		m.x[i] = clamp(p[0] * v)
	}
}
