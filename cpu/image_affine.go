package cpu

import "math"

// affine takes each pixel from the position that an affine map gives, interpolating between four pixels:
//
//	y[i,j] = x(d*j + e*i + f, a*j + b*i + c)
//
// p is a b c d e f, then a code for what lies beyond the border. The image is first copied to the scratch
// memory.
func affine(m *picture, p []float32) {
	copy(m.scratch, m.x)
	for i := range m.h {
		for j := range m.w {
			u, v := p[3]*float32(j)+p[4]*float32(i)+p[5], p[0]*float32(j)+p[1]*float32(i)+p[2]
			to := m.x[(i*m.w+j)*m.c:][:m.c]
			if p[6] == 0 {
				m.sampleZeros(to, u, v)
			} else {
				m.sample(to, within(u, m.h, p[6]), within(v, m.w, p[6]))
			}
		}
	}
}

// sample writes the pixel at (u,v), which is in the image, reading the scratch memory.
func (m *picture) sample(to []float32, u, v float32) {
	i, j := int(u), int(v)
	s, t := u-float32(i), v-float32(j)
	down, right := 0, 0
	if i < m.h-1 {
		down = m.w * m.c
	}
	if j < m.w-1 {
		right = m.c
	}
	from := m.scratch[(i*m.w+j)*m.c:]
	for k := range to {
		to[k] = (1-s)*((1-t)*from[k]+t*from[k+right]) + s*((1-t)*from[k+down]+t*from[k+down+right])
	}
}

// sampleZeros is sample for any (u,v), with zeros beyond the border.
func (m *picture) sampleZeros(to []float32, u, v float32) {
	clear(to)
	if !(u > -1 && u < float32(m.h) && v > -1 && v < float32(m.w)) {
		return
	}
	i, j := int(math.Floor(float64(u))), int(math.Floor(float64(v)))
	s, t := u-float32(i), v-float32(j)
	for corner, weight := range [4]float32{(1 - s) * (1 - t), (1 - s) * t, s * (1 - t), s * t} {
		row, col := i+corner/2, j+corner%2
		if row < 0 || row >= m.h || col < 0 || col >= m.w {
			continue
		}
		for k, x := range m.scratch[(row*m.w+col)*m.c:][:m.c] {
			to[k] += weight * x
		}
	}
}

// within brings a coordinate into [0, n-1]: by reflection at both ends if border is 1, otherwise by taking
// the nearer end.
func within(u float32, n int, border float32) float32 {
	last := float32(n - 1)
	if border == 1 && n > 1 {
		u = float32(math.Abs(float64(u)))
		u -= 2 * last * float32(math.Floor(float64(u/(2*last))))
		if u > last {
			u = 2*last - u
		}
	}
	return min(max(u, 0), last)
}
