package kernels_test

import (
	"math"
	"testing"

	"trainer/kernels"
)

// lossCase is a batch of outputs z [n, classes] with labels.
type lossCase struct {
	name      string
	classes   int
	z         []float64
	labels    []int32
	smoothing float64
	squared   bool
}

func lossCases() []lossCase {
	make := func(name string, n, classes int, low, high float64, smoothing float64) lossCase {
		src := newSource("loss/" + name)
		c := lossCase{name: name, classes: classes, z: src.between(n*classes, low, high, kernels.Float32), smoothing: smoothing}
		for range n {
			c.labels = append(c.labels, int32(src.below(classes)))
		}
		return c
	}
	cases := []lossCase{
		make("one", 1, 1, -1, 1, 0),
		make("mnist", 67, 10, -4, 4, 0),
		make("smoothed", 33, 10, -4, 4, 0.25),
		make("many-classes", 9, 1000, -8, 8, 0.125),
		make("33-classes", 19, 33, -4, 4, 0.5),
		make("large", 8, 10, -1e4, 1e4, 0.125),
	}
	ties := make("ties", 40, 5, 0, 0, 0.25)
	for i := range ties.z {
		ties.z[i] = float64(i * i % 3)
	}
	wrong := make("labels-out-of-range", 5, 7, -1, 1, 0.25)
	wrong.labels = []int32{-1, 3, 7, math.MaxInt32, math.MinInt32}
	for _, c := range append(cases, ties, wrong) {
		squared := c
		squared.name, squared.squared = c.name+"/squared", true
		cases = append(cases, squared)
	}
	return append(cases, ties, wrong)
}

// reference returns the increments of the statistics and the gradient of the sum.
func (c lossCase) reference() (stats, dz sums) {
	stats, dz = newSums(4, functionUlps+sumUlps(len(c.labels))), newSums(len(c.z), functionUlps+sumUlps(c.classes))
	classes := float64(c.classes)
	for n, label := range c.labels {
		z := c.z[n*c.classes : (n+1)*c.classes]
		stats.value[2]++
		stats.value[3]++
		largest := 0
		for k, v := range z {
			if v > z[largest] {
				largest = k
			}
		}
		if int32(largest) == label {
			stats.value[1]++
		}
		if label < 0 || int(label) >= c.classes {
			stats.value[0] = math.NaN()
			for k := range z {
				dz.value[n*c.classes+k] = math.NaN()
			}
			continue
		}
		lse := 0.0
		for _, v := range z {
			lse += math.Exp(v - z[largest])
		}
		lse = z[largest] + math.Log(lse)
		if !c.squared {
			stats.add(0, lse)
			stats.magnitude[0]++
		}
		for k, v := range z {
			q := c.smoothing / classes
			if int32(k) == label {
				q += 1 - c.smoothing
			}
			if !c.squared {
				p := math.Exp(v - lse)
				stats.add(0, -q*v)
				dz.set(n*c.classes+k, p-q, p*(1+math.Abs(v-lse))+q)
				continue
			}
			d := v
			if int32(k) == label {
				d--
			}
			stats.add(0, d*d/classes)
			dz.set(n*c.classes+k, 2*d/classes, 2*(math.Abs(v)+1)/classes)
		}
	}
	return stats, dz
}

func TestLoss(t *testing.T) {
	for _, c := range lossCases() {
		t.Run(c.name, func(t *testing.T) { c.test(t) })
	}
}

func (c lossCase) test(t *testing.T) {
	n, f32 := len(c.labels), kernels.Float32
	before := []float64{10, 20, 30, 40}
	const weight, scale = 0.25, 1024
	results := run(t, func(h *host) []pointer {
		z, labels, stats := h.upload(encode(f32, c.z)), h.upload(int32s(c.labels...)), h.upload(encode(f32, before))
		dz, scaled := h.blank(z.size), h.blank(z.size)
		scaling := h.upload(encode(f32, []float64{scale, 1.0 / scale, 0, 0}))
		grid := kernels.WarpRows(n)
		partial := h.blank(8 * grid.X)
		if c.squared {
			h.launch(kernels.LossSquaredError, grid, partial, z, labels, n, c.classes)
			h.launch(kernels.LossSquaredErrorBackward, grid, dz, z, labels, n, c.classes, float32(weight), null)
			h.launch(kernels.LossSquaredErrorBackward, kernels.Grid{X: 1, Y: 1}, scaled, z, labels, n, c.classes, float32(weight), scaling)
		} else {
			h.launch(kernels.LossCrossEntropy, grid, partial, z, labels, n, c.classes, float32(c.smoothing))
			h.launch(kernels.LossCrossEntropyBackward, grid, dz, z, labels, n, c.classes, float32(c.smoothing), float32(weight), null)
			h.launch(kernels.LossCrossEntropyBackward, kernels.Grid{X: 1, Y: 1}, scaled, z, labels, n, c.classes, float32(c.smoothing), float32(weight), scaling)
		}
		h.launch(kernels.LossFinish, kernels.Grid{X: 1, Y: 1}, stats, partial, grid.X, n)
		return []pointer{stats, dz, scaled}
	})
	stats, dz := c.reference()
	for i, v := range before {
		stats.add(i, v)
	}
	stats.check(t, "stats", f32, results[0])
	for i := range dz.value {
		dz.value[i] *= weight
		dz.magnitude[i] *= weight
	}
	dz.check(t, "gradient", f32, results[1])
	for i := range dz.value {
		dz.value[i] *= scale
		dz.magnitude[i] *= scale
	}
	dz.check(t, "gradient of the scaled loss", f32, results[2])
}

// A NaN output makes the loss NaN; it counts as the largest only at index 0, where a loop that looks
// for a larger element begins.
func TestLossOfNaN(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		z       []float64
		label   int32
		correct float64
	}{
		{[]float64{nan, 1, 2}, 0, 1}, {[]float64{nan, 1, 2}, 2, 0}, {[]float64{1, nan, 2}, 2, 1}, {[]float64{3, nan, nan}, 0, 1}, {[]float64{nan, nan, nan}, 0, 1},
	} {
		results := run(t, func(h *host) []pointer {
			stats, partial := h.upload(make([]byte, 16)), h.blank(8)
			h.launch(kernels.LossCrossEntropy, kernels.Grid{X: 1, Y: 1}, partial, h.upload(encode(kernels.Float32, c.z)), h.upload(int32s(c.label)), 1, 3, float32(0))
			h.launch(kernels.LossFinish, kernels.Grid{X: 1, Y: 1}, stats, partial, 1, 1)
			return []pointer{stats}
		})
		if stats := decode(kernels.Float32, results[0]); !math.IsNaN(stats[0]) || stats[1] != c.correct {
			t.Errorf("outputs %v, label %d: loss %v, correct %v; want NaN, %v", c.z, c.label, stats[0], stats[1], c.correct)
		}
	}
}

func TestSoftmax(t *testing.T) {
	for _, c := range lossCases() {
		if c.squared {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			n := len(c.labels)
			results := run(t, func(h *host) []pointer {
				x := h.upload(encode(kernels.Float32, c.z))
				y := h.blank(x.size)
				h.launch(kernels.Softmax, kernels.WarpRows(n), y, x, n, c.classes)
				h.launch(kernels.Softmax, kernels.Grid{X: 1, Y: 1}, x, x, n, c.classes)
				return []pointer{y, x}
			})
			want := newSums(len(c.z), functionUlps+sumUlps(c.classes))
			for from := 0; from < len(c.z); from += c.classes {
				row, largest, sum := c.z[from:from+c.classes], math.Inf(-1), 0.0
				for _, v := range row {
					largest = math.Max(largest, v)
				}
				for _, v := range row {
					sum += math.Exp(v - largest)
				}
				for k, v := range row {
					p := math.Exp(v-largest) / sum
					want.set(from+k, p, p*(1+math.Abs(v-largest)))
				}
			}
			want.check(t, "y", kernels.Float32, results[0])
			want.check(t, "y in place", kernels.Float32, results[1])
		})
	}
}
