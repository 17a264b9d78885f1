package kernels_test

import (
	"math"
	"testing"

	"trainer/kernels"
	"trainer/nn/device"
)

// poolCase is a pooling, with or without ReLU after it.
type poolCase struct {
	name string
	spec device.Pool2DSpec
	relu bool
}

func poolSpecs() []poolCase {
	// The columns: n, h, w, c | kH, kW | strideH, strideW | padH, padW.
	rows := []struct {
		name string
		d    [10]int
	}{
		{"2x2", [10]int{3, 8, 6, 5, 2, 2, 2, 2, 0, 0}},
		{"2x2-24-channels", [10]int{3, 24, 24, 24, 2, 2, 2, 2, 0, 0}},
		{"2x2-odd-image", [10]int{3, 7, 9, 32, 2, 2, 2, 2, 0, 0}},
		{"2x2-overlapping", [10]int{3, 6, 5, 4, 2, 2, 1, 1, 0, 0}},
		{"3x3-stride2-padded", [10]int{3, 8, 7, 16, 3, 3, 2, 2, 1, 1}},
		{"3x3-full-padding", [10]int{1, 5, 4, 3, 3, 3, 1, 1, 2, 2}},
		{"2x3-stride-3-1", [10]int{3, 10, 6, 8, 2, 3, 3, 1, 1, 0}},
		{"image-below-window", [10]int{3, 1, 2, 3, 2, 3, 1, 1, 1, 1}},
		{"1x1-stride2", [10]int{3, 5, 5, 4, 1, 1, 2, 2, 0, 0}},
		{"global", [10]int{17, 7, 5, 33, 7, 5, 7, 5, 0, 0}},
		{"255-elements", [10]int{2, 17, 15, 4, 17, 15, 1, 1, 0, 0}},
		{"one-number", [10]int{1, 1, 1, 1, 1, 1, 1, 1, 0, 0}},
	}
	var cases []poolCase
	for _, r := range rows {
		d := r.d
		cases = append(cases, poolCase{name: r.name, spec: device.Pool2DSpec{
			N: d[0], H: d[1], W: d[2], C: d[3], KH: d[4], KW: d[5], StrideH: d[6], StrideW: d[7], PadH: d[8], PadW: d[9],
		}})
	}
	// With padding on one side only, windows that reach beyond the image, and gaps between the elements of a window.
	return append(cases,
		poolCase{name: "3x3-more-below", spec: device.Pool2DSpec{N: 3, H: 8, W: 6, C: 8, KH: 3, KW: 3, StrideH: 2, StrideW: 2, ExtraPadH: 1, ExtraPadW: 1}},
		poolCase{name: "2x2-more-above", spec: device.Pool2DSpec{N: 3, H: 7, W: 5, C: 3, KH: 2, KW: 2, StrideH: 2, StrideW: 2, PadH: 1, PadW: 1, ExtraPadH: -1, ExtraPadW: -1}},
		poolCase{name: "3x2-ceil", spec: device.Pool2DSpec{N: 3, H: 8, W: 7, C: 4, KH: 3, KW: 2, StrideH: 2, StrideW: 2, PadH: 1, Ceil: true}},
		poolCase{name: "dilation-2-3", spec: device.Pool2DSpec{N: 2, H: 9, W: 11, C: 4, KH: 3, KW: 2, StrideH: 1, StrideW: 2, PadH: 2, DilationH: 2, DilationW: 3}},
		poolCase{name: "dilation-3-2-ceil", spec: device.Pool2DSpec{N: 2, H: 8, W: 9, C: 5, KH: 2, KW: 3, StrideH: 2, StrideW: 2, PadW: 1, ExtraPadW: 1, DilationH: 3, DilationW: 2, Ceil: true}},
	)
}

// eachWindow calls visit for every window with the index of its output, the indices of its elements inside the image, in
// row-major order, and the number of its elements inside the padded image.
func eachWindow(s device.Pool2DSpec, visit func(y int, inside []int, padded int)) {
	y := 0
	for n := range s.N {
		for i := range s.OutH() {
			for j := range s.OutW() {
				for c := range s.C {
					var inside []int
					padded := 0
					for a := range s.KH {
						for b := range s.KW {
							row, col := i*s.StrideH+a*max(s.DilationH, 1)-s.PadH, j*s.StrideW+b*max(s.DilationW, 1)-s.PadW
							if row < s.H+s.PadH+s.ExtraPadH && col < s.W+s.PadW+s.ExtraPadW {
								padded++
							}
							if row >= 0 && row < s.H && col >= 0 && col < s.W {
								inside = append(inside, ((n*s.H+row)*s.W+col)*s.C+c)
							}
						}
					}
					visit(y, inside, padded)
					y++
				}
			}
		}
	}
}

// argMax returns the index of the first NaN of the window, or without NaN the first of its
// largest elements.
func argMax(x []float64, inside []int) int {
	best := inside[0]
	for _, i := range inside {
		if math.IsNaN(x[i]) {
			return i
		}
		if x[i] > x[best] {
			best = i
		}
	}
	return best
}

// reference returns y and dx.
func (p poolCase) reference(x, dy []float64) (y, dx sums) {
	s := p.spec
	y, dx = newSums(s.N*s.OutH()*s.OutW()*s.C, sumUlps(s.KH*s.KW)), newSums(len(x), sumUlps(s.KH*s.KW))
	eachWindow(s, func(o int, inside []int, padded int) {
		share := map[int]float64{}
		switch s.Mode {
		case device.MaxPool:
			share[argMax(x, inside)] = 1
		default:
			divisor := float64(padded)
			if s.Mode == device.AvgPoolExcluding {
				divisor = float64(len(inside))
			}
			for _, i := range inside {
				share[i] = 1 / divisor
			}
		}
		for _, i := range inside {
			if share[i] > 0 {
				y.add(o, x[i]*share[i])
			}
		}
		if p.relu && !(y.value[o] > 0) {
			if y.value[o] <= 0 {
				y.value[o] = 0
			}
			return
		}
		for _, i := range inside {
			if share[i] > 0 {
				dx.add(i, dy[o]*share[i])
			}
		}
	})
	return y, dx
}

func TestPool2D(t *testing.T) {
	for mode, m := range map[string]device.PoolMode{"max": device.MaxPool, "avg": device.AvgPool, "avg-excluding": device.AvgPoolExcluding} {
		for _, p := range poolSpecs() {
			for _, relu := range []bool{false, true} {
				p.spec.Mode, p.relu = m, relu
				for _, s := range storages() {
					t.Run(name(mode, p.name, relu, s), func(t *testing.T) {
						src := newSource(name("pool2d", p.name))
						p.test(t, s, src.between(p.spec.N*p.spec.H*p.spec.W*p.spec.C, -1.5, 0.75, s), false)
					})
				}
			}
		}
	}
}

// Equal elements, NaN and infinities, with positions stored as bytes and as int32.
func TestMaxPool2DOfTiesAndSpecials(t *testing.T) {
	for _, p := range poolSpecs() {
		p.spec.Mode = device.MaxPool
		for _, wide := range []bool{false, true} {
			for _, special := range []float64{0.5, math.NaN(), math.Inf(-1), math.Inf(1)} {
				t.Run(name(p.name, wide, special), func(t *testing.T) {
					src := newSource("ties")
					x := make([]float64, p.spec.N*p.spec.H*p.spec.W*p.spec.C)
					for i := range x {
						x[i] = float64(src.below(3)) / 2
						if src.below(4) == 0 {
							x[i] = special
						}
					}
					p.test(t, kernels.Float16, x, wide)
				})
			}
		}
	}
}

func (p poolCase) test(t *testing.T, s kernels.Storage, x []float64, wide bool) {
	spec := p.spec
	n := spec.N * spec.OutH() * spec.OutW() * spec.C
	dy := newSource("pool2d/dy").values(n, s)
	results := run(t, func(h *host) []pointer {
		size := formatOf(s).bytes()
		xs, dys, y, dx := h.upload(encode(s, x)), h.upload(encode(s, dy)), h.blank(n*size), h.blank(len(x)*size)
		vector := kernels.Vector(spec.C) && !wide
		forward, backward := kernels.Pool(n, vector), kernels.Pool(len(x), vector)
		geometry := []any{spec.N, spec.H, spec.W, spec.C, spec.OutH(), spec.OutW(), spec.KH, spec.KW, spec.StrideH, spec.StrideW, spec.PadH, spec.PadW, max(spec.DilationH, 1), max(spec.DilationW, 1)}
		launch := func(f kernels.Family, grid kernels.Grid, front []any, back ...any) {
			h.launch(f.In(s), grid, append(append(front, geometry...), back...)...)
		}
		switch {
		case spec.Mode != device.MaxPool:
			excluding := spec.Mode == device.AvgPoolExcluding
			endH, endW := spec.H+spec.PadH+spec.ExtraPadH, spec.W+spec.PadW+spec.ExtraPadW
			launch(kernels.Pool2DAverageForward, forward, []any{y, xs}, endH, endW, excluding, p.relu, vector)
			before := null
			if p.relu {
				before = y
			}
			launch(kernels.Pool2DAverageBackward, backward, []any{dx, dys, before}, endH, endW, excluding, p.relu, vector)
			return []pointer{y, dx}
		case wide:
			arg := h.blank(4 * n)
			launch(kernels.Pool2DMaxForwardWide, forward, []any{y, arg, xs}, p.relu)
			launch(kernels.Pool2DMaxBackwardWide, backward, []any{dx, dys, arg})
			return []pointer{y, dx}
		}
		arg, inference := h.blank(n), h.blank(n*size)
		launch(kernels.Pool2DMaxForward, forward, []any{y, arg, xs}, p.relu, vector)
		launch(kernels.Pool2DMaxForward, kernels.Grid{X: 1, Y: 1}, []any{inference, null, xs}, p.relu, vector)
		launch(kernels.Pool2DMaxBackward, backward, []any{dx, dys, arg}, vector)
		return []pointer{y, dx, inference}
	})
	y, dx := p.reference(x, dy)
	if spec.Mode == device.MaxPool {
		y.ulps = 0
	}
	y.check(t, "y", s, results[0])
	dx.check(t, "dx", s, results[1])
	if len(results) > 2 {
		y.check(t, "y without positions", s, results[2])
	}
}
