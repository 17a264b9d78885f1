package augment

import (
	"math"
	"slices"
	"strings"
	"testing"

	"trainer/nn/device"
	"trainer/nn/setting"
)

// picture makes an image of h rows of w pixels of c channels.
func picture(h, w, c int, pix ...float64) device.Image {
	if len(pix) != h*w*c {
		panic("another number of pixels")
	}
	return device.Image{H: h, W: w, C: c, Pix: pix, Mean: slices.Repeat([]float64{0.5}, c)}
}

// applied returns an image after a transform whose Draw set these parameters, computed with the formulas.
func applied(t Transform, x device.Image, number, epoch uint32) device.Image {
	spec := device.TransformSpec{N: 1, H: x.H, W: x.W, C: x.C}
	drawer := List{{Transform: t, P: 1}}.NewDrawer(&spec, 1)
	row := make([]float32, spec.Columns())
	drawer.Draw(row, []int32{int32(number)}, epoch)
	for k, op := range spec.Ops {
		if p := row[spec.Column(k):]; p[0] != 0 {
			x = operated(op, x, x, p[1:][:op.Params]...)
		}
	}
	return x
}

// operated returns an image after an operation.
func operated(op *device.ImageOp, x, other device.Image, p ...float32) device.Image {
	y := x
	y.Pix = make([]float64, len(x.Pix))
	values := make([]float64, len(p))
	for i, v := range p {
		values[i] = float64(v)
	}
	op.Apply(y, x, other, values)
	return y
}

// want fails unless the image has these pixels.
func want(t *testing.T, what string, y device.Image, pix ...float64) {
	t.Helper()
	for i, v := range pix {
		if math.Abs(y.Pix[i]-v) > 1e-6 {
			t.Errorf("%s is %v, want %v", what, y.Pix, pix)
			return
		}
	}
}

// drawn returns the first parameter that a transform draws for each of n images.
func drawn(t Transform, n int) []float64 {
	spec := device.TransformSpec{N: n, H: 32, W: 32, C: 3}
	drawer := List{{Transform: t, P: 1}}.NewDrawer(&spec, 9)
	table, ids := make([]float32, n*spec.Columns()), make([]int32, n)
	for i := range ids {
		ids[i] = int32(i)
	}
	drawer.Draw(table, ids, 0)
	var all []float64
	for i := range n {
		all = append(all, float64(table[i*spec.Columns()+1]))
	}
	return all
}

// wantRange fails unless the numbers' extremes and mean are those of numbers uniform from low to high.
func wantRange(t *testing.T, x []float64, low, high float64) {
	t.Helper()
	least, most, sum := slices.Min(x), slices.Max(x), 0.0
	for _, v := range x {
		sum += v / float64(len(x))
	}
	slack := 0.05 * (high - low)
	if least < low || most > high || least > low+slack || most < high-slack || math.Abs(sum-(low+high)/2) > slack {
		t.Errorf("numbers from %v to %v with the mean %v, want %v to %v", least, most, sum, low, high)
	}
}

// Every kind has the name under which it is listed, at least one operation, and valid defaults.
func TestKinds(t *testing.T) {
	for _, k := range Kinds() {
		item := Item{Transform: k.New()}.Completed()
		if item.Kind() != k.Name || len(item.Ops()) == 0 || k.Doc == "" || !(item.P > 0 && item.P <= 1) {
			t.Errorf("%s: kind %s, %d operations, P %v, %q", k.Name, item.Kind(), len(item.Ops()), item.P, k.Doc)
		}
		if err := setting.Check(item.Transform); err != nil {
			t.Errorf("%s: %v", k.Name, err)
		}
		for _, op := range item.Ops() {
			if op.Mixes && op.Params == 0 {
				t.Errorf("%s: operation %s mixes, but has no share of the label", k.Name, op.Name)
			}
		}
	}
}

// A minimum above the maximum is an error that names the key.
func TestOrder(t *testing.T) {
	for _, transform := range []Transform{Blur{MinSigma: 2, MaxSigma: 1}, Erasing{MinArea: 0.4}, ResizedCrop{MinRatio: 2}} {
		if err := setting.Check(transform); err == nil || !strings.Contains(err.Error(), "min-") {
			t.Errorf("%+v: %v", transform, err)
		}
	}
}

// The drawn parameters depend on seed, epoch, index and place in the list, and on nothing else.
func TestDrawsAreCounterBased(t *testing.T) {
	draw := func(list List, seed uint64, epoch uint32, ids ...int32) [][]float32 {
		spec := device.TransformSpec{N: len(ids), H: 32, W: 32, C: 3}
		d := list.NewDrawer(&spec, seed)
		table := make([]float32, len(ids)*spec.Columns())
		d.Draw(table, ids, epoch+5) // must have no after-effect
		d.Draw(table, ids, epoch)
		return slices.Collect(slices.Chunk(table, spec.Columns()))
	}
	equal := func(a, b [][]float32) bool { return slices.EqualFunc(a, b, slices.Equal) }
	var many []int32
	for i := range int32(30) {
		many = append(many, 977*i)
	}
	for _, k := range Kinds() {
		list := List{{Transform: k.New(), P: 1}, {Transform: k.New(), P: 1}}
		if list.Mixes() {
			continue // the partners' shares depend on the batch
		}
		some := draw(list, 1, 3, 4, 70000, 4)
		if alone := draw(list, 1, 3, 70000); !slices.Equal(some[1], alone[0]) || !slices.Equal(some[0], some[2]) {
			t.Errorf("%s: what is drawn depends on the batch", k.Name)
		}
		all := draw(list, 1, 3, many...)
		if !slices.ContainsFunc(all, func(row []float32) bool { return !slices.Equal(row, all[0]) }) {
			continue // draws no random numbers
		}
		if equal(all, draw(list, 2, 3, many...)) || equal(all, draw(list, 1, 4, many...)) {
			t.Errorf("%s: seed or epoch doesn't matter", k.Name)
		}
		half := len(all[0]) / 2
		if !slices.ContainsFunc(all, func(row []float32) bool { return !slices.Equal(row[:half], row[half:]) }) {
			t.Errorf("%s: two in a list draw the same", k.Name)
		}
	}
}

// A transform is applied to a fraction P of the images.
func TestProbability(t *testing.T) {
	const n = 4000
	for _, c := range []struct{ p, want float64 }{{0, 0.5}, {0.25, 0.25}, {1, 1}} {
		spec := device.TransformSpec{N: n, H: 8, W: 8, C: 3}
		d := List{{Transform: Flip{}, P: c.p}}.NewDrawer(&spec, 3)
		table, ids, on := make([]float32, n*spec.Columns()), make([]int32, n), 0.0
		for i := range ids {
			ids[i] = int32(i)
		}
		d.Draw(table, ids, 0)
		for i := range n {
			on += float64(table[i*spec.Columns()]) / n
		}
		if math.Abs(on-c.want) > 0.03 {
			t.Errorf("P %v: applied to %v of the images, want %v", c.p, on, c.want)
		}
	}
}

// A drawer allocates nothing, because it is part of a training step.
func TestDrawAllocatesNothing(t *testing.T) {
	var all List
	for _, k := range Kinds() {
		all = append(all, Item{Transform: k.New()})
	}
	spec := device.TransformSpec{N: 16, H: 32, W: 32, C: 3}
	d := all.NewDrawer(&spec, 1)
	table, ids := make([]float32, 16*spec.Columns()), make([]int32, 16)
	if n := testing.AllocsPerRun(10, func() { d.Draw(table, ids, 2) }); n != 0 {
		t.Errorf("%v allocations per batch", n)
	}
}
