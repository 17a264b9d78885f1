package cpu

// equalize replaces each pixel by the fraction of darker pixels in its channel, in integer arithmetic. With q the
// byte nearest to the pixel, below[v] the number of pixels with q < v, and N the number of pixels whose q is not
// the largest,
//
//	x = min(255, floor((step/2 + below[q]) / step)) / 255        step = floor(N / 255)
//
// A channel with step 0 stays as it is.
func equalize(m *picture, _ []float32) {
	for c := range m.c {
		var below [257]int // below[v+1] first holds the number of pixels with q = v
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
