package cpu

// autoContrast computes x = (x - low) / (high - low), with low and high the smallest and the largest value of each
// channel, unless they are less than 1/512 apart.
func autoContrast(m *picture, _ []float32) {
	for c := range m.c {
		low, high := m.x[c], m.x[c]
		for i := c; i < len(m.x); i += m.c {
			low, high = min(low, m.x[i]), max(high, m.x[i])
		}
		if high-low < 1.0/512 {
			continue
		}
		for i := c; i < len(m.x); i += m.c {
			m.x[i] = clamp((m.x[i] - low) / (high - low))
		}
	}
}
