package cockpit

import (
	"encoding/json"
	"fmt"
	"math"

	"trainer/nn"
)

// A run can outlast the program that trains it. So its histograms are kept in its folder, and a run that is continued still shows those of
// its first epoch. A run that no page followed has no such file; its weights are in the checkpoint that it continues from.

// Keeper keeps a run's histograms. What it loads may be a stranger's.
type Keeper struct {
	Load func() ([]byte, error) // nil if nothing was kept
	Save func(content []byte) error
}

// MaxKept is the number of bytes that a Keeper need load: more are not kept.
const MaxKept = 8 << 20

// kept are a run's histograms as they are kept.
type kept struct {
	First moment `json:"first"`
	Last  moment `json:"last"`
}

// moment are the histograms after a step.
type moment struct {
	Step       int             `json:"step"`
	Histograms []keptHistogram `json:"histograms"`
}

// keptHistogram is a Histogram with its counts.
type keptHistogram struct {
	Histogram
	Counts []float32 `json:"counts"`
}

func momentOf(step int, list []Histogram) moment {
	m := moment{Step: step}
	for _, h := range list {
		m.Histograms = append(m.Histograms, keptHistogram{h, h.Counts})
	}
	return m
}

// histograms returns those of a moment, or nil if they are not what this program writes.
func (m *moment) histograms() []Histogram {
	var list []Histogram
	for _, h := range m.Histograms {
		h.Histogram.Counts = h.Counts
		if !h.Histogram.valid() {
			return nil
		}
		list = append(list, h.Histogram)
	}
	return list
}

// valid reports whether a histogram can be drawn.
func (h *Histogram) valid() bool {
	switch h.Of {
	case "weights", "gradients", "activations":
	default:
		return false
	}
	for _, n := range h.Counts {
		if !(n >= 0) || math.IsInf(float64(n), 0) {
			return false
		}
	}
	return len(h.Counts) > 0 && len(h.Counts) <= bins(math.MaxInt32) && h.Low <= h.High && h.Count >= 0 && h.NotFinite >= 0
}

// keep writes the histograms.
func (k *Keeper) keep(firstStep int, first []Histogram, step int, last []Histogram) error {
	content, err := json.Marshal(kept{momentOf(firstStep, first), momentOf(step, last)})
	if err != nil {
		return err
	}
	if len(content) > MaxKept {
		return fmt.Errorf("they take %d bytes, more than %d", len(content), MaxKept)
	}
	return k.Save(content)
}

// recall returns the histograms that a run has at a step: those after its first epoch, and the last ones, which are the network's weights if
// others were not kept or belong to steps that are made again. network is only called for these.
func (k *Keeper) recall(network func() (*nn.Network, error), at int) (first, last moment, err error) {
	var all kept
	if k != nil {
		content, err := k.Load()
		if err != nil {
			return first, last, err
		}
		if json.Unmarshal(content, &all) != nil {
			all = kept{}
		}
	}
	if list := all.Last.histograms(); list != nil && all.Last.Step <= at {
		last = all.Last
	} else {
		net, err := network()
		if err != nil {
			return first, last, err
		}
		weights, err := histograms(net, nil)
		if err != nil {
			return first, last, err
		}
		last.Step = at
		for _, h := range weights {
			if h.Of == "weights" {
				last.Histograms = append(last.Histograms, keptHistogram{h, h.Counts})
			}
		}
	}
	if list := all.First.histograms(); list != nil && all.First.Step <= at {
		first = all.First
	}
	return first, last, nil
}

// HistogramsOf returns the histograms of a run for those who only read it: the content that a Keeper kept, or else the weights of its network,
// which network opens.
func HistogramsOf(content []byte, network func() (*nn.Network, error)) (*Histograms, error) {
	const end = math.MaxInt
	k := &Keeper{Load: func() ([]byte, error) { return content, nil }}
	first, last, err := k.recall(network, end)
	if err != nil {
		return nil, err
	}
	h := &Histograms{Step: last.Step, Last: last.histograms(), First: first.histograms()}
	if h.Step == end {
		h.Step = 0
	}
	return h, nil
}
