package kernels_test

import (
	"math"
	"testing"

	"trainer/kernels"
)

// weightedLossCase is a loss with soft targets, weights or an ignored label.
type weightedLossCase struct {
	lossCase
	soft                  []float64 // [n, classes], or nil with labels
	classWeights, weights []float64 // or nil for 1 each
	ignore                bool
	ignored               int32
}

func weightedLossCases() []weightedLossCase {
	var cases []weightedLossCase
	for _, plain := range lossCases() {
		src := newSource("weighted loss/" + plain.name)
		n := len(plain.labels)
		w, v := src.between(plain.classes, 0.125, 2, kernels.Float32), src.between(n, 0, 2, kernels.Float32)
		if n > 1 {
			v[n/2] = 0
		}
		soft := src.between(len(plain.z), 0, 1/float64(plain.classes), kernels.Float32)
		soft[len(soft)/2] = 0
		named := func(name string, c weightedLossCase) {
			c.lossCase = plain
			c.name = plain.name + "/" + name
			cases = append(cases, c)
		}
		named("labels", weightedLossCase{})
		named("class-weights", weightedLossCase{classWeights: w})
		named("ignore", weightedLossCase{ignore: true, ignored: plain.labels[0], weights: v})
		named("ignored-class-weights", weightedLossCase{ignore: true, ignored: plain.labels[n-1], classWeights: w, weights: v})
		named("soft", weightedLossCase{soft: soft})
		named("soft-weights", weightedLossCase{soft: soft, classWeights: w, weights: v})
	}
	return cases
}

// at returns element i, or 1 if x is empty.
func at(x []float64, i int) float64 {
	if x == nil {
		return 1
	}
	return x[i]
}

// target returns t[k] of example i.
func (c weightedLossCase) target(i, k int) float64 {
	switch {
	case c.soft != nil:
		return c.soft[i*c.classes+k]
	case int(c.labels[i]) == k:
		return 1
	}
	return 0
}

// example adds example i to the statistics, and sets its gradient, multiplied by its
// weight.
func (c weightedLossCase) example(i int, stats, dz sums) {
	z, v, u := c.z[i*c.classes:(i+1)*c.classes], at(c.weights, i), 0.0
	label := int(c.labels[i])
	bad := c.soft == nil && (label < 0 || label >= c.classes)
	largest, answer, lse := 0, 0, 0.0
	for k := range z {
		if z[k] > z[largest] {
			largest = k
		}
		if c.target(i, k) > c.target(i, answer) {
			answer = k
		}
		u += at(c.classWeights, k) * c.target(i, k)
	}
	if c.classWeights == nil || bad {
		u = 1
	}
	stats.value[2]++
	stats.add(3, v*u)
	if bad {
		stats.value[0] = math.NaN()
		for k := range z {
			dz.value[i*c.classes+k] = math.NaN()
		}
		return
	}
	if largest == answer {
		stats.value[1]++
	}
	for _, x := range z {
		lse += math.Exp(x - z[largest])
	}
	lse = z[largest] + math.Log(lse)
	a, total := make([]float64, c.classes), 0.0
	for k := range a {
		a[k] = at(c.classWeights, k) * ((1-c.smoothing)*c.target(i, k) + c.smoothing/float64(c.classes))
		total += a[k]
	}
	for k, x := range z {
		if c.squared {
			d := x - c.target(i, k)
			stats.add(0, v*u*d*d/float64(c.classes))
			dz.set(i*c.classes+k, v*u*2*d/float64(c.classes), v*u*2*(math.Abs(x)+1)/float64(c.classes))
			continue
		}
		p := math.Exp(x - lse)
		stats.value[0] += v * a[k] * (lse - x)
		stats.magnitude[0] += v * a[k] * (math.Abs(lse) + math.Abs(x) + 1)
		dz.set(i*c.classes+k, v*(total*p-a[k]), v*(total*p*(1+math.Abs(x-lse))+a[k]))
	}
}

// reference returns the increments of the statistics and the gradient of the sum.
func (c weightedLossCase) reference() (stats, dz sums) {
	stats = newSums(4, functionUlps+sumUlps(len(c.labels))+sumUlps(c.classes))
	dz = newSums(len(c.z), functionUlps+2*sumUlps(c.classes))
	for i, label := range c.labels {
		if c.soft == nil && c.ignore && label == c.ignored {
			continue
		}
		c.example(i, stats, dz)
	}
	return stats, dz
}

func TestWeightedLoss(t *testing.T) {
	for _, c := range weightedLossCases() {
		t.Run(c.name, func(t *testing.T) { c.test(t) })
	}
}

func (c weightedLossCase) test(t *testing.T) {
	n, f32 := len(c.labels), kernels.Float32
	before := []float64{10, 20, 30, 40}
	const scale = 1024
	forward, backward := kernels.LossCrossEntropyWeighted, kernels.LossCrossEntropyWeightedBackward
	if c.squared {
		forward, backward = kernels.LossSquaredErrorWeighted, kernels.LossSquaredErrorWeightedBackward
	}
	results := run(t, func(h *host) []pointer {
		optional := func(x []float64) pointer {
			if x == nil {
				return null
			}
			return h.upload(encode(f32, x))
		}
		z, stats, labels := h.upload(encode(f32, c.z)), h.upload(encode(f32, before)), null
		if c.soft == nil {
			labels = h.upload(int32s(c.labels...))
		}
		targets := []any{labels, optional(c.soft), optional(c.classWeights), optional(c.weights), c.ignore, int(c.ignored), n, c.classes}
		with := func(first []any, last ...any) []any {
			all := append(first, targets...)
			if !c.squared {
				all = append(all, float32(c.smoothing))
			}
			return append(all, last...)
		}
		scaling := h.upload(encode(f32, []float64{scale, 1.0 / scale, 0, 0}))
		grid, one := kernels.WarpRows(n), kernels.Grid{X: 1, Y: 1}
		partial, weights, inverse := h.blank(16*grid.X), h.blank(4*grid.X), h.blank(4)
		sum, mean := h.blank(z.size), h.blank(z.size)
		h.launch(forward, grid, with([]any{partial, z})...)
		h.launch(kernels.LossWeightedFinish, one, stats, partial, grid.X)
		h.launch(kernels.LossWeights, grid, append([]any{weights}, targets...)...)
		h.launch(kernels.LossWeightsFinish, one, inverse, weights, grid.X)
		h.launch(backward, grid, with([]any{sum, z}, null, null)...)
		h.launch(backward, one, with([]any{mean, z}, inverse, scaling)...)
		return []pointer{stats, sum, mean}
	})
	stats, dz := c.reference()
	weight := stats.value[3]
	for i, v := range before {
		stats.add(i, v)
	}
	stats.check(t, "stats", f32, results[0])
	dz.check(t, "gradient of the sum", f32, results[1])
	for i := range dz.value {
		if weight == 0 {
			dz.set(i, 0, 0)
			continue
		}
		dz.value[i] *= scale / weight
		dz.magnitude[i] *= scale / weight
	}
	dz.check(t, "gradient of the scaled mean", f32, results[2])
}
