package cpu

import "trainer/cpu/internal/winograd"

// workspace is memory for data that is needed only during one call of a plan. Plans run
// one after the other, so the memory that the largest of them needs is enough for all.
type workspace struct {
	shared    []float32   // by all workers
	own       [][]float32 // one per worker
	transform [][]float32 // one per worker: the scratch memory of package winograd
	zeros     []float32   // the bias of one panel, if there is no bias
}

func newWorkspace(workers, panel int) workspace {
	w := workspace{own: make([][]float32, workers), transform: make([][]float32, workers), zeros: aligned[float32](panel)}
	for i := range w.transform {
		w.transform[i] = winograd.NewScratch(aligned[float32])
	}
	return w
}

// reserve makes room for a plan, in floats. At each call a plan takes its part from the
// beginning, because the reserve of a later plan may have replaced the memory.
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
