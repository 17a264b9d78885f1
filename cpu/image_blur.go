package cpu

// blur is a weighted mean of a pixel and up to 7 neighbours to each side, along the rows, to the scratch memory, and
// then along the columns. p are the weights by distance; those from the first 0 on don't count. The image is
// reflected at its border.
func blur(m *picture, p []float32) {
	radius := len(p) - 1
	for radius > 0 && p[radius] == 0 {
		radius--
	}
	row := m.w * m.c
	for i := range m.h {
		for j := range m.w {
			m.weighted(m.scratch[i*row+j*m.c:][:m.c], m.x[i*row:], j, m.w, m.c, p[:radius+1])
		}
	}
	for i := range m.h {
		for j := range m.w {
			m.weighted(m.x[i*row+j*m.c:][:m.c], m.scratch[j*m.c:], i, m.h, row, p[:radius+1])
		}
	}
}

// weighted writes the mean around place i of n places of a line, which are stride elements apart.
func (m *picture) weighted(to, line []float32, i, n, stride int, weights []float32) {
	clear(to)
	for k := 1 - len(weights); k < len(weights); k++ {
		from := line[reflected(i+k, n)*stride:][:len(to)]
		weight := weights[max(k, -k)]
		for c, v := range from {
			to[c] += weight * v
		}
	}
}

// reflected continues [0, n) by reflection at its ends, which are not repeated, however far i is.
func reflected(i, n int) int {
	if n == 1 {
		return 0
	}
	period := 2 * (n - 1)
	i = max(i, -i) % period
	return min(i, period-i)
}
