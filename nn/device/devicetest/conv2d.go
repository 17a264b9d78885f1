package devicetest

import (
	"slices"
	"testing"

	"trainer/nn/device"
)

// ConvCase is one convolution: a plan, and the batch that it is run on, which may be
// smaller than the plan's.
type ConvCase struct {
	Name string
	Spec device.Conv2DSpec
	N    int
}

// ConvCases returns the convolutions that the suite runs.
func ConvCases() []ConvCase {
	const bias, noBias = true, false
	// The columns: n, h, w, inC, outC | kH, kW | strideH, strideW | padH, padW |
	// dilationH, dilationW | groups.
	rows := []struct {
		name string
		d    [14]int
		bias bool
	}{
		{"one-number", [14]int{1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1}, bias},
		{"1x1", [14]int{3, 7, 5, 6, 10, 1, 1, 1, 1, 0, 0, 1, 1, 1}, bias},
		{"1x1-stride2", [14]int{3, 9, 7, 8, 5, 1, 1, 2, 2, 0, 0, 1, 1, 1}, noBias},
		{"1x1-wide", [14]int{2, 6, 6, 67, 129, 1, 1, 1, 1, 0, 0, 1, 1, 1}, bias},
		{"5x5-one-channel", [14]int{17, 28, 28, 1, 24, 5, 5, 1, 1, 0, 0, 1, 1, 1}, bias},
		{"5x5-same", [14]int{3, 11, 9, 2, 7, 5, 5, 1, 1, 2, 2, 1, 1, 1}, bias},
		{"2x2-whitening", [14]int{3, 32, 32, 3, 24, 2, 2, 1, 1, 0, 0, 1, 1, 1}, bias},
		{"3x3-3-channels", [14]int{3, 16, 17, 3, 24, 3, 3, 1, 1, 1, 1, 1, 1, 1}, bias},
		{"3x3-24-channels", [14]int{17, 12, 12, 24, 32, 3, 3, 1, 1, 0, 0, 1, 1, 1}, noBias},
		{"3x3-32-channels", [14]int{3, 8, 8, 32, 32, 3, 3, 1, 1, 1, 1, 1, 1, 1}, bias},
		{"3x3-64-channels", [14]int{3, 8, 7, 64, 64, 3, 3, 1, 1, 1, 1, 1, 1, 1}, noBias},
		{"3x3-130-channels", [14]int{1, 5, 7, 130, 130, 3, 3, 1, 1, 1, 1, 1, 1, 1}, bias},
		{"3x3-many-tiles", [14]int{9, 13, 11, 17, 33, 3, 3, 1, 1, 1, 1, 1, 1, 1}, bias},
		{"3x3-many-tiles-full-padding", [14]int{9, 9, 10, 16, 40, 3, 3, 1, 1, 2, 2, 1, 1, 1}, noBias},
		{"3x3-many-tiles-70-channels", [14]int{19, 6, 6, 68, 70, 3, 3, 1, 1, 1, 1, 1, 1, 1}, bias},
		{"5x5-many-tiles", [14]int{5, 14, 13, 18, 35, 5, 5, 1, 1, 2, 2, 1, 1, 1}, bias},
		{"5x5-many-tiles-no-padding", [14]int{5, 14, 15, 34, 16, 5, 5, 1, 1, 0, 0, 1, 1, 1}, noBias},
		{"3x3-full-padding", [14]int{3, 6, 5, 3, 5, 3, 3, 1, 1, 2, 2, 1, 1, 1}, bias},
		{"3x3-stride2", [14]int{3, 9, 10, 5, 6, 3, 3, 2, 2, 1, 1, 1, 1, 1}, bias},
		{"3x3-stride3", [14]int{1, 11, 13, 4, 5, 3, 3, 3, 3, 1, 0, 1, 1, 1}, noBias},
		{"2x2-stride3-leaves-gaps", [14]int{3, 10, 10, 3, 4, 2, 2, 3, 3, 0, 0, 1, 1, 1}, bias},
		{"3x3-stride-leaves-rest", [14]int{2, 8, 10, 3, 4, 3, 3, 3, 3, 0, 0, 1, 1, 1}, bias},
		{"strides-1-2", [14]int{3, 7, 12, 3, 6, 3, 4, 1, 2, 1, 2, 1, 1, 1}, bias},
		{"strides-3-1", [14]int{3, 13, 5, 4, 3, 4, 3, 3, 1, 3, 0, 1, 1, 1}, bias},
		{"dilation2", [14]int{3, 9, 11, 3, 5, 3, 3, 1, 1, 0, 0, 2, 2, 1}, bias},
		{"dilation2-same", [14]int{3, 7, 6, 4, 8, 3, 3, 1, 1, 2, 2, 2, 2, 1}, noBias},
		{"dilation-1-3-stride2", [14]int{1, 12, 15, 2, 3, 2, 3, 2, 2, 1, 2, 1, 3, 1}, bias},
		{"groups2", [14]int{3, 7, 8, 6, 10, 3, 3, 1, 1, 1, 1, 1, 1, 2}, bias},
		{"groups3-stride2", [14]int{3, 9, 7, 12, 6, 3, 3, 2, 2, 1, 1, 1, 1, 3}, noBias},
		{"depthwise", [14]int{3, 9, 8, 19, 19, 3, 3, 1, 1, 1, 1, 1, 1, 19}, bias},
		{"depthwise-5x5", [14]int{3, 11, 13, 35, 35, 5, 5, 1, 1, 2, 2, 1, 1, 35}, bias},
		{"depthwise-stride2", [14]int{3, 12, 23, 33, 33, 3, 3, 2, 2, 1, 1, 1, 1, 33}, bias},
		{"depthwise-5x5-stride2", [14]int{2, 13, 12, 17, 17, 5, 5, 2, 2, 2, 2, 1, 1, 17}, noBias},
		{"depthwise-4x2-stride3-dilation2", [14]int{2, 17, 14, 6, 6, 4, 2, 3, 2, 3, 1, 2, 3, 6}, bias},
		{"depthwise-1x7", [14]int{2, 3, 19, 64, 64, 1, 7, 1, 1, 0, 3, 1, 1, 64}, bias},
		{"depthwise-no-padding", [14]int{17, 9, 8, 40, 40, 3, 3, 1, 1, 0, 0, 1, 1, 40}, noBias},
		{"depthwise-padding-only", [14]int{1, 2, 1, 5, 5, 2, 2, 2, 3, 1, 1, 1, 1, 5}, bias},
		{"depthwise-two-each", [14]int{2, 6, 7, 5, 10, 3, 3, 2, 1, 1, 1, 1, 1, 5}, bias},
		{"depthwise-dilation2", [14]int{1, 9, 9, 4, 4, 3, 3, 1, 1, 2, 2, 2, 2, 4}, noBias},
		{"output-1x1", [14]int{17, 5, 3, 4, 6, 5, 3, 1, 1, 0, 0, 1, 1, 1}, bias},
		{"image-below-kernel", [14]int{3, 2, 1, 3, 4, 3, 3, 1, 1, 1, 1, 1, 1, 1}, bias},
		{"kernel-1x5", [14]int{3, 4, 9, 3, 5, 1, 5, 1, 1, 0, 4, 1, 1, 1}, bias},
		{"kernel-3x1", [14]int{3, 9, 4, 3, 5, 3, 1, 1, 1, 1, 0, 1, 1, 1}, noBias},
		{"one-row", [14]int{3, 1, 40, 3, 17, 1, 3, 1, 1, 0, 1, 1, 1, 1}, bias},
		{"one-column", [14]int{3, 40, 1, 3, 17, 3, 1, 1, 1, 1, 0, 1, 1, 1}, bias},
		{"one-output-channel", [14]int{3, 8, 8, 33, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1}, bias},
		{"beyond-cache-tiles", [14]int{3, 31, 31, 40, 70, 3, 3, 1, 1, 1, 1, 1, 1, 1}, bias},
	}
	var cases []ConvCase
	for _, r := range rows {
		d := r.d
		cases = append(cases, ConvCase{Name: r.name, N: d[0], Spec: device.Conv2DSpec{
			N: d[0], H: d[1], W: d[2], InC: d[3], OutC: d[4], KH: d[5], KW: d[6],
			StrideH: d[7], StrideW: d[8], PadH: d[9], PadW: d[10],
			DilationH: d[11], DilationW: d[12], Groups: d[13], Bias: r.bias,
		}})
	}
	for _, c := range slices.Clone(cases) {
		switch c.Name {
		case "3x3-3-channels", "3x3-many-tiles", "3x3-many-tiles-70-channels":
			c.Name += "-smaller-batch"
			c.Spec.N += 6
			cases = append(cases, c)
		}
	}
	return cases
}

// storageConvCases are those that run in 16 bits too, a few of each kind.
var storageConvCases = []string{
	"one-number", "1x1", "1x1-stride2", "5x5-same", "2x2-whitening", "3x3-3-channels-smaller-batch", "3x3-32-channels", "3x3-64-channels",
	"3x3-many-tiles-smaller-batch", "3x3-stride2", "strides-1-2", "dilation2-same", "groups2", "groups3-stride2", "depthwise", "depthwise-5x5", "depthwise-4x2-stride3-dilation2", "depthwise-padding-only",
	"output-1x1", "image-below-kernel", "kernel-1x5", "one-output-channel",
}

// convCases returns the cases that the options leave.
func (o Options) convCases() []ConvCase {
	var cases []ConvCase
	for _, c := range ConvCases() {
		if o.largest > 0 && c.Spec.FLOPs(c.N) > o.largest || o.dtype() != device.Float32 && !slices.Contains(storageConvCases, c.Name) {
			continue
		}
		c.Spec.DType = o.storage
		cases = append(cases, c)
	}
	return cases
}

func testConv2D(t *testing.T, dev device.Device, opt Options) {
	for _, c := range opt.convCases() {
		t.Run(c.Name, func(t *testing.T) { testConvCase(t, dev, opt, c) })
	}
	t.Run("no-backward", func(t *testing.T) {
		c := opt.convCases()[1]
		c.Spec.NoBackward = true
		conv := plan(dev.NewConv2D(c.Spec))(t)
		newConvData(opt, c).forward(t, dev, opt, conv)
	})
	t.Run("no-backward-data", func(t *testing.T) {
		c := opt.convCases()[3]
		c.Spec.NoBackwardData = true
		conv := plan(dev.NewConv2D(c.Spec))(t)
		d := newConvData(opt, c)
		d.forward(t, dev, opt, conv)
		d.backwardFilter(t, dev, opt, conv)
	})
}

func testConvCase(t *testing.T, dev device.Device, opt Options, c ConvCase) {
	conv := plan(dev.NewConv2D(c.Spec))(t)
	if conv.Algorithm() == "" {
		t.Error("the algorithm has no name")
	}
	if conv.Workspace() < 0 {
		t.Errorf("a workspace of %d bytes", conv.Workspace())
	}
	d := newConvData(opt, c)
	t.Run("forward", func(t *testing.T) { d.forward(t, dev, opt, conv) })
	t.Run("backward-data", func(t *testing.T) { d.backwardData(t, dev, opt, conv) })
	t.Run("backward-filter", func(t *testing.T) { d.backwardFilter(t, dev, opt, conv) })
}

// convData is a case with its inputs.
type convData struct {
	ConvCase
	x, w, bias, dy []float32
}

func newConvData(opt Options, c ConvCase) convData {
	s, src := c.Spec, newSource("conv2d/"+c.Name)
	d := convData{
		ConvCase: c,
		x:        opt.round(src.values(c.N * s.H * s.W * s.InC)),
		w:        opt.round(src.values(s.OutC * s.KH * s.KW * s.InC / s.Groups)),
		dy:       opt.round(src.values(c.N * s.OutH() * s.OutW() * s.OutC)),
	}
	if s.Bias {
		d.bias = src.values(s.OutC)
	}
	return d
}

func (d convData) xShape() []int { return []int{d.N, d.Spec.H, d.Spec.W, d.Spec.InC} }
func (d convData) yShape() []int { return []int{d.N, d.Spec.OutH(), d.Spec.OutW(), d.Spec.OutC} }
func (d convData) wShape() []int {
	return []int{d.Spec.OutC, d.Spec.KH, d.Spec.KW, d.Spec.InC / d.Spec.Groups}
}

func (d convData) wantForward() sums {
	var bias []float64
	if d.Spec.Bias {
		bias = widen(d.bias)
	}
	return refConv2DForward(d.Spec, d.N, widen(d.x), widen(d.w), bias)
}

// forwardOutput runs Forward and returns the rig and y.
func (d convData) forwardOutput(t *testing.T, dev device.Device, opt Options, conv device.Conv2D) (*rig, *device.Tensor) {
	r := newRig(t, dev, opt)
	x, w := r.input("x", d.x, d.xShape()...), r.input("w", d.w, d.wShape()...)
	var bias *device.Tensor
	if d.Spec.Bias {
		bias = r.inputFloat32("bias", d.bias, d.Spec.OutC)
	}
	y := r.output("y", d.yShape()...)
	r.run(func() { conv.Forward(y, x, w, bias) })
	return r, y
}

func (d convData) forward(t *testing.T, dev device.Device, opt Options, conv device.Conv2D) {
	r, y := d.forwardOutput(t, dev, opt, conv)
	r.check(y, d.wantForward().overTiles(opt.Tile, d.yShape()).widened(opt.productFactor()))
}

func (d convData) backwardData(t *testing.T, dev device.Device, opt Options, conv device.Conv2D) {
	r := newRig(t, dev, opt)
	dy, w := r.input("dy", d.dy, d.yShape()...), r.input("w", d.w, d.wShape()...)
	dx := r.output("dx", d.xShape()...)
	r.run(func() { conv.BackwardData(dx, dy, w) })
	want := refConv2DBackwardData(d.Spec, d.N, widen(d.dy), widen(d.w))
	r.check(dx, want.overTiles(opt.Tile, d.xShape()).widened(opt.productFactor()))
}

func (d convData) backwardFilter(t *testing.T, dev device.Device, opt Options, conv device.Conv2D) {
	wantW, wantBias := refConv2DBackwardFilter(d.Spec, d.N, widen(d.dy), widen(d.x))
	for _, ask := range []struct{ dw, dbias bool }{{true, true}, {true, false}, {false, true}} {
		if ask.dbias && !d.Spec.Bias {
			continue
		}
		r := newRig(t, dev, opt)
		dy, x := r.input("dy", d.dy, d.yShape()...), r.input("x", d.x, d.xShape()...)
		var dw, dbias *device.Tensor
		if ask.dw {
			dw = r.output("dw", d.wShape()...)
		}
		if ask.dbias {
			dbias = r.outputFloat32("dbias", d.Spec.OutC)
		}
		r.run(func() { conv.BackwardFilter(dw, dbias, dy, x) })
		if ask.dw {
			r.check(dw, wantW.widened(opt.productFactor()))
		}
		if ask.dbias {
			r.check(dbias, wantBias)
		}
	}
}
