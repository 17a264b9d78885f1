package cpu

// blur computes a weighted mean of each pixel and up to 7 neighbours on each side: along the rows, into the scratch
// memory, and then along the columns. p holds the weights by distance, up to the first 0. The image is reflected at
// its border.
func blur(m *picture, p []float32) {
	radius := len(p) - 1
	for radius > 0 && p[radius] == 0 {
		radius--
	}
	row := m.w * m.c
	clear(m.scratch)
	for j := range m.w {
		for k := -radius; k <= radius; k++ {
			from, weight := reflected(j+k, m.w), p[max(k, -k)]
			for at := 0; at < len(m.x); at += row {
				addScaled(m.scratch[at+j*m.c:][:m.c], m.x[at+from*m.c:][:m.c], weight)
			}
		}
	}
	clear(m.x)
	for i := range m.h {
		for k := -radius; k <= radius; k++ {
			addScaled(m.x[i*row:][:row], m.scratch[reflected(i+k, m.h)*row:][:row], p[max(k, -k)])
		}
	}
}

// addScaled computes y += a x.
func addScaled(y, x []float32, a float32) {
	y = y[:len(x)]
	for i, v := range x {
		y[i] += a * v
	}
}

// reflected continues [0, n) by reflection at its ends, which are not repeated, for any i.
func reflected(i, n int) int {
	if n == 1 {
		return 0
	}
	period := 2 * (n - 1)
	i = max(i, -i) % period
	return min(i, period-i)
}
