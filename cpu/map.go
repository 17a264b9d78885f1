package cpu

import (
	"math"

	"trainer/cpu/internal/vector"
	"trainer/cpu/internal/vmath"
	"trainer/nn/device"
)

// mapping is the plan of y = f(a, b) over [batch, rows, c], where b is broadcast. There are only three cases:
//
//	full     b has an element for each of a's, or there is no b
//	columns  groups of rows of width columns, each group with its own row of b
//	runs     runs of elements, each with one element of b
//
// In each, f is applied to runs of elements of a, either with as many elements of b or with a single one.
type mapping struct {
	d    *Device
	spec device.MapSpec
	loop mapLoop
	one  mapOneLoop // if nil, b is repeated and loop is used

	shape   mapShape
	columns columns
	rows    int // of a group of columns
	run     int // elements of a run
	period  int // number of runs after which b begins again

	scratch [][]float32 // per worker: results to be added to y
	spread  [][]float32 // per worker: repeated elements of b
	tiled   []float32   // b's row, repeated to the width of columns, if there is only one group

	// Operands of the current call.
	y, a, b []float32
	groups  int
}

// mapLoop applies f to a run of elements of a with as many elements of b. For MapSelect, y holds the old
// values.
type mapLoop func(y, a, b []float32, alpha, beta float32)

// mapOneLoop applies f to a run of elements of a with one element of b.
type mapOneLoop func(y, a []float32, b, alpha, beta float32)

type mapShape uint8

const (
	mapFull mapShape = iota
	mapColumns
	mapRuns
)

// NewMap returns a plan for an elementwise function.
func (d *Device) NewMap(s device.MapSpec) (_ device.Map, err error) {
	defer returnShortage(&err)
	s.Check()
	if err := d.float32Only("map", s.DType, s.BDType); err != nil {
		return nil, err
	}
	p := &mapping{d: d, spec: s}
	p.loop, p.one = d.mapLoops(s.Kind)
	p.choose()
	if s.Accumulate {
		p.scratch = d.perWorker(chunk)
	}
	switch {
	case p.shape == mapColumns && p.columns.reps > 1:
		p.spread = d.perWorker(p.columns.width)
		p.tiled = make([]float32, p.columns.width)
	case p.shape == mapRuns && p.one == nil:
		p.spread = d.perWorker(chunk)
	}
	return p, nil
}

// perWorker allocates n elements for each worker.
func (d *Device) perWorker(n int) [][]float32 {
	all := make([][]float32, d.pool.Workers())
	for i := range all {
		all[i] = aligned[float32](n)
	}
	return all
}

// choose decides which of the three cases the spec is.
func (p *mapping) choose() {
	s := p.spec
	switch {
	case s.Kind.Operands() == 1 || s.B == device.AllAxes:
		p.shape = mapFull
	case s.B == device.NoAxes:
		p.shape, p.run, p.period = mapRuns, s.Batch*s.Rows*s.C, 1
	case s.B == device.AxisC:
		p.shape, p.rows, p.columns = mapColumns, s.Batch*s.Rows, newColumns(s.C)
	case s.B == device.AxisRows|device.AxisC:
		p.shape, p.rows, p.columns = mapColumns, s.Batch, newColumns(s.Rows*s.C)
	case s.B == device.AxisBatch|device.AxisC:
		p.shape, p.rows, p.columns = mapColumns, s.Rows, newColumns(s.C)
	case s.B == device.AxisBatch:
		p.shape, p.run, p.period = mapRuns, s.Rows*s.C, s.Batch
	case s.B == device.AxisRows:
		p.shape, p.run, p.period = mapRuns, s.C, s.Rows
	default:
		p.shape, p.run, p.period = mapRuns, s.C, s.Batch*s.Rows
	}
}

func (p *mapping) Run(y, a, b *device.Tensor) {
	batch := p.spec.CheckOperands(y, a, b)
	p.y, p.a, p.b = floats(y), floats(a), optionalFloats(b)
	switch p.shape {
	case mapFull:
		p.d.pool.Run(chunks(len(p.a)), (*mapFullRun)(p))
	case mapColumns:
		p.runColumns(batch)
	case mapRuns:
		p.runRuns()
	}
}

// runColumns finds the groups of this batch, and repeats b's row if there is only one group.
func (p *mapping) runColumns(batch int) {
	rows := p.rows
	p.groups = 1
	if p.spec.B == device.AxisBatch|device.AxisC {
		p.groups = batch
	} else {
		rows = len(p.a) / p.columns.c
		if p.tiled != nil {
			p.columns.tile(p.tiled, p.b)
		}
	}
	p.d.pool.Run(p.groups*p.columns.chunks(rows), (*mapColumnsRun)(p))
}

// runRuns hands out runs: several per task if they are short, in pieces if they are long.
func (p *mapping) runRuns() {
	run := min(p.run, len(p.a))
	if run >= chunk {
		p.d.pool.Run(len(p.a)/run*chunks(run), (*mapLongRuns)(p))
		return
	}
	p.d.pool.Run(divideUp(len(p.a)/run, chunk/run), (*mapShortRuns)(p))
}

// mapFullRun is the loop over chunks of elements.
type mapFullRun mapping

func (t *mapFullRun) Do(i, worker int) {
	p := (*mapping)(t)
	from, to := span(i, len(p.a))
	var b []float32
	if p.b != nil {
		b = p.b[from:to]
	}
	p.apply(from, to, b, worker)
}

// mapColumnsRun is the loop over groups of rows.
type mapColumnsRun mapping

func (t *mapColumnsRun) Do(i, worker int) {
	p, w := (*mapping)(t), t.columns
	rows := len(p.a) / w.c / p.groups
	tasks := w.chunks(rows)
	group := i / tasks
	from, to := w.chunkSpan(i%tasks, rows)
	from, to = from+group*rows*w.c, to+group*rows*w.c
	b := p.row(group, worker)
	for ; from < to; from += w.width {
		width := min(w.width, to-from)
		for at := 0; at < width; at += chunk {
			end := min(at+chunk, width)
			p.apply(from+at, from+end, b[at:end], worker)
		}
	}
}

// row returns b's row for a group, repeated to the width of columns.
func (p *mapping) row(group, worker int) []float32 {
	w := p.columns
	if w.reps == 1 {
		return p.b[group*w.c:][:w.c]
	}
	if p.spec.B&device.AxisBatch == 0 {
		return p.tiled
	}
	w.tile(p.spread[worker], p.b[group*w.c:][:w.c])
	return p.spread[worker]
}

// mapLongRuns is the loop over pieces of runs.
type mapLongRuns mapping

func (t *mapLongRuns) Do(i, worker int) {
	p := (*mapping)(t)
	run := min(p.run, len(p.a))
	pieces := chunks(run)
	from, to := span(i%pieces, run)
	at := i / pieces * run
	p.applyOne(at+from, at+to, i/pieces, worker)
}

// mapShortRuns is the loop over groups of runs.
type mapShortRuns mapping

func (t *mapShortRuns) Do(i, worker int) {
	p := (*mapping)(t)
	run := min(p.run, len(p.a))
	perTask := chunk / run
	for r := i * perTask; r < min((i+1)*perTask, len(p.a)/run); r++ {
		p.applyOne(r*run, (r+1)*run, r, worker)
	}
}

// apply computes elements [from, to) with as many elements of b.
func (p *mapping) apply(from, to int, b []float32, worker int) {
	y, a := p.y[from:to], p.a[from:to]
	if !p.spec.Accumulate {
		p.loop(y, a, b, p.spec.Alpha, p.spec.Beta)
		return
	}
	f := p.scratch[worker][:to-from]
	p.loop(f, a, b, p.spec.Alpha, p.spec.Beta)
	p.d.vector.WeightedSum(y, y, f, 1, 1)
}

// applyOne computes elements [from, to) of a run with one element of b.
func (p *mapping) applyOne(from, to, run, worker int) {
	b := p.b[p.spec.BIndex+run%p.period]
	if p.one == nil {
		same := p.spread[worker][:to-from]
		for i := range same {
			same[i] = b
		}
		p.apply(from, to, same, worker)
		return
	}
	y, a := p.y[from:to], p.a[from:to]
	if !p.spec.Accumulate {
		p.one(y, a, b, p.spec.Alpha, p.spec.Beta)
		return
	}
	f := p.scratch[worker][:to-from]
	p.one(f, a, b, p.spec.Alpha, p.spec.Beta)
	p.d.vector.WeightedSum(y, y, f, 1, 1)
}

// mapLoops returns the loops of a function.
func (d *Device) mapLoops(kind device.MapKind) (mapLoop, mapOneLoop) {
	v, f := d.vector, d.vector.Map
	switch kind {
	case device.MapAffine:
		return ofOne(f.Linear), nil
	case device.MapSquare:
		return ofOne(f.Square), nil
	case device.MapAbs:
		return ofOne(f.Abs), nil
	case device.MapSign:
		return ofOne(f.Sign), nil
	case device.MapSqrt:
		return ofOne(f.Sqrt), nil
	case device.MapRsqrt:
		return ofOne(f.Rsqrt), nil
	case device.MapReciprocal:
		return ofOne(f.Reciprocal), nil
	case device.MapExp:
		return mapExp, nil
	case device.MapLog:
		return mapLog, nil
	case device.MapAdd:
		return v.WeightedSum, func(y, a []float32, b, alpha, beta float32) { f.Linear(y, a, alpha, beta*b) }
	case device.MapMul:
		return func(y, a, b []float32, alpha, _ float32) { v.Product(y, a, b, alpha) },
			func(y, a []float32, b, alpha, _ float32) { v.Scaled(y, a, alpha*b) }
	case device.MapDiv:
		return mapLoop(f.Quotient), nil
	case device.MapMax:
		return mapLoop(f.Larger), nil
	case device.MapMin:
		return mapLoop(f.Smaller), nil
	case device.MapGreater:
		return mapLoop(f.Greater), nil
	}
	return mapLoop(f.Select), nil
}

// ofOne makes a mapLoop of a loop that takes no b.
func ofOne(f vector.MapOne) mapLoop {
	return func(y, a, _ []float32, alpha, beta float32) { f(y, a, alpha, beta) }
}

func mapExp(y, a, _ []float32, alpha, beta float32) {
	y = y[:len(a)]
	for i, v := range a {
		y[i] = exp(alpha*v + beta)
	}
}

// exp returns e^x. Package vmath has it for x <= 0; for x > 0 this is the reciprocal of e^-x. For
// |x| >= 87, and for NaN, it uses package math.
func exp(x float32) float32 {
	switch {
	case x <= 0 && x > -87:
		return vmath.ExpNegative(x)
	case x > 0 && x < 87:
		return 1 / vmath.ExpNegative(-x)
	}
	return float32(math.Exp(float64(x)))
}

func mapLog(y, a, _ []float32, alpha, beta float32) {
	y = y[:len(a)]
	for i, v := range a {
		y[i] = float32(math.Log(float64(alpha*v + beta)))
	}
}
