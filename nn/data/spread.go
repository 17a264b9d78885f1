package data

import "math"

// spreadOf returns the largest standard deviation of a channel of an image [h, w, c], in levels of 255: 0 for a single
// colour.
func spreadOf(pixels []byte, c int) float64 {
	n := float64(len(pixels) / c)
	largest := 0.0
	for ch := range c {
		var sum, squares uint64
		for at := ch; at < len(pixels); at += c {
			p := uint64(pixels[at])
			sum += p
			squares += p * p
		}
		mean := float64(sum) / n
		largest = max(largest, float64(squares)/n-mean*mean)
	}
	return math.Sqrt(largest)
}
