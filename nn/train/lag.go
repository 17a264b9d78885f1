package train

import (
	"encoding/json"
	"slices"
	"time"

	"trainer/nn/ranks"
)

// All ranks are as fast as the slowest one. Each measures how long it computes, without what it waits for the sums, and
// after every epoch rank 0 names one that takes clearly longer than the others: its processors are slower, or others use them.

// lagFactor is how much longer than the median a rank must compute to be named, and lagSeconds how much at least in an epoch.
const (
	lagFactor  = 1.25
	lagSeconds = 1.0
)

// pace is how long a rank has computed in an epoch.
type pace struct {
	Host    string  `json:"host"`
	Seconds float64 `json:"seconds"`
}

// computed adds to the time that this rank has computed: that of a step without that of waiting.
func (g *group) computed(step time.Duration) {
	g.pace += step - g.waited
	g.waited = 0
}

// findLag tells the hooks of rank 0 of a rank that lags. All ranks call it together.
func (r *run) findLag() error {
	g := r.group()
	text, err := json.Marshal(pace{ranks.Host(), g.pace.Seconds()})
	if err != nil {
		return err
	}
	g.pace = 0
	all, err := g.Gather(text)
	if err != nil || r.follows() {
		return err
	}
	paces := make([]pace, len(all))
	for rank, text := range all {
		if err := json.Unmarshal(text, &paces[rank]); err != nil {
			return err
		}
	}
	if l, ok := laggard(paces); ok {
		for _, h := range r.hooks {
			if h.Lag != nil {
				h.Lag(&r.training, l)
			}
		}
	}
	return nil
}

// laggard returns the slowest rank, if it is clearly slower than the median. Of two ranks the faster one counts as the median.
func laggard(paces []pace) (Laggard, bool) {
	seconds := make([]float64, len(paces))
	slowest := 0
	for rank, p := range paces {
		seconds[rank] = p.Seconds
		if p.Seconds > paces[slowest].Seconds {
			slowest = rank
		}
	}
	slices.Sort(seconds)
	median, most := seconds[(len(seconds)-1)/2], paces[slowest].Seconds
	if most < lagFactor*median || most-median < lagSeconds {
		return Laggard{}, false
	}
	return Laggard{Rank: slowest, Host: paces[slowest].Host, Factor: most / median}, true
}
