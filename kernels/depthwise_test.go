package kernels_test

import (
	"fmt"
	"strings"
	"testing"

	"trainer/kernels"
	"trainer/nn/device"
)

// TestDepthwise compares the three passes with their sums, in float64.
func TestDepthwise(t *testing.T) {
	// The columns: n, h, w, c | kH, kW | strideH, strideW | padH, padW | dilationH, dilationW.
	for name, d := range map[string][12]int{
		"3x3":               {2, 6, 7, 8, 3, 3, 1, 1, 1, 1, 1, 1},
		"3x3-odd-channels":  {2, 5, 6, 7, 3, 3, 1, 1, 1, 1, 1, 1},
		"3x3-stride2":       {1, 7, 9, 36, 3, 3, 2, 2, 1, 1, 1, 1},
		"5x5":               {1, 9, 8, 4, 5, 5, 1, 1, 2, 2, 1, 1},
		"2x4-everything":    {2, 9, 11, 5, 2, 4, 2, 3, 1, 2, 3, 1},
		"below-kernel":      {3, 2, 1, 3, 3, 3, 1, 1, 1, 1, 1, 1},
		"many-rows":         {3, 20, 21, 3, 1, 2, 1, 1, 0, 1, 1, 1},
		"several-of-groups": {1, 3, 3, 70, 2, 2, 1, 1, 0, 0, 1, 1},
	} {
		s := device.Conv2DSpec{
			N: d[0], H: d[1], W: d[2], InC: d[3], OutC: d[3], KH: d[4], KW: d[5], StrideH: d[6], StrideW: d[7], PadH: d[8], PadW: d[9],
			DilationH: d[10], DilationW: d[11], Groups: d[3],
		}
		for _, storage := range storages() {
			for _, relu := range []bool{false, true} {
				t.Run(strings.Join([]string{name, string(storage), fmt.Sprint(relu)}, "-"), func(t *testing.T) { testDepthwise(t, s, storage, relu) })
			}
		}
	}
}

// eachTap calls visit for every product: the indices in y, x and w.
func eachTap(s device.Conv2DSpec, visit func(y, x, w int)) {
	for n := range s.N {
		for i := range s.OutH() {
			for j := range s.OutW() {
				for a := range s.KH {
					for b := range s.KW {
						row, col := i*s.StrideH-s.PadH+a*s.DilationH, j*s.StrideW-s.PadW+b*s.DilationW
						if row < 0 || row >= s.H || col < 0 || col >= s.W {
							continue
						}
						for c := range s.OutC {
							visit(((n*s.OutH()+i)*s.OutW()+j)*s.OutC+c, ((n*s.H+row)*s.W+col)*s.InC+c, (c*s.KH+a)*s.KW+b)
						}
					}
				}
			}
		}
	}
}

func testDepthwise(t *testing.T, s device.Conv2DSpec, storage kernels.Storage, relu bool) {
	src := newSource("depthwise")
	c, taps, pixels := s.OutC, s.KH*s.KW, s.N*s.OutH()*s.OutW()
	x, w := src.values(s.N*s.H*s.W*c, storage), src.values(c*taps, storage)
	dy, bias := src.values(pixels*c, storage), src.values(c, kernels.Float32)
	size := formatOf(storage).bytes()
	geometry := []any{s.H, s.W, c, s.OutH(), s.OutW(), s.KH, s.KW, s.StrideH, s.StrideW, s.PadH, s.PadW, s.DilationH, s.DilationW}
	vector := kernels.Vector(c)
	results := run(t, func(h *host) []pointer {
		xs, ws, dys, bs := h.upload(encode(storage, x)), h.upload(encode(storage, w)), h.upload(encode(storage, dy)), h.upload(encode(kernels.Float32, bias))
		y, plain, dx, dw := h.blank(size*len(dy)), h.blank(size*len(dy)), h.blank(size*len(x)), h.blank(size*len(w))
		grid := kernels.DepthwiseStrips(s.N*s.OutH(), s.OutW(), c, vector)
		h.launch(kernels.DepthwiseForward.In(storage), grid, append([]any{y, xs, ws, bs, s.N}, append(geometry, relu, vector)...)...)
		h.launch(kernels.DepthwiseForward.In(storage), kernels.Grid{X: 1, Y: 1}, append([]any{plain, xs, ws, null, s.N}, append(geometry, false, false)...)...)
		grid = kernels.DepthwiseStrips(s.N*s.H, s.W, c, vector)
		h.launch(kernels.DepthwiseData.In(storage), grid, append([]any{dx, dys, ws, s.N}, append(geometry, vector)...)...)
		l := kernels.DepthwiseFilterLaunch(pixels, c)
		if l.Grid.X > kernels.MaxDepthwiseBlocks(pixels, c) {
			t.Errorf("%d blocks, at most %d were announced", l.Grid.X, kernels.MaxDepthwiseBlocks(pixels, c))
		}
		partial := h.blank(4 * l.Grid.X * taps * c)
		for first := 0; first < taps; first += kernels.TapsAtOnce {
			h.launch(kernels.DepthwiseFilter.In(storage), l.Grid, append([]any{partial, dys, xs, pixels}, append(geometry, first, l.RowsPerBlock)...)...)
		}
		h.launch(kernels.DepthwiseFilterFinish.In(storage), kernels.ColumnsFinish(taps*c), dw, partial, l.Grid.X, taps, c)
		return []pointer{y, plain, dx, dw}
	})
	wantY, wantPlain, wantX, wantW := newSums(len(dy), sumUlps(taps)), newSums(len(dy), sumUlps(taps)), newSums(len(x), sumUlps(taps)), newSums(len(w), sumUlps(pixels))
	for i := range dy {
		wantY.add(i, bias[i%c])
	}
	eachTap(s, func(i, j, k int) {
		wantY.add(i, x[j]*w[k])
		wantPlain.add(i, x[j]*w[k])
		wantX.add(j, dy[i]*w[k])
		wantW.add(k, dy[i]*x[j])
	})
	for i, v := range wantY.value {
		if relu {
			wantY.value[i] = max(v, 0)
		}
	}
	for i, want := range []sums{wantY, wantPlain, wantX, wantW} {
		want.check(t, []string{"y", "y without bias", "dx", "dw"}[i], storage, results[i])
	}
}
