package devicetest

import (
	"fmt"
	"math"
	"testing"

	"trainer/nn/device"
	"trainer/nn/device/reference"
)

// groupNormData is a group normalisation with its operands.
type groupNormData struct {
	spec        device.GroupNormSpec
	batch       int
	shape       []int // of x
	x, dy       []float32
	gamma, beta []float32
}

// newGroupNormData returns data whose elements have the given mean and a spread of about 1.
func newGroupNormData(opt Options, name string, s device.GroupNormSpec, batch int, mean float32) groupNormData {
	src := newSource("groupnorm/" + name)
	n := batch * s.Rows * s.C
	if s.Epsilon == 0 {
		s.Epsilon = 1e-5
	}
	s.DType = opt.storage
	return groupNormData{
		spec: s, batch: batch, shape: []int{batch, s.Rows, s.C},
		x: opt.round(src.between(n, mean-1, mean+1)), dy: opt.round(src.values(n)),
		gamma: src.values(s.C), beta: src.values(s.C),
	}
}

func (d groupNormData) reference() reference.GroupNorm {
	return reference.GroupNorm{Batch: d.batch, Rows: d.spec.Rows, C: d.spec.C, Groups: d.spec.Groups, Epsilon: float64(d.spec.Epsilon)}
}

// groupNormCases are layers that normalise over the columns of a row (one row, one group), over whole images (one group),
// over groups of columns and over single columns.
func groupNormCases(opt Options) map[string]groupNormData {
	cases := map[string]groupNormData{}
	add := func(name string, batch, rows, c, groups int, mean float32) {
		s := device.GroupNormSpec{Batch: batch, Rows: rows, C: c, Groups: groups}
		cases[name] = newGroupNormData(opt, name, s, batch, mean)
	}
	add("one-number", 1, 1, 1, 1, 0)
	add("one-column-per-row", 9, 1, 1, 1, 0)
	add("rows-of-3", 5, 1, 3, 1, 0)
	add("rows-of-33", 17, 1, 33, 1, 0)
	add("rows-of-64", 700, 1, 64, 1, 0.5)
	add("rows-of-130", 37, 1, 130, 1, 0)
	add("rows-of-1500", 3, 1, 1500, 1, 0)
	add("vectors-in-groups", 11, 1, 24, 4, 0)
	add("vectors-in-groups-of-one", 3, 1, 5, 5, 0)
	add("images-in-one-group", 3, 35, 7, 1, 0)
	add("images-in-groups-of-two", 5, 16, 10, 5, 0)
	add("images-in-groups-of-three", 2, 49, 9, 3, 0.5)
	add("images-in-groups-of-four", 4, 25, 24, 6, 0)
	add("images-in-groups-of-sixteen", 17, 64, 64, 4, 0)
	add("images-in-groups-of-one", 3, 30, 12, 12, 0)
	add("one-column", 4, 300, 1, 1, 0)
	add("large-images", 2, 1024, 40, 2, 0)
	add("many-images", 300, 4, 6, 2, 0)
	add("large-mean", 6, 50, 8, 2, 100)
	add("far-from-zero", 2, 2100, 8, 4, 4096)
	add("rows-far-from-zero", 40, 1, 96, 1, 4096)
	add("gamma-zero-columns", 4, 9, 8, 2, 0)
	add("constant-groups", 3, 16, 6, 3, 0)
	add("constant-rows", 5, 1, 16, 1, 0)
	cases["smaller-batch"] = newGroupNormData(opt, "smaller-batch", device.GroupNormSpec{Batch: 9, Rows: 16, C: 16, Groups: 4}, 2, 0)
	cases["fewer-rows"] = newGroupNormData(opt, "fewer-rows", device.GroupNormSpec{Batch: 900, Rows: 1, C: 16, Groups: 1}, 513, 0)
	cases["large-epsilon"] = newGroupNormData(opt, "large-epsilon", device.GroupNormSpec{Batch: 2, Rows: 9, C: 4, Groups: 2, Epsilon: 0.5}, 2, 0)
	clear(cases["gamma-zero-columns"].gamma[2:5]) // of one group two columns, of the other one
	// The means of powers of two, of which a group has 32 and a row 16 equal ones, are exact, so the variances must be 0.
	for name, group := range map[string]int{"constant-groups": 2, "constant-rows": 16} {
		for i := range cases[name].x {
			cases[name].x[i] = float32(math.Exp2(float64(i/group%3 - 1)))
		}
	}
	return cases
}

func testGroupNorm(t *testing.T, dev device.Device, opt Options) {
	for name, d := range groupNormCases(opt) {
		t.Run(name, func(t *testing.T) {
			p := plan(dev.NewGroupNorm(d.spec))(t)
			t.Run("forward", func(t *testing.T) { d.testForward(t, dev, opt, p) })
			t.Run("backward", func(t *testing.T) { d.testBackward(t, dev, opt, p, gradients{data: true, parameters: true}) })
			t.Run("backward-in-place", func(t *testing.T) {
				d.testBackward(t, dev, opt, p, gradients{data: true, parameters: true, inPlace: true})
			})
			t.Run("backward-data-only", func(t *testing.T) { d.testBackward(t, dev, opt, p, gradients{data: true}) })
			t.Run("backward-parameters-only", func(t *testing.T) { d.testBackward(t, dev, opt, p, gradients{parameters: true}) })
		})
	}
	t.Run("no-backward", func(t *testing.T) {
		s := device.GroupNormSpec{Batch: 3, Rows: 20, C: 8, Groups: 2, NoBackward: true}
		d := newGroupNormData(opt, "no-backward", s, 3, 0)
		d.testForward(t, dev, opt, plan(dev.NewGroupNorm(d.spec))(t))
	})
}

func (d groupNormData) testForward(t *testing.T, dev device.Device, opt Options, p device.GroupNorm) {
	r := newRig(t, dev, opt)
	x, y := r.input("x", d.x, d.shape...), r.output("y", d.shape...)
	gamma, beta := r.inputFloat32("gamma", d.gamma, d.spec.C), r.inputFloat32("beta", d.beta, d.spec.C)
	r.run(func() { p.Forward(y, x, gamma, beta) })
	r.check(y, d.reference().Forward(reference.Widen(d.x), reference.Widen(d.gamma), reference.Widen(d.beta)))
}

// gradients says which gradients a backward pass computes, and where.
type gradients struct{ data, parameters, inPlace bool }

func (d groupNormData) testBackward(t *testing.T, dev device.Device, opt Options, p device.GroupNorm, g gradients) {
	r := newRig(t, dev, opt)
	x, y := r.input("x", d.x, d.shape...), r.output("y", d.shape...)
	gamma, beta := r.inputFloat32("gamma", d.gamma, d.spec.C), r.inputFloat32("beta", d.beta, d.spec.C)
	var dx, dy, dgamma, dbeta *device.Tensor
	switch {
	case g.inPlace:
		dy = r.inout("dy and dx", d.dy, d.shape...)
		dx = dy
	case g.data:
		dy, dx = r.input("dy", d.dy, d.shape...), r.output("dx", d.shape...)
	default:
		dy = r.input("dy", d.dy, d.shape...)
	}
	if g.parameters {
		dgamma, dbeta = r.outputFloat32("dgamma", d.spec.C), r.outputFloat32("dbeta", d.spec.C)
	}
	r.run(func() {
		p.Forward(y, x, gamma, beta)
		p.Backward(dx, dgamma, dbeta, dy, x, gamma)
	})
	wantX, wantGamma, wantBeta := d.reference().Backward(reference.Widen(d.dy), reference.Widen(d.x), reference.Widen(d.gamma))
	if g.data {
		r.check(dx, wantX)
	}
	if g.parameters {
		r.check(dgamma, wantGamma)
		r.check(dbeta, wantBeta)
	}
}

func groupNormOperation() Operation {
	return Operation{
		Name: "groupnorm", Constructor: "NewGroupNorm", Group: Elementwise, Types: allFloats, Test: testGroupNorm, Panics: panicsOfGroupNorm,
		Calls: groupNormCalls,
	}
}

// groupNormCalls are the passes of a layer normalisation and of group normalisations: for benchmarks of images of the same
// number of elements as batchNormCalls, for tests of several shapes.
func groupNormCalls(size Size) []Call {
	type shape struct {
		name  string
		spec  device.GroupNormSpec
		large [2]int // batch in benchmarks
	}
	shapes := []shape{
		{name: "layer-norm", spec: device.GroupNormSpec{Rows: 1, C: 64, Groups: 1}, large: [2]int{250 * 31 * 31, 1024 * 31 * 31}},
		{name: "group-norm", spec: device.GroupNormSpec{Rows: 31 * 31, C: 64, Groups: 32}, large: [2]int{250, 1024}},
	}
	if size == Small {
		shapes = []shape{
			{name: "rows", spec: device.GroupNormSpec{Batch: 3001, Rows: 1, C: 24, Groups: 1}},
			{name: "long-rows", spec: device.GroupNormSpec{Batch: 67, Rows: 1, C: 1300, Groups: 1}},
			{name: "images", spec: device.GroupNormSpec{Batch: 37, Rows: 49, C: 24, Groups: 6}},
			{name: "large-images", spec: device.GroupNormSpec{Batch: 3, Rows: 3000, C: 10, Groups: 5}},
		}
	}
	var calls []Call
	for _, c := range shapes {
		add := func(pass, method string, work func(o *Operands, p device.GroupNorm, x, gamma, beta *device.Tensor) Work) {
			calls = append(calls, Call{fmt.Sprintf("%s/%s", c.name, pass), method, func(o *Operands) (Work, error) {
				s := c.spec
				s.Epsilon, s.DType = 1e-5, o.DType
				if s.Batch == 0 {
					s.Batch = o.pick(5, c.large[0], c.large[1])
				}
				p, err := o.Device.NewGroupNorm(s)
				if err != nil {
					return Work{}, err
				}
				x := o.uniform(-1, 3, s.Batch*s.Rows, s.C)
				return work(o, p, x, o.uniformFloat32(0.5, 2, s.C), o.uniformFloat32(-1, 1, s.C)), nil
			}})
		}
		add("forward", "Forward", func(o *Operands, p device.GroupNorm, x, gamma, beta *device.Tensor) Work {
			y := o.zeros(x.Shape()...)
			return Work{Run: func() { p.Forward(y, x, gamma, beta) }, Results: []*device.Tensor{y}, Bytes: bytesOf(x, x, y)}
		})
		add("backward", "Backward", func(o *Operands, p device.GroupNorm, x, gamma, beta *device.Tensor) Work {
			dy, dx := o.uniform(-1, 1, x.Shape()...), o.zeros(x.Shape()...)
			dgamma, dbeta := o.zerosFloat32(gamma.Len()), o.zerosFloat32(gamma.Len())
			p.Forward(dx, x, gamma, beta)
			return Work{
				Run:     func() { p.Backward(dx, dgamma, dbeta, dy, x, gamma) },
				Results: []*device.Tensor{dx, dgamma, dbeta}, Bytes: bytesOf(x, x, dy, dy, dx),
			}
		})
	}
	return calls
}

func panicsOfGroupNorm(t *testing.T, dev device.Device) {
	m := memory{t, dev}
	f32 := func(shape ...int) *device.Tensor { return m.tensor(device.Float32, shape) }
	p := plan(dev.NewGroupNorm(device.GroupNormSpec{Batch: 4, Rows: 2, C: 6, Groups: 3, Epsilon: 1e-5}))(t)
	x, y, c := f32(4, 2, 6), f32(4, 2, 6), f32(6)
	mustPanic(t, "groups that don't divide the columns", func() {
		_, _ = dev.NewGroupNorm(device.GroupNormSpec{Batch: 1, Rows: 1, C: 6, Groups: 4})
	}, "groupnorm", "6", "4 groups")
	mustPanic(t, "a part of an image", func() { p.Forward(f32(2, 5), f32(2, 5), c, c) }, "x", "float32[2 5]", "12")
	mustPanic(t, "too many images", func() { p.Forward(f32(5, 2, 6), f32(5, 2, 6), c, c) }, "x", "float32[5 2 6]", "48")
	mustPanic(t, "another gamma", func() { p.Forward(y, x, f32(5), c) }, "gamma", "float32[5]", "6")
	p.Forward(y, x, c, f32(6))
	mustPanic(t, "another dx", func() { p.Backward(f32(7, 6), f32(6), f32(6), y, x, c) }, "dx", "float32[7 6]")
	mustPanic(t, "another batch", func() { p.Backward(f32(2, 2, 6), f32(6), f32(6), f32(2, 2, 6), f32(2, 2, 6), c) }, "x", "float32[2 2 6]", "batch of 4")
	mustPanic(t, "a backward pass without", func() {
		p := plan(dev.NewGroupNorm(device.GroupNormSpec{Batch: 4, Rows: 2, C: 6, Groups: 3, NoBackward: true}))(t)
		p.Forward(y, x, c, f32(6))
		p.Backward(x, f32(6), f32(6), y, x, c)
	}, "groupnorm backward", "NoBackward")
}
