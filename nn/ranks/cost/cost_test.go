package cost

import (
	"math"
	"testing"
)

// TestStep computes by hand: 100 images in 0.3 s, 4 MiB of gradients in 4 buckets.
func TestStep(t *testing.T) {
	mib := float64(1 << 20)
	tr := Training{Batch: 100, ImagesPerSecond: 100 / 0.3, Bytes: 4 * mib}
	for name, c := range map[string]struct {
		training                 Training
		devices                  int
		cluster                  Cluster
		sum, exposed, host, sent float64
	}{
		"one":               {tr, 1, Cluster{Between: Link{mib, 1}, PerMachine: 1}, 0, 0, 0, 0},
		"slow link":         {tr, 2, Cluster{Between: Link{8 * mib, 0}, PerMachine: 1}, 0.5, 0.5 - 0.2*0.75, 0, 4 * mib},
		"hidden":            {tr, 2, Cluster{Between: Link{40 * mib, 0}, PerMachine: 1}, 0.1, 0.025, 0, 4 * mib},
		"latency of a tree": {tr, 8, Cluster{Between: Link{70 * mib, 1e-3}, PerMachine: 1}, 0.1 + 4*6e-3, 0.124 / 4, 0, 7 * mib},
		"latency of ranks":  {Training{100, 100 / 0.3, 4 * mib, true, 0}, 8, Cluster{Between: Link{70 * mib, 1e-3}, PerMachine: 1}, 0.1 + 4*2e-3, 0.108 / 4, 0, 7 * mib},
		"two levels":        {tr, 8, Cluster{Between: Link{40 * mib, 0}, Inside: Link{60 * mib, 0}, PerMachine: 4}, 0.1 + 0.1, 0.2 - 0.15, 0, 4 * mib},
		"inside alone":      {tr, 4, Cluster{Between: Link{mib, 0}, Inside: Link{60 * mib, 0}, PerMachine: 4}, 0.1, 0.025, 0, 6 * mib},
		"host":              {Training{100, 100 / 0.3, 4 * mib, true, 320 * mib}, 2, Cluster{Between: Link{40 * mib, 0}, PerMachine: 1}, 0.1, 0.025, 0.1, 4 * mib},
	} {
		s := c.training.On(c.devices, c.cluster)
		for what, pair := range map[string][2]float64{
			"sum": {s.Sum, c.sum}, "exposed": {s.Exposed, c.exposed}, "host": {s.Host, c.host}, "sent": {s.Sent, c.sent}, "compute": {s.Compute, 0.3},
			"step": {s.Seconds(), 0.3 + c.exposed + c.host}, "efficiency": {s.Efficiency(), 0.3 / (0.3 + c.exposed + c.host)}, "batch": {float64(s.Batch), float64(100 * c.devices)},
		} {
			if math.Abs(pair[0]-pair[1]) > 1e-9*(1+pair[1]) {
				t.Errorf("%s: %s is %v, want %v", name, what, pair[0], pair[1])
			}
		}
	}
}
