package devicetest

import (
	"fmt"
	"math"
	"testing"

	"trainer/nn/device"
	"trainer/nn/device/reference"
)

// mapCase is a function with constants that keep its argument in its domain, for a in [-1, 1).
type mapCase struct {
	kind        device.MapKind
	alpha, beta float32
}

func mapCases() []mapCase {
	return []mapCase{
		{device.MapAffine, 0.5, -2}, {device.MapAffine, 1, 0}, {device.MapSquare, 3, 0.25}, {device.MapAbs, -1, 1}, {device.MapSign, 2, 0.5},
		{device.MapSqrt, 0.5, 1}, {device.MapRsqrt, 0.5, 1}, {device.MapReciprocal, 1, 3}, {device.MapExp, -4, 1}, {device.MapLog, 0.5, 1},
		{device.MapAdd, 0.3, -0.7}, {device.MapMul, -0.5, 0}, {device.MapDiv, 2, 3}, {device.MapMax, 1, 0.5}, {device.MapMin, -1, 2},
		{device.MapGreater, 3, -0.25}, {device.MapSelect, 0, 0},
	}
}

// mapShape is a batch on a plan for a larger one.
type mapShape struct{ maxBatch, batch, rows, c int }

func mapShapes() []mapShape {
	return []mapShape{{1, 1, 1, 1}, {1, 1, 1, 1031}, {5, 3, 7, 4}, {4, 2, 5, 33}, {3, 3, 97, 16}, {2, 2, 3, 4099}, {300, 257, 1, 6}}
}

func testMap(t *testing.T, dev device.Device, opt Options) {
	for _, f := range mapCases() {
		for _, shape := range mapShapes() {
			axes := []device.Axes{device.AllAxes}
			if f.kind.Operands() == 2 {
				axes = []device.Axes{
					device.NoAxes, device.AxisBatch, device.AxisRows, device.AxisC, device.AxisBatch | device.AxisRows,
					device.AxisBatch | device.AxisC, device.AxisRows | device.AxisC, device.AllAxes,
				}
			}
			for _, b := range axes {
				s := device.MapSpec{Kind: f.kind, Alpha: f.alpha, Beta: f.beta, Batch: shape.maxBatch, Rows: shape.rows, C: shape.c, B: b, DType: opt.storage}
				t.Run(fmt.Sprintf("%s%v%v/%v/b=%03b", f.kind, f.alpha, f.beta, shape, b), func(t *testing.T) { runMap(t, dev, opt, s, shape.batch) })
			}
		}
	}
	t.Run("special", func(t *testing.T) { testMapSpecial(t, dev, opt) })
	t.Run("types", func(t *testing.T) { testMapTypes(t, dev, opt) })
	t.Run("number", func(t *testing.T) { testMapNumber(t, dev, opt) })
}

// newMapData returns y, a and b, which includes the zeros that MapSelect needs.
func newMapData(opt Options, s device.MapSpec, batch int) (y, a, b []float32) {
	src := newSource(fmt.Sprintf("map/%s/%d/%d/%d", s.Kind, batch, s.Rows, s.C))
	n := batch * s.Rows * s.C
	y, a, b = opt.round(src.values(n)), opt.round(src.values(n)), opt.round(src.values(s.B.Len(batch, s.Rows, s.C)+s.BIndex))
	if s.Kind == device.MapSelect {
		for i := range b {
			b[i] = float32(src.below(2))
		}
	}
	return y, a, b
}

// runMap checks y = f(a, b) and y += f(a, b), also if y is a.
func runMap(t *testing.T, dev device.Device, opt Options, s device.MapSpec, batch int) {
	yData, aData, bData := newMapData(opt, s, batch)
	shape := []int{batch, s.Rows, s.C}
	r := newRig(t, dev, opt)
	a := r.input("a", aData, shape...)
	var b *device.Tensor
	var bWide []float64
	if s.Kind.Operands() == 2 {
		b, bWide = r.newOperand("b", input, s.BType(), elements(s.BType(), bData), []int{len(bData)}), reference.Widen(bData)
	}
	var y *device.Tensor
	if s.Kind == device.MapSelect {
		y = r.inout("y", yData, shape...)
	} else {
		y = r.output("y", shape...)
	}
	over, added, addedOver := r.inout("y over a", aData, shape...), r.inout("y that is added to", yData, shape...), r.inout("y over a that is added to", aData, shape...)
	f, sum := plan(dev.NewMap(s))(t), s
	sum.Accumulate = s.Kind != device.MapSelect
	g := plan(dev.NewMap(sum))(t)
	r.run(func() {
		f.Run(y, a, b)
		f.Run(over, over, b)
		g.Run(added, a, b)
		g.Run(addedOver, addedOver, b)
	})
	r.check(y, reference.Map(s, reference.Widen(yData), reference.Widen(aData), bWide))
	r.check(over, reference.Map(s, reference.Widen(aData), reference.Widen(aData), bWide))
	r.check(added, reference.Map(sum, reference.Widen(yData), reference.Widen(aData), bWide))
	r.check(addedOver, reference.Map(sum, reference.Widen(aData), reference.Widen(aData), bWide))
	if s.B == device.AllAxes && b != nil && s.BType() == opt.dtype() {
		over := newRig(t, dev, opt)
		a, both := over.input("a", aData, shape...), over.inout("y over b", bData, shape...)
		over.run(func() { f.Run(both, a, both) })
		over.check(both, reference.Map(s, reference.Widen(bData), reference.Widen(aData), bWide))
	}
}

// testMapSpecial checks the functions of NaN, infinity and zero.
func testMapSpecial(t *testing.T, dev device.Device, opt Options) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	values := []float32{nan, inf, -inf, 0, 1, -1}
	var aData, bData []float32
	for _, a := range values {
		for _, b := range values {
			aData, bData = append(aData, a), append(bData, b)
		}
	}
	n := len(aData)
	for _, f := range mapCases() {
		s := device.MapSpec{Kind: f.kind, Alpha: 1, Batch: 1, Rows: 1, C: n, B: device.AllAxes, DType: opt.storage}
		if f.kind == device.MapMax || f.kind == device.MapMin {
			s.Beta = 1
		}
		t.Run(fmt.Sprintf("%s%v%v", f.kind, f.alpha, f.beta), func(t *testing.T) {
			r := newRig(t, dev, opt)
			a, y := r.input("a", aData, n), r.inout("y", bData, n)
			var b *device.Tensor
			if f.kind.Operands() == 2 {
				b = r.input("b", bData, n)
			}
			p := plan(dev.NewMap(s))(t)
			r.run(func() { p.Run(y, a, b) })
			want := reference.Map(s, reference.Widen(bData), reference.Widen(aData), reference.Widen(bData))
			for i := range want.Magnitude { // infinite if an argument is infinite
				want.Magnitude[i] = math.Abs(want.Value[i])
			}
			r.check(y, want)
		})
	}
}

// testMapTypes checks both types of b.
func testMapTypes(t *testing.T, dev device.Device, opt Options) {
	for _, b := range []device.Axes{device.AllAxes, device.AxisC, device.AxisBatch | device.AxisRows} {
		for _, dtype := range []device.DType{device.Float32, opt.dtype()} {
			for _, c := range []int{8, 13} {
				s := device.MapSpec{Kind: device.MapMul, Alpha: 2, Batch: 5, Rows: 6, C: c, B: b, DType: opt.storage, BDType: dtype}
				t.Run(fmt.Sprintf("b=%03b-of-%v-%d", b, dtype, c), func(t *testing.T) { runMap(t, dev, opt, s, 4) })
			}
		}
	}
}

// testMapNumber checks a number on the device that is not the first of its tensor.
func testMapNumber(t *testing.T, dev device.Device, opt Options) {
	for _, kind := range []device.MapKind{device.MapMul, device.MapAdd, device.MapSelect} {
		for index := range 4 {
			s := device.MapSpec{Kind: kind, Alpha: 2, Beta: 0.5, Batch: 3, Rows: 5, C: 300, BIndex: index, DType: opt.storage}
			t.Run(fmt.Sprintf("%s/%d", kind, index), func(t *testing.T) { runMap(t, dev, opt, s, 3) })
		}
	}
}

func mapOperation() Operation {
	return Operation{
		Name: "map", Constructor: "NewMap", Group: Elementwise, Types: allFloats, Test: testMap, Panics: panicsOfMap, Calls: mapCalls,
	}
}

// mapCalls are a function of one operand and, for each way to broadcast the second operand, a product, a quotient and
// an accumulated sum. Benchmarks have only the ways that layers use.
func mapCalls(size Size) []Call {
	call := func(name string, s device.MapSpec) Call {
		return Call{name, "Run", func(o *Operands) (Work, error) { return mapWork(o, s) }}
	}
	calls := []Call{call("rsqrt", device.MapSpec{Kind: device.MapRsqrt, Alpha: 1, Beta: 2})}
	axes := []device.Axes{device.NoAxes, device.AxisC, device.AxisBatch | device.AxisC, device.AxisBatch | device.AxisRows, device.AllAxes}
	if size == Small {
		axes = nil
		for a := device.NoAxes; a <= device.AllAxes; a++ {
			axes = append(axes, a)
		}
	}
	for _, b := range axes {
		calls = append(calls,
			call(fmt.Sprintf("mul/%03b", b), device.MapSpec{Kind: device.MapMul, B: b, Alpha: 1}),
			call(fmt.Sprintf("div/%03b", b), device.MapSpec{Kind: device.MapDiv, B: b, Alpha: 1, Beta: 3}),
			call(fmt.Sprintf("add-accumulate/%03b", b), device.MapSpec{Kind: device.MapAdd, B: b, Alpha: 1, Beta: 2, Accumulate: true}))
	}
	return calls
}

func mapWork(o *Operands, s device.MapSpec) (Work, error) {
	s.Batch, s.Rows, s.C, s.DType = o.pick(7, 64, 256), o.pick(1500, 1024, 1024), o.pick(33, 64, 64), o.DType
	p, err := o.Device.NewMap(s)
	if err != nil {
		return Work{}, err
	}
	a, y := o.uniform(-1, 1, s.Batch, s.Rows, s.C), o.uniform(-1, 1, s.Batch, s.Rows, s.C)
	w := Work{Results: []*device.Tensor{y}, Bytes: bytesOf(a, y)}
	if s.Accumulate {
		w.Updated, w.Bytes = w.Results, w.Bytes+bytesOf(y)
	}
	var b *device.Tensor
	if s.Kind.Operands() == 2 {
		b = o.uniformOf(s.BType(), -1, 1, s.B.Len(s.Batch, s.Rows, s.C))
		w.Bytes += bytesOf(b)
	}
	w.Run = func() { p.Run(y, a, b) }
	return w, nil
}

func panicsOfMap(t *testing.T, dev device.Device) {
	m := memory{t, dev}
	f32 := func(shape ...int) *device.Tensor { return m.tensor(device.Float32, shape) }
	s := device.MapSpec{Kind: device.MapMul, Batch: 2, Rows: 3, C: 4, B: device.AxisC, Alpha: 1}
	mul := plan(dev.NewMap(s))(t)
	mustPanic(t, "a map of part of an image", func() { mul.Run(f32(2, 3), f32(2, 3), f32(4)) }, "map: a is float32[2 3]", "12")
	mustPanic(t, "a map of too many images", func() { mul.Run(f32(3, 12), f32(3, 12), f32(4)) }, "float32[3 12]", "24")
	mustPanic(t, "a map into another size", func() { mul.Run(f32(12), f32(24), f32(4)) }, "y is float32[12]", "24")
	mustPanic(t, "a map with a short b", func() { mul.Run(f32(24), f32(24), f32(3)) }, "b is float32[3]", "4")
	mustPanic(t, "a map without b", func() { mul.Run(f32(24), f32(24), nil) }, "b", "4")
	s.Kind = device.MapSqrt
	root := plan(dev.NewMap(s))(t)
	mustPanic(t, "a root of two", func() { root.Run(f32(24), f32(24), f32(4)) }, "map", "b is float32[4]", "nil")
	for name, bad := range map[string]func(s *device.MapSpec){
		"no kind":              func(s *device.MapSpec) { s.Kind = "" },
		"no rows":              func(s *device.MapSpec) { s.Rows = 0 },
		"axes beyond c":        func(s *device.MapSpec) { s.B = 8 },
		"an index of a tensor": func(s *device.MapSpec) { s.BIndex = 1 },
		"a selection to add":   func(s *device.MapSpec) { s.Kind, s.Accumulate = device.MapSelect, true },
		"b of integers":        func(s *device.MapSpec) { s.BDType = device.Int32 },
	} {
		wrong := device.MapSpec{Kind: device.MapAdd, Batch: 1, Rows: 1, C: 1, B: device.AxisC}
		bad(&wrong)
		mustPanic(t, name, func() { _, _ = dev.NewMap(wrong) }, "map")
	}
	number := plan(dev.NewMap(device.MapSpec{Kind: device.MapMul, Batch: 1, Rows: 1, C: 4, BIndex: 3}))(t)
	mustPanic(t, "a number that is not there", func() { number.Run(f32(4), f32(4), f32(3)) }, "b is float32[3]", "element 3")
}
