package cockpit

import (
	"fmt"
	"math"

	"trainer/nn"
	"trainer/nn/device"
)

// bins returns the number of bins for so many values: few values need few.
func bins(values int) int { return min(48, max(4, int(math.Sqrt(float64(values))))) }

// Histogram counts values between Low and High in bins of equal width. Values that are not finite are counted apart.
type Histogram struct {
	Name      string    `json:"name"` // of a parameter, or of a layer
	Of        string    `json:"of"`   // "weights", "gradients" or "activations"
	Low       float64   `json:"low"`
	High      float64   `json:"high"`
	Mean      float64   `json:"mean"`
	Std       float64   `json:"std"`
	Count     int       `json:"count"`
	NotFinite int       `json:"not_finite"`
	Counts    []float32 `json:"-"`
}

// Histograms are those of a run: after its last epoch, whose last step is Step, and after its first one.
type Histograms struct {
	Step  int         `json:"step"` // 0 before the first epoch's end, or if it isn't known
	Last  []Histogram `json:"last"`
	First []Histogram `json:"first"` // empty if it isn't known
}

// Counts returns the counts of the histograms, Last's and then First's, which JSON leaves out.
func (h *Histograms) Counts() [][]float32 {
	counts := [][]float32{}
	for _, list := range [][]Histogram{h.Last, h.First} {
		for _, one := range list {
			counts = append(counts, one.Counts)
		}
	}
	return counts
}

// newHistogram counts values.
func newHistogram(name, of string, values []float32) Histogram {
	h := Histogram{Name: name, Of: of, Low: math.Inf(1), High: math.Inf(-1), Count: len(values), Counts: make([]float32, bins(len(values)))}
	sum := 0.0
	for _, v := range values {
		x := float64(v)
		if math.IsNaN(x) || math.IsInf(x, 0) {
			h.NotFinite++
			continue
		}
		h.Low, h.High = min(h.Low, x), max(h.High, x)
		sum += x
	}
	finite := h.Count - h.NotFinite
	if finite == 0 {
		h.Low, h.High = 0, 0
		return h
	}
	h.Mean = sum / float64(finite)
	squares := 0.0
	n := len(h.Counts)
	width := (h.High - h.Low) / float64(n)
	for _, v := range values {
		x := float64(v)
		if math.IsNaN(x) || math.IsInf(x, 0) {
			continue
		}
		squares += (x - h.Mean) * (x - h.Mean)
		bin := 0
		if width > 0 {
			bin = min(n-1, int((x-h.Low)/width))
		}
		h.Counts[bin]++
	}
	h.Std = math.Sqrt(squares / float64(finite))
	return h
}

// histograms counts the weights and the gradients of the last step, and the activations if there is a probe.
func histograms(net *nn.Network, probe *Probe) ([]Histogram, error) {
	var all []Histogram
	add := func(name, of string, t *device.Tensor) error {
		if t == nil || t.DType() != device.Float32 {
			return nil
		}
		values := make([]float32, t.Len())
		if err := net.Device().Download(device.Bytes(values), t); err != nil {
			return fmt.Errorf("%s of %s: %w", of, name, err)
		}
		all = append(all, newHistogram(name, of, values))
		return nil
	}
	for _, p := range net.Params() {
		if err := add(p.Name, "weights", p.Value); err != nil {
			return nil, err
		}
		if err := add(p.Name, "gradients", p.Grad); err != nil {
			return nil, err
		}
	}
	if probe == nil {
		return all, nil
	}
	activations, err := probe.activations(net)
	return append(all, activations...), err
}
