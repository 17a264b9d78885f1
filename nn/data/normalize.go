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
	sum, squares, err := sums(set)
	if err != nil {
		return nil, nil, fmt.Errorf("mean and standard deviation: %w", err)
	}
	n := float64(set.Len()) * float64(h*w)
	mean = make([]float32, c)
	std = make([]float32, c)
	for ch := range c {
		m := float64(sum[ch]) / n
		variance := float64(squares[ch])/n - m*m
		mean[ch] = float32(m / 255)
		std[ch] = float32(math.Sqrt(max(variance, 0)) / 255)
	}
	return mean, std, nil
}

// sums returns the sums of p and of p*p over all pixels, per channel. Images are read only if their statistics are not
// known. Each goroutine adds a share of the images.
func sums(set Set) (sum, squares []uint64, err error) {
	var opt Options
	n, shares := set.Len(), opt.workers()
	h, w, c := set.ImageShape()
	partial := make([][2][]uint64, shares)
	err = parallel(shares, shares, func(k int) error {
		own := [2][]uint64{make([]uint64, c), make([]uint64, c)}
		pixels := make([]byte, h*w*c)
		for i := k * n / shares; i < (k+1)*n/shares; i++ {
			if known, ok := statisticsIn(set, i); ok {
				for ch := range c {
					own[0][ch] += known.sum[ch]
					own[1][ch] += known.squares[ch]
				}
				continue
			}
			if _, err := set.Read(i, pixels); err != nil {
				return fmt.Errorf("image %d: %w", i, err)
			}
			addSums(own[0], own[1], pixels)
		}
		partial[k] = own
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	sum, squares = make([]uint64, c), make([]uint64, c)
	for _, share := range partial {
		for ch := range c {
			sum[ch] += share[0][ch]
			squares[ch] += share[1][ch]
		}
	}
	return sum, squares, nil
}

// addSums adds the bytes of an image [h, w, c] and their squares to sums per channel.
func addSums(sum, squares []uint64, pixels []byte) {
	c := len(sum)
	for ch := range c {
		var s, s2 uint64
		for at := ch; at < len(pixels); at += c {
			p := uint64(pixels[at])
			s += p
			s2 += p * p
		}
		sum[ch] += s
		squares[ch] += s2
	}
}
