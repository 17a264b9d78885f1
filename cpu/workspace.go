package cpu

import "trainer/cpu/internal/winograd"

// workspace is memory for what lives no longer than one call of one plan: plans run one
// after the other, so that the largest one's need is enough for all.
type workspace struct {
	shared    []float32   // by all workers
	own       [][]float32 // by each
	transform [][]float32 // each one's scratch memory of package winograd
	zeros     []float32   // one panel's bias where there is none
}

func newWorkspace(workers, panel int) workspace {
	w := workspace{own: make([][]float32, workers), transform: make([][]float32, workers), zeros: aligned[float32](panel)}
	for i := range w.transform {
		w.transform[i] = winograd.NewScratch(aligned[float32])
	}
	return w
}

// reserve makes room for a plan's needs, in floats. Plans take what they need from the
// beginning, at each call, because a later plan's reserve may replace the memory.
func (w *workspace) reserve(shared, own int) {
	if len(w.shared) < shared {
		w.shared = aligned[float32](shared)
	}
	for i := range w.own {
		if len(w.own[i]) < own {
			w.own[i] = aligned[float32](own)
		}
	}
}
