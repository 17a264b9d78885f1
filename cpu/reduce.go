package cpu

import (
	"fmt"
	"math"

	"trainer/nn/device"
)

// reduce is the plan of a sum over src [rows, c], taken in float64:
//
//	ReduceSumRows     dst[j] = sum_i src[i,j]
//	ReduceSum         dst = sum src
//	ReduceSumSquares  dst = sum src^2
//	ReduceNonFinite   dst = number of NaN and infinite elements
//
// Each task leaves a partial sum, which are then added in the order of the tasks.
type reduce struct {
	d    *Device
	spec device.ReduceSpec
	columns
	partial []float64 // [tasks] or, for ReduceSumRows, [tasks, width]
	total   []float64 // [c], for ReduceSumRows

	// Operands of the call that is running.
	dst, src []float32
}

// NewReduce makes a plan for a reduction.
func (d *Device) NewReduce(s device.ReduceSpec) (device.Reduce, error) {
	if err := d.float32Only("reduce", s.DType); err != nil {
		return nil, err
	}
	if s.Rows < 1 || s.C < 1 || s.Kind < device.ReduceSumRows || s.Kind > device.ReduceNonFinite {
		panic(fmt.Sprintf("cpu: NewReduce: kind %d over [%d %d]", s.Kind, s.Rows, s.C))
	}
	p := &reduce{d: d, spec: s, columns: newColumns(s.C)}
	if s.Kind == device.ReduceSumRows {
		p.partial = make([]float64, p.sums(s.Rows)*p.width)
		p.total = make([]float64, s.C)
		return p, nil
	}
	p.partial = make([]float64, chunks(s.Rows*s.C))
	return p, nil
}

func (p *reduce) Run(dst, src *device.Tensor) {
	const op = "cpu: reduce"
	n := device.CheckUpTo(op, "src", src, device.Float32, p.spec.Rows*p.spec.C)
	p.dst, p.src = floats(dst), floats(src)
	if p.spec.Kind == device.ReduceSumRows {
		if n%p.c != 0 {
			panic(fmt.Sprintf("%s: src is %v, want rows of %d", op, src, p.c))
		}
		device.CheckLen(op, "dst", dst, device.Float32, p.c)
		p.d.pool.Run(p.sums(n/p.c), (*reduceRows)(p))
		p.d.pool.Run(p.merges(), (*reduceMerge)(p))
		return
	}
	device.CheckLen(op, "dst", dst, device.Float32, 1)
	p.d.pool.Run(chunks(n), (*reduceAll)(p))
	var total float64
	for _, v := range p.partial[:chunks(n)] {
		total += v
	}
	p.dst[0] = float32(total)
}

// reduceRows is the loop over groups of rows of ReduceSumRows.
type reduceRows reduce

func (p *reduceRows) Do(i, _ int) {
	sum := p.partial[i*p.width:][:p.width]
	clear(sum)
	from, to := p.sumSpan(i, len(p.src)/p.c)
	p.d.vector.AddColumns(sum, p.src[from:to])
}

// reduceMerge is the loop over groups of columns that ends ReduceSumRows.
type reduceMerge reduce

func (p *reduceMerge) Do(i, _ int) {
	from, to := i*columnsPerMerge, min((i+1)*columnsPerMerge, p.c)
	p.merge(p.total, p.partial, from, to, p.width, p.sums(len(p.src)/p.c))
	for j := from; j < to; j++ {
		p.dst[j] = float32(p.total[j])
	}
}

// reduceAll is the loop over chunks of the reductions to one number.
type reduceAll reduce

func (p *reduceAll) Do(i, _ int) {
	from, to := span(i, len(p.src))
	x := p.src[from:to]
	switch p.spec.Kind {
	case device.ReduceSum:
		p.partial[i] = p.d.vector.Sum(x)
	case device.ReduceSumSquares:
		p.partial[i] = p.d.vector.SumSquares(x)
	case device.ReduceNonFinite:
		p.partial[i] = float64(countNonFinite(x))
	}
}

// countNonFinite returns how many elements of x are NaN or infinite: those with all
// bits of the exponent set.
func countNonFinite(x []float32) int {
	count := 0
	for _, v := range x {
		if math.Float32bits(v)&infinityBits == infinityBits {
			count++
		}
	}
	return count
}
