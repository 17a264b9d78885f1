package cpu

import "trainer/nn/device"

// reduce is the plan of a reduction of [batch, rows, c], with sums in float64. There are three
// cases:
//
//	all      to one number:                each chunk leaves a partial result
//	columns  c is kept:                    groups of rows leave one partial result per column
//	runs     c is not kept, others are:    runs of neighbouring elements, long ones in pieces
//
// Partial results are combined in the order of the tasks, and the shape decides the tasks.
type reduce struct {
	d     *Device
	spec  device.ReduceSpec
	shape reduceShape

	columns columns
	tasks   int // tasks per group of rows

	run    int // length: neighbouring elements that go to one result
	repeat int // runs per result, stride elements apart
	stride int
	pieces int // per run

	partial []float64   // [chunks], [groups, tasks, width] or [results, pieces]
	total   []float64   // [results], for columns
	unused  [][]float64 // per worker: sums that a kernel computes and nothing uses

	// Operands of the current call; b may be nil.
	dst, a, b []float32
	batch     int
}

type reduceShape uint8

const (
	reduceToOne reduceShape = iota
	reduceColumns
	reduceRuns
)

// NewReduce returns a plan for a reduction.
func (d *Device) NewReduce(s device.ReduceSpec) (_ device.Reduce, err error) {
	defer returnShortage(&err)
	s.Check()
	if err := d.float32Only("reduce", s.DType); err != nil {
		return nil, err
	}
	p := &reduce{d: d, spec: s}
	switch {
	case s.Keep == device.NoAxes:
		p.shape = reduceToOne
		p.partial = zeroed[float64](chunks(s.Batch * s.Rows * s.C))
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
		p.dst[0] = p.result(total(p.partial[:n]))
	case reduceColumns:
		p.runColumns()
	case reduceRuns:
		p.runRuns()
	}
}

// result returns the number to store in dst.
func (p *reduce) result(v float64) float32 { return float32(float64(p.spec.Factor()) * v) }

// reduceChunks is the loop over chunks of the reduction to one number.
type reduceChunks reduce

func (t *reduceChunks) Do(i, _ int) {
	p := (*reduce)(t)
	from, to := span(i, len(p.a))
	p.partial[i] = p.of(from, to)
}

// of returns the reduction of the elements [from, to).
func (p *reduce) of(from, to int) float64 {
	a := p.a[from:to]
	switch p.spec.Kind {
	case device.ReduceSum:
		return p.d.vector.Sum(a)
	case device.ReduceSumSquares:
		return p.d.vector.SumSquares(a)
	}
	return p.d.vector.Dot(a, p.b[from:to])
}
