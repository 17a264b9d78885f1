package data

import (
	"fmt"
	"math"
)

// MeanStd returns the mean and the standard deviation of each channel over every pixel
// of the set, pixels scaled to [0, 1]:
//
//	mean[c] = sum p / n          std[c] = sqrt(sum p^2 / n - mean[c]^2),   p = byte / 255
//
// Both sums are integers, so the result is exact up to the last rounding and independent of
// the order of summation. A channel that never varies has std 0.
func MeanStd(set Set) (mean, std []float32, err error) {
	if err := checkSet(set); err != nil {
		return nil, nil, fmt.Errorf("mean and standard deviation: %w", err)
	}
	h, w, c := set.ImageShape()
	count := make([][256]uint64, c) // count[ch][p]: how often channel ch has the value p
	pixels := make([]byte, h*w*c)
	for i := range set.Len() {
		if _, err := set.Read(i, pixels); err != nil {
			return nil, nil, fmt.Errorf("mean and standard deviation: image %d: %w", i, err)
		}
		for ch := range count {
			histogram := &count[ch]
			for at := ch; at < len(pixels); at += c {
				histogram[pixels[at]]++
			}
		}
	}
	n := float64(set.Len()) * float64(h*w)
	mean = make([]float32, c)
	std = make([]float32, c)
	for ch, histogram := range count {
		var sum, squares uint64
		for p, times := range histogram {
			sum += times * uint64(p)
			squares += times * uint64(p*p)
		}
		m := float64(sum) / n
		variance := float64(squares)/n - m*m
		mean[ch] = float32(m / 255)
		std[ch] = float32(math.Sqrt(max(variance, 0)) / 255)
	}
	return mean, std, nil
}
