package devicetest

import (
	"fmt"
	"slices"
	"testing"

	"trainer/nn/device"
	"trainer/nn/device/reference"
)

// ConvCase is one convolution: a plan and the batch to run it on, which may be smaller than
// the plan's.
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
		{"depthwise-three-each", [14]int{2, 11, 9, 6, 18, 3, 3, 1, 1, 1, 1, 1, 1, 6}, bias},
		{"depthwise-two-each-no-padding", [14]int{2, 7, 6, 9, 18, 3, 3, 1, 1, 0, 0, 1, 1, 9}, noBias},
		{"depthwise-one-column", [14]int{2, 7, 1, 20, 20, 3, 3, 1, 1, 1, 1, 1, 1, 20}, bias},
		{"depthwise-padding-of-columns", [14]int{1, 5, 9, 16, 16, 3, 3, 1, 1, 0, 1, 1, 1, 16}, bias},
		{"depthwise-dilation2", [14]int{1, 9, 9, 4, 4, 3, 3, 1, 1, 2, 2, 2, 2, 4}, noBias},
		{"output-1x1", [14]int{17, 5, 3, 4, 6, 5, 3, 1, 1, 0, 0, 1, 1, 1}, bias},
		{"image-below-kernel", [14]int{3, 2, 1, 3, 4, 3, 3, 1, 1, 1, 1, 1, 1, 1}, bias},
		{"kernel-1x5", [14]int{3, 4, 9, 3, 5, 1, 5, 1, 1, 0, 4, 1, 1, 1}, bias},
		{"kernel-3x1", [14]int{3, 9, 4, 3, 5, 3, 1, 1, 1, 1, 0, 1, 1, 1}, noBias},
		{"one-row", [14]int{3, 1, 40, 3, 17, 1, 3, 1, 1, 0, 1, 1, 1, 1}, bias},
		{"one-column", [14]int{3, 40, 1, 3, 17, 3, 1, 1, 1, 1, 0, 1, 1, 1}, bias},
		{"one-output-channel", [14]int{3, 8, 8, 33, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1}, bias},
		{"7x7-512-channels", [14]int{1, 6, 6, 512, 5, 7, 7, 1, 1, 3, 3, 1, 1, 1}, bias},
		{"7x7-to-512-channels", [14]int{1, 6, 6, 3, 512, 7, 7, 1, 1, 3, 3, 1, 1, 1}, noBias},
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
	cases = append(cases, unequalPaddingCases()...)
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

// unequalPaddingCases returns convolutions whose padding differs between opposite sides: more below and at the right, as
// TensorFlow pads; more above and at the left; and output pixels that are cut off.
func unequalPaddingCases() []ConvCase {
	// The columns: n, h, w, inC, outC | kH, kW | strideH, strideW | padH, padW | extraPadH, extraPadW | dilationH,
	// dilationW | groups.
	rows := []struct {
		name string
		d    [16]int
	}{
		{"3x3-stride2-more-below", [16]int{3, 8, 10, 5, 6, 3, 3, 2, 2, 0, 0, 1, 1, 1, 1, 1}},
		{"3x3-stride2-more-above", [16]int{3, 8, 10, 5, 6, 3, 3, 2, 2, 1, 1, -1, -1, 1, 1, 1}},
		{"2x2-same", [16]int{3, 9, 8, 3, 24, 2, 2, 1, 1, 0, 0, 1, 1, 1, 1, 1}},
		{"4x3-one-side", [16]int{2, 9, 13, 4, 9, 4, 3, 1, 1, 3, 0, -3, 2, 1, 1, 1}},
		{"3x3-many-tiles-more-below", [16]int{6, 13, 11, 16, 18, 3, 3, 1, 1, 0, 0, 2, 1, 1, 1, 1}},
		{"3x3-32-channels-more-above", [16]int{3, 8, 8, 32, 32, 3, 3, 1, 1, 2, 2, -1, -2, 1, 1, 1}},
		{"3x3-cut-off", [16]int{3, 9, 12, 3, 5, 3, 3, 2, 1, 0, 1, -2, -3, 1, 1, 1}},
		{"dilation2-more-below", [16]int{2, 7, 6, 4, 8, 3, 2, 1, 1, 2, 0, 1, 2, 2, 2, 1}},
		{"groups2-more-right", [16]int{3, 7, 8, 6, 10, 3, 3, 2, 1, 1, 0, 0, 2, 1, 1, 2}},
		{"depthwise-more-below", [16]int{3, 12, 9, 20, 20, 3, 3, 2, 2, 0, 1, 1, -1, 1, 1, 20}},
	}
	var cases []ConvCase
	for _, r := range rows {
		d := r.d
		cases = append(cases, ConvCase{Name: r.name, N: d[0], Spec: device.Conv2DSpec{
			N: d[0], H: d[1], W: d[2], InC: d[3], OutC: d[4], KH: d[5], KW: d[6], StrideH: d[7], StrideW: d[8],
			PadH: d[9], PadW: d[10], ExtraPadH: d[11], ExtraPadW: d[12], DilationH: d[13], DilationW: d[14], Groups: d[15], Bias: true,
		}})
	}
	return cases
}

// storageConvCases are the cases that also run in 16 bits, a few of each kind.
var storageConvCases = []string{
	"one-number", "1x1", "1x1-stride2", "5x5-same", "2x2-whitening", "3x3-3-channels-smaller-batch", "3x3-32-channels", "3x3-64-channels",
	"3x3-many-tiles-smaller-batch", "3x3-stride2", "strides-1-2", "dilation2-same", "groups2", "groups3-stride2", "depthwise", "depthwise-5x5", "depthwise-4x2-stride3-dilation2", "depthwise-padding-only",
	"output-1x1", "image-below-kernel", "kernel-1x5", "one-output-channel", "3x3-stride2-more-below", "3x3-cut-off",
}

// convCases returns the cases that the options allow.
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

func (d convData) wantForward() reference.Sums {
	var bias []float64
	if d.Spec.Bias {
		bias = reference.Widen(d.bias)
	}
	return reference.Conv2DForward(d.Spec, d.N, reference.Widen(d.x), reference.Widen(d.w), bias)
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
	r.check(y, d.wantForward().OverTiles(opt.Tile, d.yShape()).Widened(opt.productFactor()))
}

func (d convData) backwardData(t *testing.T, dev device.Device, opt Options, conv device.Conv2D) {
	r := newRig(t, dev, opt)
	dy, w := r.input("dy", d.dy, d.yShape()...), r.input("w", d.w, d.wShape()...)
	dx := r.output("dx", d.xShape()...)
	r.run(func() { conv.BackwardData(dx, dy, w) })
	want := reference.Conv2DBackwardData(d.Spec, d.N, reference.Widen(d.dy), reference.Widen(d.w))
	r.check(dx, want.OverTiles(opt.Tile, d.xShape()).Widened(opt.productFactor()))
}

func (d convData) backwardFilter(t *testing.T, dev device.Device, opt Options, conv device.Conv2D) {
	wantW, wantBias := reference.Conv2DBackwardFilter(d.Spec, d.N, reference.Widen(d.dy), reference.Widen(d.x))
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
			r.check(dw, wantW.Widened(opt.productFactor()))
		}
		if ask.dbias {
			r.check(dbias, wantBias)
		}
	}
}

func conv2DOperation() Operation {
	return Operation{
		Name: "conv2d", Constructor: "NewConv2D", Group: Convolutions, Types: allFloats, Test: testConv2D, Panics: panicsOfConv2D,
		Calls: func(size Size) []Call { return convCalls(sizedConvs(size), device.Device.NewConv2D, convData.yShape) },
	}
}

// RecipeConv is a convolution of a recipe, with stride 1 over square images.
type RecipeConv struct {
	Recipe                              string
	N, Size, InC, OutC, Kernel, Padding int
	First                               bool // the gradient with respect to its input is not needed
}

// RecipeConvs returns the convolutions of the built-in recipes, and the wider ones of airbench94: those that benchmarks
// run.
func RecipeConvs() []RecipeConv {
	return []RecipeConv{
		{"mnist-basic", 64, 28, 1, 8, 3, 0, true},
		{"mnist", 256, 28, 1, 24, 5, 0, true},
		{"mnist", 256, 12, 24, 32, 3, 0, false},
		{"cifar10-basic", 128, 32, 3, 32, 3, 1, true},
		{"cifar10-basic", 128, 32, 32, 32, 3, 1, false},
		{"cifar10-basic", 128, 16, 32, 64, 3, 1, false},
		{"cifar10-basic", 128, 16, 64, 64, 3, 1, false},
		{"cifar10-basic", 128, 8, 64, 128, 3, 1, false},
		{"cifar10-basic", 128, 8, 128, 128, 3, 1, false},
		{"cifar10", 250, 32, 3, 24, 2, 0, true},
		{"cifar10", 250, 31, 24, 64, 3, 1, false},
		{"cifar10", 250, 15, 64, 64, 3, 1, false},
		{"cifar10", 250, 15, 64, 128, 3, 1, false},
		{"cifar10", 250, 7, 128, 128, 3, 1, false},
		{"cifar10", 250, 3, 128, 128, 3, 1, false},
		{"airbench94", 250, 15, 64, 256, 3, 1, false},
		{"airbench94", 250, 7, 256, 256, 3, 1, false},
		{"airbench94", 250, 3, 256, 256, 3, 1, false},
	}
}

// largerConvs are two convolutions of larger networks and one of an airbench design, for a GPU.
var largerConvs = []RecipeConv{
	{"airbench96", 1024, 7, 512, 512, 3, 1, false},
	{"large", 256, 56, 64, 64, 3, 1, false},
	{"large", 256, 14, 512, 512, 3, 1, false},
}

// sizedConvs returns the convolutions of a size: for tests some of the cases (one large enough to be split between
// workers, one with groups, one without padding and with one channel), and for benchmarks the recipes' convolutions.
func sizedConvs(size Size) []ConvCase {
	var cases []ConvCase
	if size == Small {
		for _, c := range ConvCases() {
			switch c.Name {
			case "3x3-64-channels", "3x3-many-tiles", "3x3-many-tiles-70-channels", "depthwise", "depthwise-three-each", "groups2", "5x5-one-channel", "1x1", "3x3-stride2", "3x3-many-tiles-more-below":
				cases = append(cases, c)
			}
		}
		return cases
	}
	all := RecipeConvs()
	if size == Huge {
		all = append(all, largerConvs...)
	}
	for _, c := range all {
		name := fmt.Sprintf("%s-%dx%dx%d-to-%d-k%d", c.Recipe, c.Size, c.Size, c.InC, c.OutC, c.Kernel)
		if size == Huge { // with the whole batch of the airbench designs
			if c.Recipe == "cifar10" || c.Recipe == "airbench94" {
				c.N = 1024
			}
			name = fmt.Sprintf("%s-%dx%dx%dx%d-to-%d-k%d", c.Recipe, c.N, c.Size, c.Size, c.InC, c.OutC, c.Kernel)
		}
		cases = append(cases, ConvCase{name, device.Conv2DSpec{
			N: c.N, H: c.Size, W: c.Size, InC: c.InC, OutC: c.OutC, KH: c.Kernel, KW: c.Kernel, PadH: c.Padding, PadW: c.Padding,
			StrideH: 1, StrideW: 1, DilationH: 1, DilationW: 1, Groups: 1, NoBackwardData: c.First,
		}, c.N})
	}
	// Depthwise convolutions, a filter for each channel, of sizes that MobileNet and its successors have. Memory bounds
	// them.
	for _, d := range [][4]int{{56, 128, 3, 1}, {14, 512, 3, 1}, {56, 128, 3, 2}, {28, 256, 5, 1}} {
		c, n := d[1], 8
		if size == Huge {
			n = 256
		}
		cases = append(cases, ConvCase{fmt.Sprintf("depthwise-%dx%dx%d-k%d-stride%d", d[0], d[0], c, d[2], d[3]), device.Conv2DSpec{
			N: n, H: d[0], W: d[0], InC: c, OutC: c, KH: d[2], KW: d[2], PadH: d[2] / 2, PadW: d[2] / 2,
			StrideH: d[3], StrideW: d[3], DilationH: 1, DilationW: 1, Groups: c,
		}, n})
	}
	return cases
}

// convCalls are the three passes of each convolution, with plans from the constructor, whose output has the shape that
// yShape returns.
func convCalls(cases []ConvCase, construct func(device.Device, device.Conv2DSpec) (device.Conv2D, error), yShape func(convData) []int) []Call {
	var calls []Call
	for _, c := range cases {
		add := func(name, method string, work func(p device.Conv2D, x, y, w, bias *device.Tensor) Work) {
			calls = append(calls, Call{c.Name + "/" + name, method, func(o *Operands) (Work, error) {
				d := convData{ConvCase: c}
				if o.Dry {
					d.N, d.Spec.N, d.Spec.InC, d.Spec.OutC = 1, 1, min(c.Spec.InC, 8), min(c.Spec.OutC, 8)
					d.Spec.Groups = min(c.Spec.Groups, 8)
				}
				d.Spec.DType = o.DType
				p, err := construct(o.Device, d.Spec)
				if err != nil {
					return Work{}, err
				}
				x, y, w := o.uniform(-1, 1, d.xShape()...), o.zeros(yShape(d)...), o.uniform(-1, 1, d.wShape()...)
				var bias *device.Tensor
				if d.Spec.Bias {
					bias = o.uniformFloat32(-1, 1, d.Spec.OutC)
				}
				p.Forward(y, x, w, bias) // y also serves as the gradient in the backward passes
				done := work(p, x, y, w, bias)
				done.FLOPs = d.Spec.FLOPs(d.N)
				return done, nil
			}})
		}
		add("forward", "Forward", func(p device.Conv2D, x, y, w, bias *device.Tensor) Work {
			return Work{Run: func() { p.Forward(y, x, w, bias) }, Results: []*device.Tensor{y}}
		})
		if !c.Spec.NoBackwardData {
			add("backward-data", "BackwardData", func(p device.Conv2D, x, y, w, _ *device.Tensor) Work {
				return Work{Run: func() { p.BackwardData(x, y, w) }, Results: []*device.Tensor{x}}
			})
		}
		add("backward-filter", "BackwardFilter", func(p device.Conv2D, x, y, w, bias *device.Tensor) Work {
			results := []*device.Tensor{w}
			if bias != nil {
				results = append(results, bias)
			}
			return Work{Run: func() { p.BackwardFilter(w, bias, y, x) }, Results: results}
		})
	}
	return calls
}

func panicsOfConv2D(t *testing.T, dev device.Device) {
	panicsOfConv2DSpec(t, dev)
	m := memory{t, dev}
	s := device.Conv2DSpec{N: 4, H: 8, W: 6, InC: 3, OutC: 5, KH: 3, KW: 3, StrideH: 1, StrideW: 1, DilationH: 1, DilationW: 1, Groups: 1, Bias: true}
	conv := plan(dev.NewConv2D(s))(t)
	f32 := func(shape ...int) *device.Tensor { return m.tensor(device.Float32, shape) }
	x, y, w, bias := f32(4, 8, 6, 3), f32(4, 6, 4, 5), f32(5, 3, 3, 3), f32(5)
	conv.Forward(y, x, w, bias)
	mustPanic(t, "forward with another x", func() { conv.Forward(y, f32(4, 8, 7, 3), w, bias) }, "x", "float32[4 8 7 3]", "8 6 3]")
	mustPanic(t, "forward with another y", func() { conv.Forward(f32(4, 6, 5, 5), x, w, bias) }, "y", "float32[4 6 5 5]", "6 4 5]")
	mustPanic(t, "forward with another w", func() { conv.Forward(y, x, f32(5, 3, 3, 2), bias) }, "w", "float32[5 3 3 2]", "[5 3 3 3]")
	mustPanic(t, "forward with another bias", func() { conv.Forward(y, x, w, f32(4)) }, "bias", "[4]", "5")
	mustPanic(t, "forward with no bias", func() { conv.Forward(y, x, w, nil) }, "bias")
	mustPanic(t, "forward with no x", func() { conv.Forward(y, nil, w, bias) }, "x")
	mustPanic(t, "forward with x of bytes", func() { conv.Forward(y, m.tensor(device.Uint8, []int{4, 8, 6, 3}), w, bias) }, "x", "uint8[4 8 6 3]", "float32")
	mustPanic(t, "forward with different batches", func() { conv.Forward(f32(3, 6, 4, 5), x, w, bias) }, "4", "3")
	mustPanic(t, "forward with too large a batch", func() { conv.Forward(f32(5, 6, 4, 5), f32(5, 8, 6, 3), w, bias) }, "5", "4")
	mustPanic(t, "backward data with another dx", func() { conv.BackwardData(f32(4, 8, 7, 3), y, w) }, "dx", "float32[4 8 7 3]", "8 6 3]")
	mustPanic(t, "backward data with another dy", func() { conv.BackwardData(x, f32(4, 6, 5, 5), w) }, "dy", "float32[4 6 5 5]", "6 4 5]")
	mustPanic(t, "backward filter with another dw", func() { conv.BackwardFilter(f32(5, 3, 3, 2), bias, y, x) }, "dw", "float32[5 3 3 2]", "[5 3 3 3]")
	mustPanic(t, "backward filter with another x", func() { conv.BackwardFilter(w, bias, y, f32(4, 8, 7, 3)) }, "x", "float32[4 8 7 3]", "8 6 3]")

	s.Bias = false
	plain := plan(dev.NewConv2D(s))(t)
	mustPanic(t, "forward with a bias that the spec lacks", func() { plain.Forward(y, x, w, bias) }, "bias")

	if _, mixed := dev.(device.MixedPrecision); mixed {
		panicsOfConv2DTypes(t, dev)
	}
}

// panicsOfConv2DTypes checks that a plan for one type refuses tensors of another type.
func panicsOfConv2DTypes(t *testing.T, dev device.Device) {
	m := memory{t, dev}
	const f16 = device.Float16
	s := device.Conv2DSpec{N: 2, H: 4, W: 4, InC: 3, OutC: 5, KH: 3, KW: 3, StrideH: 1, StrideW: 1, DilationH: 1, DilationW: 1, Groups: 1, DType: f16}
	conv := plan(dev.NewConv2D(s))(t)
	x, y, w := m.tensor(f16, []int{2, 4, 4, 3}), m.tensor(f16, []int{2, 2, 2, 5}), m.tensor(f16, []int{5, 3, 3, 3})
	mustPanic(t, "images of float32", func() { conv.Forward(y, m.tensor(device.Float32, []int{2, 4, 4, 3}), w, nil) }, "x", "float32[2 4 4 3]", "float16")
	mustPanic(t, "filters of bfloat16", func() { conv.Forward(y, x, m.tensor(device.BFloat16, []int{5, 3, 3, 3}), nil) }, "w", "bfloat16[5 3 3 3]", "float16")
	mustPanic(t, "a gradient of filters in float32", func() { conv.BackwardFilter(m.tensor(device.Float32, []int{5, 3, 3, 3}), nil, y, x) }, "dw", "float32", "float16")
}

func panicsOfConv2DSpec(t *testing.T, dev device.Device) {
	good := device.Conv2DSpec{N: 4, H: 8, W: 6, InC: 6, OutC: 4, KH: 3, KW: 3, StrideH: 1, StrideW: 1, DilationH: 1, DilationW: 1, Groups: 1}
	for _, c := range []struct {
		name  string
		spoil func(*device.Conv2DSpec)
	}{
		{"batch 0", func(s *device.Conv2DSpec) { s.N = 0 }},
		{"stride 0", func(s *device.Conv2DSpec) { s.StrideW = 0 }},
		{"dilation 0", func(s *device.Conv2DSpec) { s.DilationH = 0 }},
		{"negative padding", func(s *device.Conv2DSpec) { s.PadH = -1 }},
		{"groups 0", func(s *device.Conv2DSpec) { s.Groups = 0 }},
		{"groups that don't divide inC", func(s *device.Conv2DSpec) { s.Groups = 4 }},
		{"groups that don't divide outC", func(s *device.Conv2DSpec) { s.Groups = 3 }},
		{"kernel larger than the image", func(s *device.Conv2DSpec) { s.KH = 9 }},
		{"kernel 0", func(s *device.Conv2DSpec) { s.KW = 0 }},
	} {
		s := good
		c.spoil(&s)
		mustPanic(t, c.name, func() { _, _ = dev.NewConv2D(s) }, "conv2d")
	}
}
