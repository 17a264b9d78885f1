package cpu

import "trainer/nn/device"

// reserveColumns allocates memory for reducing groups of rows to their columns.
func (p *reduce) reserveColumns() {
	c := p.spec.C
	if p.spec.Keep&device.AxisRows != 0 {
		c *= p.spec.Rows
	}
	p.columns = newColumns(c)
	groups, rows := p.spec.ColumnGroups(p.spec.Batch)
	p.tasks = p.columns.sums(rows)
	p.partial = zeroed[float64](groups * p.tasks * p.columns.width)
	p.total = make([]float64, groups*c)
	p.unused = make([][]float64, p.d.pool.Workers())
	for i := range p.unused {
		p.unused[i] = make([]float64, p.columns.width)
	}
}

func (p *reduce) runColumns() {
	groups, rows := p.spec.ColumnGroups(p.batch)
	p.tasks = p.columns.sums(rows)
	p.d.pool.Run(groups*p.tasks, (*reduceRows)(p))
	p.d.pool.Run(groups*p.columns.merges(), (*reduceMerge)(p))
}

// reduceRows is the loop over parts of groups of rows.
type reduceRows reduce

func (t *reduceRows) Do(i, worker int) {
	p, w := (*reduce)(t), t.columns
	_, rows := p.spec.ColumnGroups(p.batch)
	sum := p.partial[i*w.width:][:w.width]
	from, to := w.sumSpan(i%p.tasks, rows)
	group := i / p.tasks * rows * w.c
	a := p.a[group+from : group+to]
	clear(sum)
	switch p.spec.Kind {
	case device.ReduceSum:
		p.d.vector.AddColumns(sum, a)
	case device.ReduceSumSquares:
		p.d.vector.AddMoments(p.unused[worker], sum, a)
	case device.ReduceSumProducts:
		p.d.vector.AddProducts(p.unused[worker], sum, p.b[group+from:group+to], a)
	}
}

// reduceMerge is the loop over groups of columns that combines partial results.
type reduceMerge reduce

func (t *reduceMerge) Do(i, _ int) {
	p, w := (*reduce)(t), t.columns
	group, at := i/w.merges(), i%w.merges()*columnsPerMerge
	from, to := at, min(at+columnsPerMerge, w.c)
	total, dst := p.total[group*w.c:][:w.c], p.dst[group*w.c:][:w.c]
	partial := p.partial[group*p.tasks*w.width:]
	w.merge(total, partial, from, to, w.width, p.tasks)
	for j := from; j < to; j++ {
		dst[j] = p.result(total[j])
	}
}
