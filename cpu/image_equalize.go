package cpu

// equalize replaces each pixel by the share of darker ones, in whole numbers. With q the nearest byte, below[v] the
// pixels of the channel whose q is less than v, and N those that are not of the largest q,
//
//	x = min(255, floor((step/2 + below[q]) / step)) / 255        step = floor(N / 255)
//
// A channel whose step is 0 stays.
func equalize(m *picture, _ []float32) {
	for c := range m.c {
		var below [257]int // of v+1: first the number of pixels of v
		for i := c; i < len(m.x); i += m.c {
			below[1+int(quantized(m.x[i]))]++
		}
		last := 0
		for v := range 256 {
			if below[v+1] > 0 {
				last = below[v+1]
			}
			below[v+1] += below[v]
		}
		step := (m.h*m.w - last) / 255
		if step == 0 {
			continue
		}
		for i := c; i < len(m.x); i += m.c {
			m.x[i] = float32(min(255, (step/2+below[int(quantized(m.x[i]))])/step)) / 255
		}
	}
}
