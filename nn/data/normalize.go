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
	count, err := histograms(set)
	if err != nil {
		return nil, nil, fmt.Errorf("mean and standard deviation: %w", err)
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

// histograms returns for each channel how often it has each value. Each goroutine counts a share of the images.
func histograms(set Set) ([][256]uint64, error) {
	var opt Options
	n, shares := set.Len(), opt.workers()
	h, w, c := set.ImageShape()
	counts := make([][][256]uint64, shares)
	err := parallel(shares, shares, func(k int) error {
		counts[k] = make([][256]uint64, c)
		pixels := make([]byte, h*w*c)
		for i := k * n / shares; i < (k+1)*n/shares; i++ {
			if _, err := set.Read(i, pixels); err != nil {
				return fmt.Errorf("image %d: %w", i, err)
			}
			for ch := range c {
				histogram := &counts[k][ch]
				for at := ch; at < len(pixels); at += c {
					histogram[pixels[at]]++
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, share := range counts[1:] {
		for ch := range share {
			for p, times := range share[ch] {
				counts[0][ch][p] += times
			}
		}
	}
	return counts[0], nil
}
