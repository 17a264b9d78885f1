package devicetest

// refAverage returns decay*dst + (1-decay)*src.
func refAverage(decay float64, dst, src []float64) sums {
	mean := newSums(len(dst), elementwiseUlps)
	for i := range dst {
		mean.add(i, decay*dst[i])
		mean.add(i, (1-decay)*src[i])
	}
	return mean
}
