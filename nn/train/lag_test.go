package train

import "testing"

func TestLaggard(t *testing.T) {
	for _, c := range []struct {
		seconds []float64
		rank    int // -1: none
	}{
		{[]float64{10, 11, 10.5, 10}, -1},
		{[]float64{10, 10, 14, 11}, 2},
		{[]float64{10, 15}, 1},
		{[]float64{15, 10}, 0},
		{[]float64{0.1, 0.5}, -1}, // too little to tell
		{[]float64{20, 20, 20, 10}, -1},
	} {
		var paces []pace
		for _, s := range c.seconds {
			paces = append(paces, pace{"node", s})
		}
		l, ok := laggard(paces)
		if ok != (c.rank >= 0) || ok && (l.Rank != c.rank || l.Host != "node" || l.Factor <= lagFactor) {
			t.Errorf("%v: %+v, %v, want rank %d", c.seconds, l, ok, c.rank)
		}
	}
}
