package cpu

// sharpness computes x = clamp(f x + (1-f) s), with s = (4 x + sum of the 3x3 pixels around x) / 13; the pixels at
// the border stay as they are. p is f. The image is first copied to the scratch memory.
func sharpness(m *picture, p []float32) {
	copy(m.scratch, m.x)
	row := m.w * m.c
	for i := 1; i < m.h-1; i++ {
		above, here, below := m.scratch[(i-1)*row:][:row], m.scratch[i*row:][:row], m.scratch[(i+1)*row:][:row]
		to := m.x[i*row:][:row]
		for j := m.c; j < row-m.c; j++ {
			sum := above[j-m.c] + above[j] + above[j+m.c] + here[j-m.c] + 5*here[j] + here[j+m.c] + below[j-m.c] + below[j] + below[j+m.c]
			to[j] = clamp(p[0]*here[j] + (1-p[0])*(sum/13))
		}
	}
}
