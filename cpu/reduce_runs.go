package cpu

import "trainer/nn/device"

// reserveRuns finds the runs of a reduction that keeps other dimensions than c, and allocates memory for their
// pieces.
func (p *reduce) reserveRuns() {
	s := p.spec
	p.repeat = 1
	results := s.Batch
	switch s.Keep {
	case device.AxisBatch:
		p.run = s.Rows * s.C
	case device.AxisRows: // each image has one run per row
		p.run, p.repeat, p.stride = s.C, s.Batch, s.Rows*s.C
		results = s.Rows
	default:
		p.run = s.C
		results *= s.Rows
	}
	p.pieces = divideUp(p.run, elementsPerSum)
	p.partial = zeroed[float64](results * p.pieces)
}

func (p *reduce) runRuns() {
	if p.spec.Keep == device.AxisRows {
		p.repeat = p.batch
	}
	if p.pieces == 1 {
		p.d.pool.Run(divideUp(len(p.dst), p.runsPerTask()), (*reduceShortRuns)(p))
		return
	}
	p.d.pool.Run(len(p.dst)*p.pieces, (*reducePieces)(p))
	for i := range p.dst {
		p.dst[i] = p.result(total(p.partial[i*p.pieces : (i+1)*p.pieces]))
	}
}

// runsPerTask returns the number of results per task.
func (p *reduce) runsPerTask() int { return max(1, chunk/(p.run*p.repeat)) }

// reduceShortRuns is the loop over groups of results.
type reduceShortRuns reduce

func (t *reduceShortRuns) Do(i, _ int) {
	p, each := (*reduce)(t), (*reduce)(t).runsPerTask()
	for r := i * each; r < min((i+1)*each, len(p.dst)); r++ {
		p.dst[r] = p.result(p.piece(r, 0))
	}
}

// reducePieces is the loop over pieces of all results.
type reducePieces reduce

func (t *reducePieces) Do(i, _ int) {
	p := (*reduce)(t)
	p.partial[i] = p.piece(i/p.pieces, i%p.pieces)
}

// piece returns the reduction of one piece of result r's runs.
func (p *reduce) piece(r, piece int) float64 {
	from, to := piece*elementsPerSum, min((piece+1)*elementsPerSum, p.run)
	at := r * p.run
	sum := p.of(at+from, at+to)
	for range p.repeat - 1 {
		at += p.stride
		sum += p.of(at+from, at+to)
	}
	return sum
}
