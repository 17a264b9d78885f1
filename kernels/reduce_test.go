package kernels_test

import (
	"math"
	"testing"

	"trainer/kernels"
)

// reduction is one of the reductions of reduce.cu, with the kernels that finish it.
type reduction struct {
	runs, columns         kernels.Family
	finish, columnsFinish kernels.Family
	two                   bool
	of                    func(x, w float64) float64
	largest               bool // the reduction is a maximum, otherwise a sum
}

func reductions() []reduction {
	return []reduction{
		{kernels.ReduceSum, kernels.ReduceColumnsSum, kernels.ReduceFinishSum, kernels.ReduceColumnsFinishSum,
			false, func(x, _ float64) float64 { return x }, false},
		{kernels.ReduceSumSquares, kernels.ReduceColumnsSumSquares, kernels.ReduceFinishSum, kernels.ReduceColumnsFinishSum,
			false, func(x, _ float64) float64 { return x * x }, false},
		{kernels.ReduceSumProducts, kernels.ReduceColumnsSumProducts, kernels.ReduceFinishSum, kernels.ReduceColumnsFinishSum,
			true, func(x, w float64) float64 { return x * w }, false},
		{kernels.ReduceMax, kernels.ReduceColumnsMax, kernels.ReduceFinishMax, kernels.ReduceColumnsFinishMax,
			false, func(x, _ float64) float64 { return x }, true},
	}
}

// data returns x and w for n elements.
func (r reduction) data(n int, s kernels.Storage) (x, w []float64) {
	src := newSource("reduce")
	return src.values(n, s), src.values(n, s)
}

// want returns alpha times the reduction of each of n results, where result(i) is the result to which element
// i belongs.
func (r reduction) want(n int, ulps, alpha float64, x, w []float64, result func(i int) int) sums {
	all := newSums(n, ulps)
	for i := range all.value {
		if r.largest {
			all.value[i] = math.Inf(-1)
		}
	}
	for i, v := range x {
		at, term := result(i), r.of(v, w[i])
		if r.largest {
			all.set(at, max(all.value[at], term), math.Abs(max(all.value[at], term)))
			continue
		}
		all.add(at, term)
	}
	for i, v := range all.value {
		all.set(i, alpha*v, math.Abs(alpha)*all.magnitude[i])
	}
	return all
}

// upload creates buffers of x and w, shift bytes after an aligned address; w is null unless the kernel reads
// it.
func (r reduction) upload(h *host, s kernels.Storage, x, w []float64, shift int) (pointer, pointer) {
	if !r.two {
		return h.uploadAt(shift, encode(s, x)), null
	}
	return h.uploadAt(shift, encode(s, x)), h.uploadAt(shift, encode(s, w))
}

func TestReduce(t *testing.T) {
	for _, r := range reductions() {
		for _, s := range storages() {
			for _, shape := range [][2]int{{1, 1}, {1, 9}, {1, 4099}, {9, 8}, {9, 37}, {3, 2056}, {2, 1031}} { // results, elements per result
				for _, shift := range []int{0, formatOf(s).bytes()} {
					t.Run(name(string(r.runs), s, shape, shift), func(t *testing.T) { r.test(t, s, shape[0], shape[1], shift) })
				}
			}
		}
	}
}

// test reduces runs of n elements, and twice as many runs of half the length.
func (r reduction) test(t *testing.T, s kernels.Storage, results, n, shift int) {
	const alpha = float32(-0.5)
	x, w := r.data(results*n, s)
	got := run(t, func(h *host) []pointer {
		xs, ws := r.upload(h, s, x, w, shift)
		var all []pointer
		for _, parts := range []int{1, kernels.RunsOf(results, n).Parts, 3} {
			dst, partial := h.blank(4*results), h.blank(8*results*parts)
			h.launch(r.runs.In(s), kernels.Grid{X: results * parts, Y: 1}, dst, partial, xs, ws, results, n, 1, 0, parts, false, alpha)
			if parts > 1 {
				h.launch(r.finish.In(s), kernels.Grid{X: results, Y: 1}, dst, partial, parts, alpha)
			}
			all = append(all, dst)
		}
		warps, repeated := h.blank(4*results), h.blank(4)
		h.launch(r.runs.In(s), kernels.Runs{Warp: true}.Grid(results), warps, null, xs, ws, results, n, 1, 0, 1, true, alpha)
		h.launch(r.runs.In(s), kernels.Grid{X: 1, Y: 1}, repeated, null, xs, ws, 1, n, results, n, 1, true, alpha)
		return append(all, warps, repeated)
	})
	want := r.want(results, 2, float64(alpha), x, w, func(i int) int { return i / n }) // the sums are in float64: what remains is the last rounding and the product with alpha
	for _, result := range got[:4] {
		want.check(t, "results", kernels.Float32, result)
	}
	r.want(1, 2, float64(alpha), x, w, func(int) int { return 0 }).check(t, "repeated runs", kernels.Float32, got[4])
}

func TestReduceColumns(t *testing.T) {
	for _, r := range reductions() {
		for _, s := range storages() {
			for _, shape := range [][4]int{ // groups, rows, columns, rows per block
				{1, 1, 1, 0}, {1, 5, 3, 0}, {1, 1030, 1, 0}, {1, 777, 24, 0}, {1, 777, 24, 16}, {1, 100, 132, 16}, {1, 33, 1028, 0}, {1, 40, 65, 3},
				{3, 40, 12, 0}, {3, 40, 12, 7}, {2, 9, 33, 4}, {5, 1, 8, 0},
			} {
				if shape[3] > 0 && s != kernels.Float16 {
					continue // many blocks are slow under AddressSanitizer
				}
				t.Run(name(string(r.columns), s, shape), func(t *testing.T) { r.testColumns(t, s, shape) })
			}
		}
	}
}

func (r reduction) testColumns(t *testing.T, s kernels.Storage, shape [4]int) {
	groups, rows, c, rowsPerBlock := shape[0], shape[1], shape[2], shape[3]
	const alpha = float32(0.25)
	x, w := r.data(groups*rows*c, s)
	results := run(t, func(h *host) []pointer {
		l := kernels.ColumnsOf(groups, rows, c)
		if rowsPerBlock > 0 {
			l.RowsPerBlock, l.Grid.X = rowsPerBlock, (rows+rowsPerBlock-1)/rowsPerBlock
		}
		spans := l.Grid.X
		xs, ws := r.upload(h, s, x, w, 0)
		partial, dst := h.blank(4*groups*spans*c), h.blank(4*groups*c)
		h.launch(r.columns.In(s), kernels.Grid{X: groups * spans, Y: l.Grid.Y}, dst, partial, xs, ws, rows, c, l.RowsPerBlock, spans, l.Vector, alpha)
		if spans > 1 {
			h.launch(r.columnsFinish.In(s), kernels.Grid{X: groups * kernels.ColumnsFinish(c).X, Y: 1}, dst, partial, spans, c, alpha)
		}
		return []pointer{dst}
	})
	want := r.want(groups*c, sumUlps(rows), float64(alpha), x, w, func(i int) int { return i/(rows*c)*c + i%c })
	want.check(t, "columns", kernels.Float32, results[0])
}
