package cpu

import "math"

// hue rotates the colour circle. With V the largest of red, green and blue, D their range and h the hue in sixths
// of the circle,
//
//	x[c] = V - D clamp(min(k, 4-k))        k = (n[c] + h + 6s) mod 6        n = 5, 3, 1
//
// p is s, the rotation in full circles.
func hue(m *picture, p []float32) {
	if m.c != 3 {
		return
	}
	turn := 6 * p[0]
	for i := 0; i < len(m.x); i += 3 {
		pixel := m.x[i : i+3]
		v := max(pixel[0], pixel[1], pixel[2])
		d := v - min(pixel[0], pixel[1], pixel[2])
		if d == 0 {
			continue
		}
		h := turn + hueOf(pixel, v, d)
		pixel[0], pixel[1], pixel[2] = channelOf(5+h, v, d), channelOf(3+h, v, d), channelOf(1+h, v, d)
	}
}

// hueOf returns the hue of a pixel with largest value v and range d, in sixths of the circle from red.
func hueOf(pixel []float32, v, d float32) float32 {
	switch v {
	case pixel[0]:
		return (pixel[1] - pixel[2]) / d
	case pixel[1]:
		return 2 + (pixel[2]-pixel[0])/d
	}
	return 4 + (pixel[0]-pixel[1])/d
}

// channelOf returns V - D clamp(min(k, 4-k)), for k before it is taken modulo 6.
func channelOf(k, v, d float32) float32 {
	k -= 6 * float32(math.Floor(float64(k/6)))
	return v - d*clamp(min(k, 4-k))
}
