package kernels_test

import (
	"testing"

	"trainer/kernels"
)

// A border on every side, on one side only, and parts that are cut off.
func TestPad(t *testing.T) {
	const n, xH, xW = 3, 4, 5
	for _, s := range storages() {
		for _, c := range []int{1, 3, 8} {
			for _, d := range [][4]int{{6, 8, 1, 2}, {5, 6, 0, 0}, {5, 5, 1, 0}, {3, 4, 0, -1}, {2, 7, -2, 2}, {4, 5, 0, 0}} {
				h, w, top, left := d[0], d[1], d[2], d[3]
				t.Run(name(s, c, d), func(t *testing.T) {
					x := newSource("pad").values(n*xH*xW*c, s)
					results := run(t, func(h2 *host) []pointer {
						y, vector := h2.blank(n*h*w*c*formatOf(s).bytes()), kernels.Vector(c)
						h2.launch(kernels.Pad.In(s), kernels.Pool(n*h*w*c, vector), y, h2.upload(encode(s, x)), n, h, w, c, xH, xW, top, left, vector)
						return []pointer{y}
					})
					want := newSums(n*h*w*c, 0)
					for k := range want.value {
						channel, j, i, image := k%c, k/c%w-left, k/c/w%h-top, k/c/w/h
						if i >= 0 && i < xH && j >= 0 && j < xW {
							want.set(k, x[((image*xH+i)*xW+j)*c+channel], 0)
						}
					}
					want.check(t, "y", s, results[0])
				})
			}
		}
	}
}
