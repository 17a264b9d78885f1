package kernels_test

import (
	"math"
	"testing"

	"trainer/kernels"
)

func TestReduce(t *testing.T) {
	for _, s := range storages() {
		for _, n := range []int{1, 9, 4099} {
			for _, shift := range []int{0, formatOf(s).bytes()} {
				t.Run(name(s, n, shift), func(t *testing.T) { testReduce(t, s, n, shift) })
			}
		}
	}
}

func testReduce(t *testing.T, s kernels.Storage, n, shift int) {
	x := newSource("reduce").values(n, s)
	special := newSource("reduce").values(n, s)
	var nonFinite float64
	for i := 0; i < n; i += 5 {
		special[i] = []float64{math.NaN(), math.Inf(1), math.Inf(-1)}[i%3]
		nonFinite++
	}
	results := run(t, func(h *host) []pointer {
		xs, specials := h.uploadAt(shift, encode(s, x)), h.uploadAt(shift, encode(s, special))
		sum, squares, count := h.blank(4), h.blank(4), h.blank(4)
		one := kernels.Grid{X: 1, Y: 1}
		grid := kernels.Reduction(n)
		partial := h.blank(8 * grid.X)
		h.launch(kernels.ReduceSum.In(s), grid, partial, xs, n)
		h.launch(kernels.ReduceFinish.In(s), one, sum, partial, grid.X)
		h.launch(kernels.ReduceSumSquares.In(s), grid, partial, xs, n)
		h.launch(kernels.ReduceFinish.In(s), one, squares, partial, grid.X)
		h.launch(kernels.ReduceNonFinite.In(s), grid, partial, specials, n)
		h.launch(kernels.ReduceNonFiniteFinish.In(s), one, count, partial, grid.X)
		return []pointer{sum, squares, count}
	})
	want := [3]sums{newSums(1, 1), newSums(1, 1), newSums(1, 0)} // float64 sums: only the last rounding
	for _, v := range x {
		want[0].add(0, v)
		want[1].add(0, v*v)
	}
	want[2].add(0, nonFinite)
	for i, w := range want {
		w.check(t, []string{"sum", "sum of squares", "non-finite"}[i], kernels.Float32, results[i])
	}
}

func TestReduceRows(t *testing.T) {
	for _, s := range storages() {
		for _, shape := range [][3]int{{1, 1, 0}, {5, 3, 0}, {1030, 1, 0}, {777, 24, 0}, {777, 24, 16}, {100, 132, 16}, {33, 1028, 0}, {40, 65, 3}} {
			if shape[2] > 0 && s != kernels.Float16 {
				continue // many blocks take long under AddressSanitizer
			}
			t.Run(name(s, shape), func(t *testing.T) { testReduceRows(t, s, shape[0], shape[1], shape[2]) })
		}
	}
}

func testReduceRows(t *testing.T, s kernels.Storage, rows, c, rowsPerBlock int) {
	x := newSource("reduce rows").values(rows*c, s)
	results := run(t, func(h *host) []pointer {
		l := kernels.Columns(rows, c)
		if rowsPerBlock > 0 {
			l.RowsPerBlock, l.Grid.X = rowsPerBlock, (rows+rowsPerBlock-1)/rowsPerBlock
		}
		partial, dst := h.blank(4*l.Grid.X*c), h.blank(4*c)
		h.launch(kernels.ReduceRows.In(s), l.Grid, partial, h.upload(encode(s, x)), rows, c, l.RowsPerBlock, l.Vector)
		h.launch(kernels.ReduceRowsFinish.In(s), kernels.ColumnsFinish(c), dst, partial, l.Grid.X, c)
		return []pointer{dst}
	})
	want := newSums(c, sumUlps(rows))
	for i, v := range x {
		want.add(i%c, v)
	}
	want.check(t, "sums of columns", kernels.Float32, results[0])
}
