package devicetest

import (
	"fmt"
	"math"
	"testing"

	"trainer/nn/device"
	"trainer/nn/device/reference"
)

// poolCase is a pooling's geometry, run on n images.
type poolCase struct {
	name string
	spec device.Pool2DSpec // without the mode
	n    int
}

func poolCases() []poolCase {
	// The columns: largest batch, n | h, w, c | kH, kW | strideH, strideW | padH, padW.
	rows := []struct {
		name string
		d    [11]int
	}{
		{"2x2", [11]int{17, 17, 8, 6, 5, 2, 2, 2, 2, 0, 0}},
		{"2x2-24-channels", [11]int{3, 3, 24, 24, 24, 2, 2, 2, 2, 0, 0}},
		{"2x2-odd-image", [11]int{3, 3, 7, 9, 32, 2, 2, 2, 2, 0, 0}},
		{"2x2-odd-row", [11]int{2, 2, 5, 8, 40, 2, 2, 2, 2, 0, 0}},
		{"2x2-two-windows", [11]int{2, 2, 3, 5, 8, 2, 2, 2, 2, 0, 0}},
		{"3x3-tiles", [11]int{3, 3, 11, 10, 24, 3, 3, 3, 3, 0, 0}},
		{"3x3-global", [11]int{5, 4, 3, 3, 16, 3, 3, 3, 3, 0, 0}},
		{"2x2-overlapping", [11]int{3, 3, 6, 5, 3, 2, 2, 1, 1, 0, 0}},
		{"3x3-stride2", [11]int{3, 3, 9, 11, 7, 3, 3, 2, 2, 0, 0}},
		{"3x3-stride2-padded", [11]int{3, 3, 8, 7, 16, 3, 3, 2, 2, 1, 1}},
		{"3x3-stride1-full-padding", [11]int{1, 1, 5, 4, 3, 3, 3, 1, 1, 2, 2}},
		{"2x3-stride-3-1", [11]int{3, 3, 10, 6, 2, 2, 3, 3, 1, 1, 0}},
		{"image-below-window", [11]int{3, 3, 1, 2, 3, 2, 3, 1, 1, 1, 1}},
		{"1x1-stride2", [11]int{3, 3, 5, 5, 4, 1, 1, 2, 2, 0, 0}},
		{"global", [11]int{17, 17, 7, 5, 33, 7, 5, 7, 5, 0, 0}},
		{"17x17-window", [11]int{2, 2, 18, 19, 3, 17, 17, 1, 2, 0, 1}}, // more positions than a byte can hold
		{"one-number", [11]int{1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0}},
		{"smaller-batch", [11]int{9, 4, 6, 6, 130, 2, 2, 2, 2, 0, 0}},
	}
	var cases []poolCase
	for _, r := range rows {
		d := r.d
		cases = append(cases, poolCase{name: r.name, n: d[1], spec: device.Pool2DSpec{
			N: d[0], H: d[2], W: d[3], C: d[4], KH: d[5], KW: d[6],
			StrideH: d[7], StrideW: d[8], PadH: d[9], PadW: d[10],
		}})
	}
	return append(cases, irregularPoolCases()...)
}

// irregularPoolCases returns poolings with unequal padding, gaps between the elements of a window, and windows that reach
// beyond the image.
func irregularPoolCases() []poolCase {
	// The columns: n, h, w, c | kH, kW | strideH, strideW | padH, padW | extraPadH, extraPadW | dilationH, dilationW.
	rows := []struct {
		name string
		d    [14]int
		ceil bool
	}{
		{"3x3-stride2-more-below", [14]int{3, 8, 6, 16, 3, 3, 2, 2, 0, 0, 1, 1, 1, 1}, false},
		{"2x2-more-above", [14]int{3, 7, 9, 5, 2, 2, 2, 2, 1, 1, -1, -1, 1, 1}, false},
		{"2x2-more-right", [14]int{3, 7, 9, 8, 2, 2, 1, 2, 0, 0, 0, 1, 1, 1}, false},
		{"2x2-ceil", [14]int{3, 7, 9, 8, 2, 2, 2, 2, 0, 0, 0, 0, 1, 1}, true},
		{"2x2-ceil-even-image", [14]int{3, 8, 6, 8, 2, 2, 2, 2, 0, 0, 0, 0, 1, 1}, true},
		{"3x3-stride2-padded-ceil", [14]int{2, 8, 7, 5, 3, 3, 2, 2, 1, 1, 0, 0, 1, 1}, true},
		{"ceil-last-window-in-padding", [14]int{2, 4, 5, 4, 1, 3, 3, 3, 0, 1, 0, 0, 1, 1}, true},
		{"ceil-image-below-window", [14]int{2, 1, 1, 4, 2, 2, 2, 2, 0, 0, 0, 0, 1, 1}, true},
		{"dilation2", [14]int{3, 9, 8, 16, 2, 3, 1, 1, 0, 0, 0, 0, 2, 2}, false},
		{"dilation-3-1-stride2", [14]int{2, 11, 7, 5, 3, 2, 2, 1, 2, 1, 0, 0, 3, 1}, false},
		{"dilation-1-2-stride2-ceil", [14]int{2, 6, 12, 8, 2, 3, 2, 3, 1, 2, 0, -1, 1, 2}, true},
		{"dilation-beyond-stride", [14]int{2, 10, 10, 4, 2, 2, 3, 4, 0, 0, 0, 0, 4, 5}, false},
	}
	var cases []poolCase
	for _, r := range rows {
		d := r.d
		cases = append(cases, poolCase{name: r.name, n: d[0], spec: device.Pool2DSpec{
			N: d[0], H: d[1], W: d[2], C: d[3], KH: d[4], KW: d[5], StrideH: d[6], StrideW: d[7], PadH: d[8], PadW: d[9],
			ExtraPadH: d[10], ExtraPadW: d[11], DilationH: d[12], DilationW: d[13], Ceil: r.ceil,
		}})
	}
	return cases
}

// poolModes are the modes by name.
func poolModes() []poolMode {
	return []poolMode{{"max", device.MaxPool}, {"avg", device.AvgPool}, {"avg-excluding", device.AvgPoolExcluding}}
}

type poolMode struct {
	name string
	mode device.PoolMode
}

func testPool2D(t *testing.T, dev device.Device, opt Options) {
	for _, m := range poolModes() {
		for _, c := range poolCases() {
			s := c.spec
			s.Mode, s.DType = m.mode, opt.storage
			src := newSource("pool2d/" + c.name)
			x := opt.round(src.values(c.n * s.H * s.W * s.C))
			t.Run(m.name+"/"+c.name, func(t *testing.T) { runPoolCase(t, dev, opt, s, c.n, x, src) })
			if m.mode == device.MaxPool {
				ties := src.coarse(len(x))
				t.Run(m.name+"/ties/"+c.name, func(t *testing.T) { runPoolCase(t, dev, opt, s, c.n, ties, src) })
			}
		}
	}
	for _, special := range []float32{float32(math.NaN()), float32(math.Inf(-1)), float32(math.Inf(1))} {
		t.Run(fmt.Sprintf("max/with-%v", special), func(t *testing.T) {
			s := device.Pool2DSpec{Mode: device.MaxPool, N: 2, H: 9, W: 9, C: 19, KH: 3, KW: 3, StrideH: 2, StrideW: 2, PadH: 1, PadW: 1, DType: opt.storage}
			src := newSource("pool2d/special")
			x := opt.round(src.values(s.N * s.H * s.W * s.C))
			for i := range x {
				if src.below(3) == 0 {
					x[i] = special
				}
			}
			runPoolCase(t, dev, opt, s, s.N, x, src)
		})
	}
	for _, special := range []float32{float32(math.NaN()), float32(math.Inf(-1)), float32(math.Inf(1))} {
		for k := 2; k <= 3; k++ {
			t.Run(fmt.Sprintf("max/%dx%d-tiles-with-%v", k, k, special), func(t *testing.T) {
				s := device.Pool2DSpec{Mode: device.MaxPool, N: 2, H: 11, W: 8, C: 16, KH: k, KW: k, StrideH: k, StrideW: k, DType: opt.storage}
				src := newSource("pool2d/special-tiles")
				x := opt.round(src.values(s.N * s.H * s.W * s.C))
				for i := range x {
					if src.below(3) == 0 {
						x[i] = special
					}
				}
				runPoolCase(t, dev, opt, s, s.N, x, src)
			})
		}
	}
	t.Run("max/all-minus-infinity", func(t *testing.T) {
		s := device.Pool2DSpec{Mode: device.MaxPool, N: 1, H: 4, W: 4, C: 17, KH: 2, KW: 2, StrideH: 2, StrideW: 2, DType: opt.storage}
		x := make([]float32, s.H*s.W*s.C)
		for i := range x {
			x[i] = float32(math.Inf(-1))
		}
		runPoolCase(t, dev, opt, s, s.N, x, newSource("pool2d/all-minus-infinity"))
	})
	t.Run("no-backward", func(t *testing.T) {
		s := device.Pool2DSpec{Mode: device.MaxPool, N: 2, H: 4, W: 6, C: 3, KH: 2, KW: 2, StrideH: 2, StrideW: 2, NoBackward: true, DType: opt.storage}
		data := opt.round(newSource("pool2d/no-backward").values(s.N * s.H * s.W * s.C))
		pool := plan(dev.NewPool2D(s))(t)
		r := newRig(t, dev, opt)
		x, y := r.input("x", data, s.N, s.H, s.W, s.C), r.output("y", s.N, s.OutH(), s.OutW(), s.C)
		r.run(func() { pool.Forward(y, x) })
		r.check(y, reference.Pool2DForward(s, s.N, reference.Widen(data)))
	})
}

// runPoolCase checks Forward, and Backward after it.
func runPoolCase(t *testing.T, dev device.Device, opt Options, s device.Pool2DSpec, n int, xData []float32, src *source) {
	pool := plan(dev.NewPool2D(s))(t)
	dyData := opt.round(src.values(n * s.OutH() * s.OutW() * s.C))
	r := newRig(t, dev, opt)
	x, dy := r.input("x", xData, n, s.H, s.W, s.C), r.input("dy", dyData, n, s.OutH(), s.OutW(), s.C)
	y, dx := r.output("y", n, s.OutH(), s.OutW(), s.C), r.output("dx", n, s.H, s.W, s.C)
	r.run(func() {
		pool.Forward(y, x)
		pool.Backward(dx, dy, y, x)
	})
	r.check(y, reference.Pool2DForward(s, n, reference.Widen(xData)))
	r.check(dx, reference.Pool2DBackward(s, n, reference.Widen(dyData), reference.Widen(xData)))
}

func pool2DOperation() Operation {
	return Operation{
		Name: "pool2d", Constructor: "NewPool2D", Group: Elementwise, Types: allFloats, Test: testPool2D, Panics: panicsOfPool2D,
		Calls: func(size Size) []Call { return poolCalls(size, "", device.Device.NewPool2D) },
	}
}

// sizedPools returns poolings by name, for a size.
func sizedPools(o *Operands) map[string]device.Pool2DSpec {
	large := device.Pool2DSpec{N: o.pick(7, 250, 1024), H: 31, W: 31, C: o.pick(24, 64, 64), KH: 2, KW: 2, StrideH: 2, StrideW: 2}
	return map[string]device.Pool2DSpec{
		"pool":             large,
		"pool-2x2":         {N: 7, H: 25, W: 24, C: 24, KH: 2, KW: 2, StrideH: 2, StrideW: 2},
		"pool-3x3":         {N: 7, H: 31, W: 31, C: 24, KH: 3, KW: 3, StrideH: 3, StrideW: 3},
		"pool-overlapping": {N: 7, H: 24, W: 24, C: 24, KH: 3, KW: 3, StrideH: 2, StrideW: 2, PadH: 1, PadW: 1},
		"pool-dilated":     {N: 7, H: 24, W: 25, C: 24, KH: 2, KW: 3, StrideH: 2, StrideW: 3, ExtraPadH: 1, DilationH: 3, DilationW: 2, Ceil: true},
		"pool-global":      {N: 11, H: 17, W: 17, C: 24, KH: 17, KW: 17, StrideH: 1, StrideW: 1},
	}
}

// poolCalls are the two passes of pooling: for benchmarks the maximum over one window, for tests all modes and several
// windows. suffix ends the names.
func poolCalls(size Size, suffix string, construct func(device.Device, device.Pool2DSpec) (device.Pool2D, error)) []Call {
	windows, modes := []string{"pool"}, poolModes()[:1]
	if size == Small {
		modes = poolModes()
		windows = append(windows, "pool-2x2", "pool-3x3", "pool-overlapping", "pool-dilated", "pool-global")
	}
	var calls []Call
	for _, window := range windows {
		for _, m := range modes {
			name := m.name + "-" + window + suffix
			prepare := func(o *Operands) (p device.Pool2D, x, y *device.Tensor, err error) {
				s := sizedPools(o)[window]
				s.Mode, s.DType = m.mode, o.DType
				if p, err = construct(o.Device, s); err != nil {
					return nil, nil, nil, err
				}
				return p, o.uniform(-1, 1, s.N, s.H, s.W, s.C), o.zeros(s.N, s.OutH(), s.OutW(), s.C), nil
			}
			calls = append(calls,
				Call{name + "/forward", "Forward", func(o *Operands) (Work, error) {
					p, x, y, err := prepare(o)
					if err != nil {
						return Work{}, err
					}
					return Work{Run: func() { p.Forward(y, x) }, Results: []*device.Tensor{y}, Bytes: bytesOf(x, y)}, nil
				}},
				Call{name + "/backward", "Backward", func(o *Operands) (Work, error) {
					p, x, y, err := prepare(o)
					if err != nil {
						return Work{}, err
					}
					p.Forward(y, x)
					dy, dx := o.uniform(-1, 1, y.Shape()...), o.zeros(x.Shape()...)
					// dx is written; whether x and y are read in addition to dy is up to the plan.
					return Work{Run: func() { p.Backward(dx, dy, y, x) }, Results: []*device.Tensor{dx}, Bytes: bytesOf(dx, dy)}, nil
				}})
		}
	}
	return calls
}

func panicsOfPool2D(t *testing.T, dev device.Device) {
	m := memory{t, dev}
	s := device.Pool2DSpec{Mode: device.MaxPool, N: 4, H: 8, W: 6, C: 3, KH: 2, KW: 2, StrideH: 2, StrideW: 2}
	pool := plan(dev.NewPool2D(s))(t)
	x, y := m.tensor(device.Float32, []int{4, 8, 6, 3}), m.tensor(device.Float32, []int{4, 4, 3, 3})
	other := m.tensor(device.Float32, []int{4, 8, 7, 3})
	mustPanic(t, "forward with another x", func() { pool.Forward(y, other) }, "x", "float32[4 8 7 3]", "8 6 3]")
	mustPanic(t, "forward with another y", func() { pool.Forward(other, x) }, "y", "float32[4 8 7 3]", "4 3 3]")
	mustPanic(t, "backward with another dx", func() { pool.Backward(other, y, y, x) }, "dx", "float32[4 8 7 3]", "8 6 3]")
	s.PadH = 2
	mustPanic(t, "padding as large as the window", func() { _, _ = dev.NewPool2D(s) }, "pool2d")
	s.PadH, s.ExtraPadH = 1, -2
	mustPanic(t, "negative padding below", func() { _, _ = dev.NewPool2D(s) }, "pool2d")
	s = device.Pool2DSpec{Mode: device.MaxPool, N: 1, H: 1, W: 9, C: 1, KH: 2, KW: 1, StrideH: 1, StrideW: 1, PadH: 1, DilationH: 2}
	mustPanic(t, "a window whose elements lie on both sides of the image", func() { _, _ = dev.NewPool2D(s) }, "pool2d")
	s.PadH, s.H, s.Mode = 0, 9, 0
	mustPanic(t, "no mode", func() { _, _ = dev.NewPool2D(s) }, "pool2d")
}
