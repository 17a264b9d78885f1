package kernels_test

import (
	"testing"

	"trainer/kernels"
)

func TestTranspose(t *testing.T) {
	for _, s := range storages() {
		for _, shape := range [][3]int{{1, 1, 1}, {2, 33, 7}, {1, 64, 32}, {3, 5, 70}} {
			images, m, n := shape[0], shape[1], shape[2]
			t.Run(name(s, shape), func(t *testing.T) {
				x := newSource("transpose").values(images*m*n, s)
				results := run(t, func(h *host) []pointer {
					y := h.blank(len(x) * formatOf(s).bytes())
					h.launch(kernels.Transpose.In(s), kernels.Squares(images, m, n), y, h.upload(encode(s, x)), m, n)
					return []pointer{y}
				})
				want := newSums(len(x), 0)
				for k, v := range x {
					image, i, j := k/(m*n), k/n%m, k%n
					want.set(image*m*n+j*m+i, v, 0)
				}
				want.check(t, "y", s, results[0])
			})
		}
	}
}

func TestGather(t *testing.T) {
	ids := []int32{3, 0, -1, 6, 3, 7, -1 << 31, 1<<31 - 1, 5}
	const rows = 7
	for _, s := range storages() {
		for _, rowLen := range []int{1, 5, 8, 24} {
			t.Run(name(s, rowLen), func(t *testing.T) {
				x := newSource("gather").values(rows*rowLen, s)
				n := len(ids) * rowLen
				results := run(t, func(h *host) []pointer {
					xs, at := h.upload(encode(s, x)), h.upload(int32s(ids...))
					var all []pointer
					for _, pack := range []bool{false, rowLen%8 == 0} {
						y := h.blank(n * formatOf(s).bytes())
						h.launch(kernels.Gather.In(s), kernels.VectorPerThread(n, s), y, xs, at, n, rowLen, rows, pack)
						all = append(all, y)
					}
					return all
				})
				want := newSums(n, 0)
				for i, id := range ids {
					for j := 0; j < rowLen && id >= 0 && id < rows; j++ {
						want.set(i*rowLen+j, x[int(id)*rowLen+j], 0)
					}
				}
				for _, got := range results {
					want.check(t, "y", s, got)
				}
			})
		}
	}
}

func TestCopyColumns(t *testing.T) {
	const rows = 37
	for _, s := range storages() {
		for _, c := range [][5]int{{1, 1, 0, 1, 0}, {5, 11, 3, 7, 1}, {8, 24, 16, 16, 8}, {16, 16, 0, 48, 8}} { // width, yC, yFrom, xC, xFrom
			width, yC, yFrom, xC, xFrom := c[0], c[1], c[2], c[3], c[4]
			t.Run(name(s, c), func(t *testing.T) {
				src := newSource("copy columns")
				x, y := src.values(rows*xC, s), src.values(rows*yC, s)
				n := rows * width
				results := run(t, func(h *host) []pointer {
					xs := h.upload(encode(s, x))
					var all []pointer
					for _, pack := range []bool{false, (width|yC|yFrom|xC|xFrom)%8 == 0} {
						out := h.upload(encode(s, y))
						h.launch(kernels.CopyColumns.In(s), kernels.VectorPerThread(n, s), out, xs, n, width, yC, yFrom, xC, xFrom, pack)
						all = append(all, out)
					}
					return all
				})
				want := newSums(len(y), 0)
				for i, v := range y {
					want.set(i, v, 0)
					if j := i%yC - yFrom; j >= 0 && j < width {
						want.set(i, x[i/yC*xC+xFrom+j], 0)
					}
				}
				for _, got := range results {
					want.check(t, "y", s, got)
				}
			})
		}
	}
}
