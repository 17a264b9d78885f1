package export

import (
	"errors"
	"maps"
	"math"
	"slices"

	"trainer/nn/device"
	"trainer/nn/graph"
)

// calibrate quantises a network by the values that it computes for images. normalized yields batches of normalised images
// [n, h, w, c], the same in each pass; take the batch from the simulator.
//
// The range of a value is cut where that makes the mean squared error of the rounding least: rare large values then lose
// more, and all others gain from finer steps. The ranges are found in one pass, and histograms within them in another.
func calibrate(dev device.Device, n *network, pass func(s *simulator) error) (*quantization, error) {
	owners, sources := quantizedValues(n)
	s, err := newSimulator(dev, n)
	if err != nil {
		return nil, err
	}
	ranges := map[int]*histogram{}
	for _, id := range sources {
		ranges[id] = &histogram{low: math.Inf(1), high: math.Inf(-1)}
	}
	for _, observe := range []func(h *histogram, x []float32){(*histogram).extend, (*histogram).count} {
		s.look = func(v graph.Value, x []float32) error {
			if h := ranges[v.ID]; h != nil {
				observe(h, x)
				if h.bad {
					return errors.New("the network computes values that are not finite")
				}
			}
			return nil
		}
		if err := pass(s); err != nil {
			return nil, err
		}
	}
	q := &quantization{values: map[int]grid{}, params: map[string]quantized{}}
	for _, id := range slices.Sorted(maps.Keys(owners)) {
		q.values[id] = ranges[sources[owners[id]]].grid()
	}
	for _, node := range n.Nodes {
		if weighted(node.Op) {
			q.quantizeParams(n, node, q.values[node.Inputs[0].ID].scale)
		}
	}
	return q, nil
}

// histogram counts the values of a tensor between the lowest and the highest one.
type histogram struct {
	low, high float64
	counts    []float64
	bad       bool // it has met NaN or infinity
}

const histogramBins = 2048

// extend extends the range.
func (h *histogram) extend(x []float32) {
	low, high := x[0], x[0]
	sum := float32(0)
	for _, v := range x {
		low, high = min(low, v), max(high, v)
		sum += v - v // NaN if one is not finite
	}
	h.bad = h.bad || sum != 0
	h.low, h.high = min(h.low, float64(low)), max(h.high, float64(high))
}

// count counts values within the range.
func (h *histogram) count(x []float32) {
	if h.counts == nil {
		h.counts = make([]float64, histogramBins)
	}
	low, factor := float32(h.low), float32(histogramBins/max(h.high-h.low, minScale))
	for _, v := range x {
		h.counts[max(0, min(int((v-low)*factor), histogramBins-1))]++
	}
}

// grid returns the grid with the least mean squared error. From the whole range on, either end is drawn in
// by turns as long as the error falls.
func (h *histogram) grid() grid {
	low, high := min(h.low, 0), max(h.high, 0)
	best := gridOf(low, high)
	least := h.error(best)
	step := (high - low) / 128
	for improved := true; improved; {
		improved = false
		for _, move := range [][2]float64{{0, -step}, {step, 0}} {
			for l, u := low+move[0], high+move[1]; l <= 0 && u >= 0 && u-l > step; l, u = l+move[0], u+move[1] {
				g := gridOf(l, u)
				if e := h.error(g); e < least {
					best, least, low, high, improved = g, e, l, u, true
				}
			}
		}
	}
	return best
}

// error returns the sum of the squared errors of the rounding.
func (h *histogram) error(g grid) (sum float64) {
	width := (h.high - h.low) / histogramBins
	for k, count := range h.counts {
		if count == 0 {
			continue
		}
		center := float32(h.low + (float64(k)+0.5)*width)
		d := float64(center - g.round(center))
		sum += count * d * d
	}
	return sum
}
