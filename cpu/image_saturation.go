package cpu

// saturation computes x = clamp(f x + (1-f) gray), with each pixel's own gray. p is f.
func saturation(m *picture, p []float32) {
	if m.c != 3 {
		return
	}
	for i := 0; i < len(m.x); i += 3 {
		pixel := m.x[i : i+3]
		rest := (1 - p[0]) * gray(pixel)
		for c, v := range pixel {
			pixel[c] = clamp(p[0]*v + rest)
		}
	}
}
