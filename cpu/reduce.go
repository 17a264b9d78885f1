package cpu

import (
	"trainer/nn/device"
)

// reduce is the plan of a reduction of [batch, rows, c], taken in float64. There are three cases:
//
//	all      to one number:                chunks leave partial results
//	columns  c is kept:                    groups of rows leave a partial result a column
//	runs     c is not kept, others are:    runs of neighbouring elements, long ones in pieces
//
// Partial results are put together in the order of the tasks, which the shape decides.
type reduce struct {
	d     *Device
	spec  device.ReduceSpec
	shape reduceShape

	columns columns
	tasks   int // of a group of rows, at most

	run    int // neighbouring elements that go to one result
	repeat int // runs that go to one result, stride elements apart
	stride int
	pieces int // of a run

	partial []float64   // [chunks], [groups, tasks, width] or [results, pieces]
	total   []float64   // [results], for columns
	unused  [][]float64 // a worker's sums that nothing needs

	// Operands of the call that is running; b may be nil.
	dst, a, b []float32
	batch     int
}

type reduceShape uint8

const (
	reduceToOne reduceShape = iota
	reduceColumns
	reduceRuns
)

// NewReduce makes a plan for a reduction.
func (d *Device) NewReduce(s device.ReduceSpec) (device.Reduce, error) {
	s.Check()
	if err := d.float32Only("reduce", s.DType); err != nil {
		return nil, err
	}
	p := &reduce{d: d, spec: s}
	switch {
	case s.Keep == device.NoAxes:
		p.shape = reduceToOne
		p.partial = make([]float64, chunks(s.Batch*s.Rows*s.C))
	case s.Keep&device.AxisC != 0:
		p.shape = reduceColumns
		p.reserveColumns()
	default:
		p.shape = reduceRuns
		p.reserveRuns()
	}
	return p, nil
}

// Run computes dst.
func (p *reduce) Run(dst, a, b *device.Tensor) {
	p.batch = p.spec.CheckOperands(dst, a, b)
	p.dst, p.a, p.b = floats(dst), floats(a), optionalFloats(b)
	switch p.shape {
	case reduceToOne:
		n := chunks(len(p.a))
		p.d.pool.Run(n, (*reduceChunks)(p))
		p.dst[0] = p.result(p.join(p.partial[:n]))
	case reduceColumns:
		p.runColumns()
	case reduceRuns:
		p.runRuns()
	}
}

// result returns a number of dst.
func (p *reduce) result(v float64) float32 { return float32(float64(p.spec.Factor()) * v) }

// reduceChunks is the loop over chunks of the reduction to one number.
type reduceChunks reduce

func (t *reduceChunks) Do(i, _ int) {
	p := (*reduce)(t)
	from, to := span(i, len(p.a))
	p.partial[i] = p.of(from, to)
}

// of returns the reduction of neighbouring elements.
func (p *reduce) of(from, to int) float64 {
	a := p.a[from:to]
	switch p.spec.Kind {
	case device.ReduceSum:
		return p.d.vector.Sum(a)
	case device.ReduceSumSquares:
		return p.d.vector.SumSquares(a)
	case device.ReduceSumProducts:
		return p.d.vector.Dot(a, p.b[from:to])
	}
	return float64(largest(a))
}

// join puts partial results together.
func (p *reduce) join(partial []float64) float64 {
	total := partial[0]
	for _, v := range partial[1:] {
		total = p.joined(total, v)
	}
	return total
}

// joined returns the reduction of what two partial results are of.
func (p *reduce) joined(a, b float64) float64 {
	if p.spec.Kind == device.ReduceMax {
		return max(a, b)
	}
	return a + b
}
