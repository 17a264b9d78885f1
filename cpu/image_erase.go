package cpu

// erase fills a rectangle with the mean colour. p is top, left, height, width.
func erase(m *picture, p []float32) {
	top, left, height, width := int(p[0]), int(p[1]), int(p[2]), int(p[3])
	for i := top; i < top+height; i++ {
		for j := left; j < left+width; j++ {
			copy(m.x[(i*m.w+j)*m.c:], m.mean)
		}
	}
}
