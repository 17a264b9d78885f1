package devicetest

import (
	"fmt"
	"slices"
	"testing"

	"trainer/nn/augment"
	"trainer/nn/device"
	"trainer/nn/device/reference"
	"trainer/nn/setting"
)

// transformCase is a list of transforms, run on n images.
type transformCase struct {
	name string
	list augment.List
	spec device.TransformSpec
	n    int
}

// transformCases are every kind of transform alone, with its defaults and with its largest settings, and chains of
// transforms.
func transformCases() []transformCase {
	color := device.TransformSpec{
		N: 9, H: 23, W: 26, C: 3, Classes: 7,
		Mean: []float32{0.4914, 0.4822, 0.4465}, Std: []float32{0.247, 0.2435, 0.2616},
	}
	gray := device.TransformSpec{N: 5, H: 17, W: 19, C: 1, Classes: 3, Mean: []float32{0.1307}, Std: []float32{0.3081}}
	two := device.TransformSpec{N: 4, H: 3, W: 2, C: 2, Classes: 1, Mean: []float32{0, 0.5}, Std: []float32{1, 0.5}}
	pixel := device.TransformSpec{N: 1, H: 1, W: 1, C: 3, Classes: 2, Mean: color.Mean, Std: color.Std}
	var cases []transformCase
	for _, k := range augment.Kinds() {
		alone := augment.List{{Transform: k.New(), P: 1}}
		cases = append(cases,
			transformCase{k.Name, alone, color, 9},
			transformCase{k.Name + "-gray", alone, gray, 4},
			transformCase{k.Name + "-two-channels", alone, two, 4},
			transformCase{k.Name + "-one-pixel", alone, pixel, 1},
			transformCase{k.Name + "-largest", augment.List{{Transform: largest(k.New()), P: 1}}, color, 9})
	}
	return append(cases,
		transformCase{"chain-moves", augment.List{
			{Transform: augment.AlternatingFlip{}}, {Transform: augment.Shift{Max: 2}}, {Transform: augment.Rotate{Max: 30, Border: "reflect"}},
			{Transform: augment.Shear{Max: 0.3}}, {Transform: augment.ResizedCrop{}}}, color, 9},
		transformCase{"chain-colours", augment.List{
			{Transform: augment.Brightness{}}, {Transform: augment.Contrast{}}, {Transform: augment.Saturation{}}, {Transform: augment.Hue{}},
			{Transform: augment.Gray{}, P: 0.3}, {Transform: augment.Blur{}, P: 0.5}}, color, 9},
		transformCase{"chain-mixes", augment.List{
			{Transform: augment.Flip{}}, {Transform: augment.CutMix{}, P: 0.7}, {Transform: augment.Brightness{Max: 0.5}},
			{Transform: augment.Mixup{Alpha: 1}}, {Transform: augment.Erasing{}}}, color, 7},
		transformCase{"own-operation", augment.List{{Transform: augment.Hue{}}, {Transform: darkening{}}, {Transform: augment.Mixup{}}}, color, 4},
		transformCase{"chain-mixes-gray", augment.List{{Transform: augment.Mixup{}, P: 0.5}, {Transform: augment.Mixup{}, P: 0.5}}, gray, 5},
	)
}

// darkening is a transform defined by a program. No device has code for its operation, so devices use the formula.
type darkening struct{}

func (darkening) Kind() string { return "darkening" }

func (darkening) Ops() []*device.ImageOp {
	return []*device.ImageOp{{
		Name: "darkening-of-a-test", Params: 1,
		Apply: func(y, x, _ device.Image, p []float64) {
			for i, v := range x.Pix {
				y.Pix[i] = p[0] * v * v
			}
		},
		Error: func(device.Image, []float64) (float64, float64) { return 2, 3 },
	}}
}

func (darkening) Draw(r *augment.Random, p augment.Params) { p.Set(0, r.Uniform(0.5, 1)) }

// largest returns a transform with each setting at the largest of these values that it accepts.
func largest(t augment.Transform) augment.Transform {
	return setting.Edit(t, nil, func(l *setting.List) {
		for _, key := range l.All() {
			for _, v := range []any{int64(4096), int64(255), int64(180), int64(10), int64(7), 2.5, 2.0, 1.0, 0.5, "zeros"} {
				if key.Set(v) == nil {
					break
				}
			}
		}
	})
}

func testTransform(t *testing.T, dev device.Device, opt Options) {
	for i, c := range transformCases() {
		// In 16 bits only the stored result differs.
		if opt.dtype() != device.Float32 && i%5 != 0 {
			continue
		}
		c.spec.Gather, c.spec.DType = i%2 == 0, opt.storage
		t.Run(c.name, func(t *testing.T) {
			drawer := c.list.NewDrawer(&c.spec, 0xC0FFEE12345678)
			transform := plan(dev.NewTransform(c.spec))(t)
			for _, epoch := range []uint32{0, 3} {
				d := newTransformData(c, drawer, epoch)
				t.Run(fmt.Sprintf("epoch-%d", epoch), func(t *testing.T) { d.run(t, dev, opt, transform) })
			}
			d := newTransformData(c, drawer, 1)
			t.Run("targets", func(t *testing.T) { d.targets(t, dev, opt, transform) })
		})
	}
}

// transformData is a case with its images and parameters.
type transformData struct {
	transformCase
	images []uint8 // the batch or, with Gather, a whole set
	set    int
	ids    []int32
	drawn  []float32
}

func newTransformData(c transformCase, drawer *augment.Drawer, epoch uint32) transformData {
	src := newSource("transform/" + c.name)
	d := transformData{transformCase: c, set: c.n}
	if c.spec.Gather {
		d.set = 13
	}
	for len(d.ids) < c.n {
		d.ids = append(d.ids, int32(src.below(d.set)))
	}
	d.images = src.pixels(d.set * c.spec.H * c.spec.W * c.spec.C)
	d.drawn = make([]float32, c.n*drawer.Columns())
	drawer.Draw(d.drawn, d.ids, epoch)
	return d
}

// batch returns the images in the order of the batch.
func (d transformData) batch() []uint8 {
	if !d.spec.Gather {
		return d.images
	}
	size := d.spec.H * d.spec.W * d.spec.C
	var all []uint8
	for _, id := range d.ids {
		all = append(all, d.images[int(id)*size:][:size]...)
	}
	return all
}

func (d transformData) run(t *testing.T, dev device.Device, opt Options, transform device.Transform) {
	s := d.spec
	r := newRig(t, dev, opt)
	y, images := r.output("y", d.n, s.H, s.W, s.C), r.inputUint8("images", d.images, d.set, s.H, s.W, s.C)
	drawn := r.inputFloat32("drawn", d.drawn, d.n, s.Columns())
	var ids *device.Tensor
	if s.Gather {
		ids = r.inputInt32("ids", d.ids, d.n)
	}
	r.run(func() { transform.Run(y, images, ids, drawn) })
	want := reference.Transform(s, d.batch(), reference.Widen(d.drawn), d.n)
	// The allowed error must be small enough to detect mistakes: at most a hundredth of the range of pixels.
	if worst := slices.Max(want.Magnitude) * float64(slices.Min(s.Std)); worst*reference.Ulp > 0.01 {
		t.Errorf("pixels may be off by %.3g: the case tests nothing", worst*reference.Ulp)
	}
	r.check(y, want)
}

func (d transformData) targets(t *testing.T, dev device.Device, opt Options, transform device.Transform) {
	s := d.spec
	r := newRig(t, dev, opt)
	classes := newSource("transform/labels").labels(d.n, s.Classes)
	dst, labels := r.outputFloat32("targets", d.n, s.Classes), r.inputInt32("labels", classes, d.n)
	drawn := r.inputFloat32("drawn", d.drawn, d.n, s.Columns())
	r.run(func() { transform.Targets(dst, labels, drawn) })
	r.check(dst, reference.Targets(s, classes, reference.Widen(d.drawn)))
}

func panicsOfTransform(t *testing.T, dev device.Device) {
	m := memory{t, dev}
	s := device.TransformSpec{N: 4, H: 8, W: 6, C: 1, Mean: []float32{0}, Std: []float32{1}, Ops: augment.Flip{}.Ops()}
	transform := plan(dev.NewTransform(s))(t)
	y, images := m.tensor(device.Float32, []int{4, 8, 6, 1}), m.tensor(device.Uint8, []int{4, 8, 6, 1})
	drawn, labels := m.tensor(device.Float32, []int{4, s.Columns()}), m.tensor(device.Int32, []int{4})
	mustPanic(t, "images of another type", func() { transform.Run(y, y, nil, drawn) }, "images", "uint8")
	mustPanic(t, "a table of another width", func() { transform.Run(y, images, nil, y.View(4, 48)) }, "drawn", "48")
	mustPanic(t, "targets without classes", func() { transform.Targets(y.View(4, 48), labels, drawn) }, "Classes")
	none := s
	none.Ops = nil
	mustPanic(t, "no operations", func() { _, _ = dev.NewTransform(none) }, "transform")
	mean := s
	mean.Mean = []float32{0, 0}
	mustPanic(t, "a mean for each of two channels", func() { _, _ = dev.NewTransform(mean) }, "transform")
}

func transformOperation() Operation {
	return Operation{
		Name: "transform", Constructor: "NewTransform", Group: Elementwise, Types: allFloats, Test: testTransform, Panics: panicsOfTransform,
		Calls: transformCalls,
	}
}

// transformCalls transform uint8 images of CIFAR-10's size with each kind of transform alone, and with all of them one
// after the other, gathered from a data set; and they compute the targets of images that were mixed twice.
func transformCalls(Size) []Call {
	var calls []Call
	var all augment.List
	for _, k := range augment.Kinds() {
		item := augment.Item{Transform: k.New(), P: 1}
		calls = append(calls, transformCall("transform-"+k.Name, "Run", augment.List{item}, false, runOf))
		all = append(all, item)
	}
	return append(calls, transformCall("transform-all", "Run", all, true, runOf),
		transformCall("transform-targets", "Targets", all, true, func(o *Operands, p device.Transform, s device.TransformSpec, _, _, ids, drawn *device.Tensor) Work {
			labels, dst := o.integers(s.Classes, ids.Len()), o.tensor(device.Float32, ids.Len(), s.Classes)
			return Work{Run: func() { p.Targets(dst, labels, drawn) }, Results: []*device.Tensor{dst}, Bytes: bytesOf(dst, labels)}
		}))
}

func runOf(_ *Operands, p device.Transform, _ device.TransformSpec, y, images, ids, drawn *device.Tensor) Work {
	return Work{Run: func() { p.Run(y, images, ids, drawn) }, Results: []*device.Tensor{y}, Bytes: bytesOf(y) + int64(y.Len())}
}

// transformCall returns a call of the plan for a list.
func transformCall(name, method string, list augment.List, gather bool,
	work func(o *Operands, p device.Transform, s device.TransformSpec, y, images, ids, drawn *device.Tensor) Work) Call {
	return Call{name, method, func(o *Operands) (Work, error) {
		n, set := o.pick(7, 1000, 16*1024), o.pick(20, 3000, 48*1024)
		if !gather {
			set = n
		}
		s := device.TransformSpec{
			N: n, H: 32, W: 32, C: 3, Classes: 10, Mean: []float32{0.5, 0.4, 0.3}, Std: []float32{0.2, 0.3, 0.25}, Gather: gather, DType: o.DType,
		}
		drawer := list.NewDrawer(&s, 11)
		p, err := o.Device.NewTransform(s)
		if err != nil {
			return Work{}, err
		}
		table, numbers := make([]float32, n*s.Columns()), make([]int32, n)
		for i := range numbers {
			numbers[i] = int32(i)
		}
		drawer.Draw(table, numbers, 1)
		return work(o, p, s, o.zeros(n, 32, 32, 3), o.pixels(set, 32, 32, 3), o.integers(set, n), o.numbers(table, n, s.Columns())), nil
	}}
}
