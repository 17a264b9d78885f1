package cpu

// contrast computes x = clamp(f x + (1-f) mean), with the image's mean brightness. p is f.
func contrast(m *picture, p []float32) {
	sum := 0.0 // in float64: a float32 sum over a large image would lose digits
	for i := 0; i < len(m.x); i += m.c {
		sum += float64(gray(m.x[i : i+m.c]))
	}
	rest := (1 - p[0]) * float32(sum/float64(m.h*m.w))
	for i, v := range m.x {
		m.x[i] = clamp(p[0]*v + rest)
	}
}
