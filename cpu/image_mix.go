package cpu

// mix computes x = k x + (1-k) z within a rectangle, where z is the partner's image. p is k, top, left, height,
// width, and the weight of the label, which isn't needed here.
func mix(m *picture, p []float32) {
	top, left, height, width := int(p[1]), int(p[2]), int(p[3]), int(p[4])
	for i := top; i < top+height; i++ {
		at := (i*m.w + left) * m.c
		x, z := m.x[at:][:width*m.c], m.other[at:][:width*m.c]
		for k, v := range z {
			x[k] = p[0]*x[k] + (1-p[0])*v
		}
	}
}
