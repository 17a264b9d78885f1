package tensorboard

import (
	"math"
	"slices"
	"sort"
)

// histogram is HistogramProto: bucket i counts the values v with limit[i-1] <= v < limit[i].
type histogram struct {
	min, max, sum, sumSquares float64
	count                     float64
	limits, counts            []float64
}

// bucketLimits are the ends of the buckets, as TensorFlow has chosen them: they grow by a tenth, from 1e-12 to 1e20, on
// both sides of zero.
func bucketLimits() []float64 {
	var positive []float64
	for v := 1e-12; v < 1e20; v *= 1.1 {
		positive = append(positive, v)
	}
	positive = append(positive, math.MaxFloat64)
	var limits []float64
	for _, v := range slices.Backward(positive) {
		limits = append(limits, -v)
	}
	return append(append(limits, 0), positive...)
}

// histogramOf counts the finite values. Buckets without values at both ends are left out, and so are runs of them in
// between but for one bucket each.
func histogramOf(values []float32, limits []float64) histogram {
	h := histogram{min: math.Inf(1), max: math.Inf(-1)}
	counts := make([]float64, len(limits))
	for _, v32 := range values {
		v := float64(v32)
		if math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		h.min, h.max = min(h.min, v), max(h.max, v)
		h.count++
		h.sum += v
		h.sumSquares += v * v
		counts[sort.Search(len(limits)-1, func(i int) bool { return v < limits[i] })]++
	}
	if h.count == 0 {
		h.min, h.max = 0, 0
	}
	for i, n := range counts {
		last := len(h.counts) - 1
		switch {
		case n == 0 && last < 0:
			if i+1 < len(counts) && counts[i+1] != 0 { // where the first bucket begins
				h.limits, h.counts = append(h.limits, limits[i]), append(h.counts, 0)
			}
		case n == 0 && h.counts[last] == 0:
			h.limits[last] = limits[i]
		default:
			h.limits, h.counts = append(h.limits, limits[i]), append(h.counts, n)
		}
	}
	if last := len(h.counts) - 1; last >= 0 && h.counts[last] == 0 {
		h.limits, h.counts = h.limits[:last], h.counts[:last]
	}
	return h
}

// encode returns HistogramProto.
func (h *histogram) encode() (m message) {
	m.double(1, h.min)
	m.double(2, h.max)
	m.double(3, h.count)
	m.double(4, h.sum)
	m.double(5, h.sumSquares)
	m.doubles(6, h.limits)
	m.doubles(7, h.counts)
	return m
}
