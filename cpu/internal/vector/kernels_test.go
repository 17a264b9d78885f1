package vector

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"trainer/cpu/internal/guard"
	"trainer/nn"
	"trainer/nn/device"
	"trainer/nn/device/reference"
)

// operands hands out the operands of a kernel, each in its own region between pages that fault, and keeps them for
// comparison. Two sets of operands with the same seed have the same contents.
type operands struct {
	regions []*guard.Region
	end     bool // slices end at a guard page; otherwise they begin at one
	special bool // numbers are special: NaN, infinite, zero, and so on
	small   bool // special numbers are so small that no sum or product of a few overflows or cancels

	rng     *rand.Rand
	floats  [][]float32
	limits  map[*float32][]float64 // of an operand, by its first element, see limit
	doubles [][]float64
	bytes   [][]uint8
	used    int
}

func newOperands(t testing.TB, bytes int) *operands {
	o := &operands{}
	for range 9 {
		o.regions = append(o.regions, guard.New(t, bytes))
	}
	return o
}

func (o *operands) begin(seed uint64, end, special bool) {
	o.rng, o.end, o.special = rand.New(rand.NewPCG(seed, 1)), end, special
	o.floats, o.limits, o.doubles, o.bytes, o.used = nil, map[*float32][]float64{}, nil, nil, 0
}

func place[T guard.Element](o *operands, n int) []T {
	r := o.regions[o.used]
	o.used++
	r.Fill()
	if o.end {
		return guard.AtEnd[T](r, n)
	}
	return guard.AtStart[T](r, n)
}

var specials = []float32{
	float32(math.NaN()), math.Float32frombits(0xFFC00000), float32(math.Inf(1)), float32(math.Inf(-1)),
	0, float32(math.Copysign(0, -1)), 1, -1, 3.5, -3.5,
	1e-40, -1e-40, 1e30, -1e30, 88, -88, 104, -104,
}

// smallSpecials is the number of small ones among the special numbers.
const smallSpecials = 10

// x returns n numbers between -4 and 4, or special ones.
func (o *operands) x(n int) []float32 {
	s := place[float32](o, n)
	for i := range s {
		s[i] = float32(o.rng.Float64()*8 - 4)
		if o.special {
			s[i] = specials[o.rng.IntN(len(specials))]
			if o.small {
				s[i] = specials[o.rng.IntN(smallSpecials)]
			}
		}
	}
	o.floats = append(o.floats, s)
	return s
}

// positive returns n numbers between 0 and 4.
func (o *operands) positive(n int) []float32 {
	s := o.x(n)
	for i, v := range s {
		s[i] = float32(math.Abs(float64(v)))
	}
	return s
}

// sums returns n numbers between -4 and 4.
func (o *operands) sums(n int) []float64 {
	s := place[float64](o, n)
	for i := range s {
		s[i] = o.rng.Float64()*8 - 4
	}
	o.doubles = append(o.doubles, s)
	return s
}

// positions returns n bytes below 6.
func (o *operands) positions(n int) []uint8 {
	s := place[uint8](o, n)
	for i := range s {
		s[i] = uint8(o.rng.IntN(6))
	}
	o.bytes = append(o.bytes, s)
	return s
}

// result records a number that a kernel returns.
func (o *operands) result(v float64) { o.doubles = append(o.doubles, []float64{v}) }

// kernelCase runs one kernel on about n elements.
type kernelCase struct {
	name string
	run  func(k *Kernels, o *operands, n int)
	// Allowed difference from the result of the Go loop, relative to it plus absolute. The Go loops round more
	// often. 0, 0 requires the same bits.
	relative, absolute float64
	finite             bool // the kernel is not defined for special numbers
	small              bool // only small special numbers can be compared
}

// ulp is the largest relative rounding error of float32.
const ulp = 0x1p-24

func cases() []kernelCase {
	all := []kernelCase{
		{name: "Scaled", run: func(k *Kernels, o *operands, n int) { k.Scaled(o.x(n), o.x(n), 0.3) }},
		{name: "WeightedSum", absolute: 12 * ulp, relative: ulp, run: func(k *Kernels, o *operands, n int) {
			k.WeightedSum(o.x(n), o.x(n), o.x(n), 0.3, -0.7)
		}},
		{name: "Product", run: func(k *Kernels, o *operands, n int) { k.Product(o.x(n), o.x(n), o.x(n), 0.3) }},
		{name: "Dot", relative: 0x1p-40, absolute: 0x1p-30, small: true, run: func(k *Kernels, o *operands, n int) { o.result(k.Dot(o.x(n), o.x(n))) }},
		{name: "Sum", relative: 0x1p-40, absolute: 0x1p-30, run: func(k *Kernels, o *operands, n int) { o.result(k.Sum(o.x(n))) }},
		{name: "SumSquares", relative: 0x1p-40, run: func(k *Kernels, o *operands, n int) { o.result(k.SumSquares(o.x(n))) }},
		{name: "Exponentials", relative: 3 * ulp, run: func(k *Kernels, o *operands, n int) { o.result(k.Exponentials(o.x(n), o.x(n), 4)) }},
		{name: "SumOfExponentials", relative: 3 * ulp, run: func(k *Kernels, o *operands, n int) { o.result(k.SumOfExponentials(o.x(n), 4)) }},
		{name: "Dropout", run: func(k *Kernels, o *operands, n int) {
			m := NewMask(0.3, 0x123456789ABCDEF0, device.StreamDropout.Sub(3))
			k.Dropout(o.x(n), o.x(n), m, 77, 1<<32-uint64(n%3)*2)
		}},
	}
	all = append(all, activationCases()...)
	all = append(all, mapCases()...)
	for _, width := range []int{1, 3, 8, 16, 33, 256} {
		all = append(all, columnCases(width)...)
	}
	for _, c := range []int{1, 2, 3, 7, 8, 9, 16, 17, 24, 32, 65} {
		all = append(all, poolCases(c)...)
	}
	for _, c := range []int{1, 7, 16, 35} {
		all = append(all, correlationCases(c)...)
		all = append(all, bandCases(c)...)
		all = append(all, transposeCase(c))
	}
	return append(all, updateCases()...)
}

// activationCases are the kernels of every activation. The limit is the allowed difference of two implementations for
// each element: the condition of the function there says how accurate each can be.
func activationCases() []kernelCase {
	const alpha = 0.1
	var all []kernelCase
	for _, f := range nn.Functions() {
		s := device.ActivationSpec{Function: f, Alpha: alpha}
		all = append(all,
			kernelCase{name: f.Name + "/forward", run: func(k *Kernels, o *operands, n int) {
				y, x := o.x(n), o.x(n)
				o.limit(y, x, nil, s, reference.ValueMagnitude)
				k.Activations[f.Name].Forward(y, x, alpha)
			}},
			kernelCase{name: f.Name + "/backward", run: func(k *Kernels, o *operands, n int) {
				dx, dy, x := o.x(n), o.x(n), o.x(n)
				o.limit(dx, x, dy, s, reference.SlopeMagnitude)
				k.Activations[f.Name].Backward(dx, dy, x, alpha)
			}},
			kernelCase{name: f.Name + "/in place", run: func(k *Kernels, o *operands, n int) {
				x, dx := o.x(n), o.x(n)
				o.limit(dx, x, dx, s, reference.SlopeMagnitude)
				o.limit(x, x, nil, s, reference.ValueMagnitude)
				k.Activations[f.Name].Backward(dx, dx, x, alpha)
				k.Activations[f.Name].Forward(x, x, alpha)
			}},
		)
	}
	return all
}

// mapCases are the functions of one operand and of two. For elements between -4 and 4, the constants keep the
// arguments of roots and quotients away from 0.
func mapCases() []kernelCase {
	// Product, sum and fused sum round once each; quotient and root round once more.
	const relative, absolute = 5 * ulp, 5 * 4 * ulp
	var all []kernelCase
	for name, of := range map[string]func(m *Map) MapOne{
		"Linear": func(m *Map) MapOne { return m.Linear }, "Square": func(m *Map) MapOne { return m.Square },
		"Abs": func(m *Map) MapOne { return m.Abs }, "Sign": func(m *Map) MapOne { return m.Sign },
		"Sqrt": func(m *Map) MapOne { return m.Sqrt }, "Rsqrt": func(m *Map) MapOne { return m.Rsqrt },
		"Reciprocal": func(m *Map) MapOne { return m.Reciprocal },
	} {
		all = append(all,
			kernelCase{name: name, relative: relative, absolute: absolute, run: func(k *Kernels, o *operands, n int) {
				of(&k.Map)(o.x(n), o.x(n), 0.3, 2)
			}},
			kernelCase{name: name + " in place", relative: relative, absolute: absolute, run: func(k *Kernels, o *operands, n int) {
				y := o.x(n)
				of(&k.Map)(y, y, 0.3, 2)
			}})
	}
	for name, of := range map[string]func(m *Map) MapTwo{
		"Quotient": func(m *Map) MapTwo { return m.Quotient }, "Larger": func(m *Map) MapTwo { return m.Larger },
		"Smaller": func(m *Map) MapTwo { return m.Smaller }, "Greater": func(m *Map) MapTwo { return m.Greater },
		"Select": func(m *Map) MapTwo { return m.Select },
	} {
		// Each of these rounds the same way on all instruction sets, because no product is added to anything.
		all = append(all, kernelCase{name: name, run: func(k *Kernels, o *operands, n int) { of(&k.Map)(o.x(n), o.x(n), o.x(n), 0.3, 5) }})
	}
	return append(all, kernelCase{name: "Select of zeros", run: func(k *Kernels, o *operands, n int) {
		y, a, b := o.x(n), o.x(n), o.x(n)
		for i := range b {
			b[i] *= float32(i % 2)
		}
		k.Map.Select(y, a, b, 0, 0)
	}})
}

// limit sets the allowed difference for each element of result, an operand that is a function of x, multiplied by dy
// unless dy is nil: the error of each implementation may be 8 units of 2^-23 of the magnitude. Subnormal results may be 0.
func (o *operands) limit(result, x, dy []float32, s device.ActivationSpec, magnitude func(s device.ActivationSpec, x float64) float64) {
	limits := make([]float64, len(x))
	for i, v := range x {
		limits[i] = 2*8*0x1p-23*magnitude(s, float64(v)) + 0x1p-120
		if magnitude(s, float64(v)) == 0 {
			limits[i] = 0
		}
		if dy != nil {
			limits[i] *= math.Abs(float64(dy[i]))
		}
	}
	if len(result) > 0 {
		o.limits[&result[0]] = limits
	}
}

// columnCases are the kernels over rows of width columns; the last row may be shorter.
func columnCases(width int) []kernelCase {
	w := width
	const relative, absolute = 2 * ulp, 4 * 36 * ulp // for numbers up to 4*4 + 4*4 + 4
	const doubles = 0x1p-40
	all := []kernelCase{
		{name: "Affine", relative: relative, absolute: absolute, run: func(k *Kernels, o *operands, n int) {
			k.Affine(o.x(n), o.x(n), o.x(w), o.x(w))
		}},
		{name: "AffineReLU", relative: relative, absolute: absolute, run: func(k *Kernels, o *operands, n int) {
			k.AffineReLU(o.x(n), o.x(n), o.x(w), o.x(w))
		}},
		{name: "CombineAffine", relative: relative, absolute: absolute, run: func(k *Kernels, o *operands, n int) {
			k.CombineAffine(o.x(n), o.x(n), o.x(n), o.x(w), o.x(w), o.x(w))
		}},
		{name: "CombineAffine in place", relative: relative, absolute: absolute, run: func(k *Kernels, o *operands, n int) {
			dx := o.x(n)
			k.CombineAffine(dx, dx, o.x(n), o.x(w), o.x(w), o.x(w))
		}},
		{name: "CombineAffineReLU", relative: relative, absolute: absolute, run: func(k *Kernels, o *operands, n int) {
			k.CombineAffineReLU(o.x(n), o.x(n), o.x(n), o.x(w), o.x(w), o.x(w), o.x(w), o.x(w))
		}},
		{name: "AddColumns", relative: doubles, absolute: doubles, run: func(k *Kernels, o *operands, n int) {
			k.AddColumns(o.sums(w), o.x(n))
		}},
		{name: "AddMoments", relative: doubles, absolute: doubles, run: func(k *Kernels, o *operands, n int) {
			k.AddMoments(o.sums(w), o.sums(w), o.x(n))
		}},
		{name: "AddProducts", relative: doubles, absolute: doubles, run: func(k *Kernels, o *operands, n int) {
			k.AddProducts(o.sums(w), o.sums(w), o.x(n), o.x(n))
		}},
		{name: "AddProductsReLU", relative: doubles, absolute: doubles, run: func(k *Kernels, o *operands, n int) {
			k.AddProductsReLU(o.sums(w), o.sums(w), o.x(n), o.x(n), o.x(w), o.x(w))
		}},
		{name: "AffineRows", relative: relative, absolute: 4 * 2 * 84 * ulp, run: func(k *Kernels, o *operands, n int) {
			k.AffineRows(o.x(n/w*w), o.x(n/w*w), o.x(n/w), o.x(n/w), o.x(w), o.x(w)) // up to 4(4*4 + 4) + 4
		}},
		{name: "CombineRows", relative: relative, absolute: 4 * 2 * 84 * ulp, run: func(k *Kernels, o *operands, n int) {
			k.CombineRows(o.x(n/w*w), o.x(n/w*w), o.x(n/w*w), o.x(n/w), o.x(n/w), o.x(n/w), o.x(w)) // up to 4*4*4 + 4*4 + 4
		}},
		{name: "CombineRows in place", relative: relative, absolute: 4 * 2 * 84 * ulp, run: func(k *Kernels, o *operands, n int) {
			dx := o.x(n / w * w)
			k.CombineRows(dx, dx, o.x(n/w*w), o.x(n/w), o.x(n/w), o.x(n/w), o.x(w))
		}},
		// Up to 320 rows, whose a*x + e, of at most 20, is rounded once or twice, times dy of at most 4.
		{name: "AddRowProducts", relative: doubles, absolute: 320 * 2 * 20 * 4 * ulp, run: func(k *Kernels, o *operands, n int) {
			k.AddRowProducts(o.sums(w), o.sums(w), o.x(n/w*w), o.x(n/w*w), o.x(n/w), o.x(n/w))
		}},
		{name: "RowMoments", run: func(k *Kernels, o *operands, n int) {
			n = n / 2 / RowsTogether * RowsTogether // float64s take twice the room
			k.RowMoments(o.sums(n), o.sums(n), o.x(n), o.x(n), o.sums(n), o.sums(n), 3, 0.125)
		}},
		{name: "RowGradients", run: func(k *Kernels, o *operands, n int) {
			n = n / 2 / RowsTogether * RowsTogether
			k.RowGradients(o.x(n), o.x(n), o.x(n), o.sums(n), o.sums(n), o.sums(n), o.sums(n), 3)
		}},
		{name: "RowSums", relative: doubles, absolute: 256 * 16 * doubles, run: func(k *Kernels, o *operands, n int) {
			k.RowSums(o.sums(n/w), o.sums(n/w), o.x(n/w*w), w) // up to 256 times 4*4
		}},
		{name: "RowProducts", relative: doubles, absolute: 256 * 64 * doubles, run: func(k *Kernels, o *operands, n int) {
			k.RowProducts(o.sums(n/w), o.sums(n/w), o.x(n/w*w), o.x(n/w*w), o.x(w)) // up to 256 times 4*4*4
		}},
		{name: "AddRows", run: func(k *Kernels, o *operands, n int) { k.AddRows(o.x(w), o.x(n/w*w)) }},
	}
	for i := range all {
		all[i].name += fmt.Sprintf("/width=%d", w)
		all[i].small = true
	}
	return all
}

// poolCases are the kernels over windows of c channels, with enough windows for n elements.
func poolCases(c int) []kernelCase {
	all := []kernelCase{
		{name: "Max2x2", run: func(k *Kernels, o *operands, n int) {
			n = n / c * c
			k.Pool8.Max2x2(o.x(n), o.positions(n), o.x(2*n), o.x(2*n), c)
		}},
		{name: "Max2x2ReLU", run: func(k *Kernels, o *operands, n int) {
			n = n / c * c
			k.Pool8.Max2x2ReLU(o.x(n), o.positions(n), o.x(2*n), o.x(2*n), c)
		}},
		{name: "Gather2x2", run: func(k *Kernels, o *operands, n int) {
			n = n / c * c
			k.Pool8.Gather2x2(o.x(2*n), o.x(2*n), o.x(n), o.positions(n), c)
		}},
		{name: "Max", run: func(k *Kernels, o *operands, n int) {
			w := Window{Rows: 1 + n%3, Columns: 1 + n%5, First: 2 + n%4, Step: 7}
			w.Stride = (w.Columns + n%2) * c
			k.Pool8.Max(o.x(c), o.positions(c), o.x((w.Rows-1)*w.Stride+w.Columns*c), w)
		}},
	}
	if c == 1 {
		all = append(all,
			kernelCase{name: "PoolReLU", run: func(k *Kernels, o *operands, n int) { k.Pool8.ReLU(o.x(n), o.positions(n), 200) }},
			kernelCase{name: "Gather", run: func(k *Kernels, o *operands, n int) { k.Pool8.Gather(o.x(n), o.x(n), o.positions(n), 3) }},
			kernelCase{name: "GatherAdd", run: func(k *Kernels, o *operands, n int) { k.Pool8.GatherAdd(o.x(n), o.x(n), o.positions(n), 3) }},
		)
	}
	for i := range all {
		all[i].name += fmt.Sprintf("/c=%d", c)
	}
	return all
}

// correlationCases are rows of depthwise convolutions of c channels: plain, with stride, dilation or steps back, and one
// tap.
func correlationCases(c int) []kernelCase {
	var all []kernelCase
	for name, g := range map[string]Correlation{
		"3x3":      {Rows: 3, Columns: 3, XStep: 1, XTap: 1, YStep: 1, WTap: 1, WRow: 3},
		"5x5":      {Rows: 5, Columns: 5, XStep: 1, XTap: 1, YStep: 1, WTap: 1, WRow: 5},
		"2x4":      {Rows: 2, Columns: 4, XStep: 2, XTap: 2, YStep: 1, WTap: 1, WRow: 4},
		"1x7":      {Rows: 1, Columns: 7, XStep: 1, XTap: 1, YStep: 1, WTap: 1},
		"4x3":      {Rows: 4, Columns: 3, XStep: 1, XTap: 1, YStep: 1, WTap: 1, WRow: 5},
		"1x1":      {Rows: 1, Columns: 1, XStep: 1, YStep: 1},
		"backward": {Rows: 2, Columns: 2, XStep: 1, XTap: -1, XRow: -1, YStep: 2, WTap: 2, WRow: 6},
	} {
		g.Channels = c
		for _, step := range []*int{&g.YStep, &g.XStep, &g.XTap, &g.WTap, &g.WRow} {
			*step *= c
		}
		// shape sets the rest for about n elements, and returns the lengths of y, x and w.
		shape := func(n int) (g2 Correlation, y, x, w int) {
			g := g
			g.Pixels = max(1, min(n/c, 320/c))
			width := (g.Pixels-1)*g.XStep + (g.Columns-1)*max(g.XTap, -g.XTap) + c
			for ; g.Rows*width > regionBytes/4-64; width -= g.XStep {
				g.Pixels--
			}
			g.XRow, g.X = width, 0
			if g.XTap < 0 {
				g.XRow = -width
				g.X = (g.Rows-1)*width - (g.Columns-1)*g.XTap
			}
			return g, (g.Pixels-1)*g.YStep + c, g.Rows * width, (g.Rows-1)*g.WRow + (g.Columns-1)*g.WTap + c
		}
		// Each product and each sum is rounded, in both implementations, to a unit of at most the terms' sizes together.
		taps := float64(g.Rows * g.Columns)
		limit := 2 * (taps + 1) * (16*taps + 4) * ulp
		all = append(all,
			kernelCase{name: fmt.Sprintf("Correlate/%s/c=%d", name, c), small: true, absolute: limit, run: func(k *Kernels, o *operands, n int) {
				g, y, x, w := shape(n)
				k.Correlate(o.x(y), o.x(c), o.x(x), o.x(w), &g)
			}},
			kernelCase{name: fmt.Sprintf("CorrelateFilter/%s/c=%d", name, c), small: true, absolute: 320 * 320 * 16 * ulp, run: func(k *Kernels, o *operands, n int) {
				g, y, x, w := shape(n)
				k.CorrelateFilter(o.x(w), o.x(y), o.x(x), &g)
			}},
		)
	}
	return all
}

// bandCases are rows of depthwise convolutions of c channels with 3 x 3 taps, inside an image and at its edges, with the
// taps in both orders.
func bandCases(c int) []kernelCase {
	var all []kernelCase
	for name, g := range map[string]Band{
		"inside":      {Rows: 4, Above: true, Below: true, Before: true, After: true, WTap: 1, WRow: 3},
		"whole":       {Rows: 7, WTap: 1, WRow: 3},
		"top-right":   {Rows: 3, Below: true, Before: true, WTap: -1, WRow: -3, W: 8},
		"bottom-left": {Rows: 1, Above: true, After: true, WTap: 1, WRow: 3},
		"large":       {Rows: 7, WTap: 1, WRow: 3, Stream: true},
	} {
		g.Channels = c
		for _, step := range []*int{&g.WTap, &g.WRow, &g.W} {
			*step *= c
		}
		// shape sets the rest for about n elements, and returns the lengths of y and x.
		shape := func(n int) (g2 Band, y, x int) {
			g := g
			rows, columns := g.Rows+ofBool(g.Above)+ofBool(g.Below), ofBool(g.Before)+ofBool(g.After)
			g.Pixels = max(1, min(n/c/g.Rows, 320/c, (regionBytes/4-64)/c/rows-columns))
			g.Step, g.YRow, g.XRow = c, g.Pixels*c, (g.Pixels+columns)*c
			g.X = ofBool(g.Above)*g.XRow + ofBool(g.Before)*c
			return g, g.Rows * g.YRow, rows * g.XRow
		}
		// Each product and each sum is rounded, in both implementations, to a unit of at most the terms' sizes together.
		const limit = 2 * (9 + 1) * (16*9 + 4) * ulp
		all = append(all,
			kernelCase{name: fmt.Sprintf("Correlate3x3/%s/c=%d", name, c), small: true, absolute: limit, run: func(k *Kernels, o *operands, n int) {
				g, y, x := shape(n)
				k.Correlate3x3(o.x(y), o.x(c), o.x(x), o.x(9*c), &g)
			}},
			kernelCase{name: fmt.Sprintf("CorrelateFilter3x3/%s/c=%d", name, c), small: true, absolute: 320 * 320 * 16 * ulp, run: func(k *Kernels, o *operands, n int) {
				g, y, x := shape(n)
				k.CorrelateFilter3x3(o.x(9*c), o.x(y), o.x(x), &g)
			}},
		)
	}
	return all
}

// transposeCase transposes matrices of c columns, or of as many as there is room for.
func transposeCase(c int) kernelCase {
	return kernelCase{name: fmt.Sprintf("Transpose/c=%d", c), run: func(k *Kernels, o *operands, n int) {
		rows := max(1, min(n/c, (regionBytes/4-64)/c-3))
		xStep, yStep := c+n%3, rows+n%2
		k.Transpose(o.x((c-1)*yStep+rows), o.x((rows-1)*xStep+c), yStep, xStep, rows, c)
	}}
}

func updateCases() []kernelCase {
	u := &Hyperparameters{
		LR: 0.1, GradScale: 0.5, Coupled: 0.25, Keep: 0.9, Momentum: 0.7, Beta2: 0.8, NewMomentum: 0.3, NewBeta2: 0.2,
		Correction2: 1.5, Epsilon: 0.125,
	}
	// A step of up to 3, times LR, is subtracted from weights up to 4.
	const relative, absolute = 6 * ulp, 40 * ulp
	return []kernelCase{
		{name: "SGD", finite: true, relative: relative, absolute: absolute, run: func(k *Kernels, o *operands, n int) {
			k.Update.SGD(o.x(n), o.x(n), u)
		}},
		{name: "SGDMomentum", finite: true, relative: relative, absolute: absolute, run: func(k *Kernels, o *operands, n int) {
			k.Update.SGDMomentum(o.x(n), o.x(n), o.x(n), u)
		}},
		{name: "SGDNesterov", finite: true, relative: relative, absolute: absolute, run: func(k *Kernels, o *operands, n int) {
			k.Update.SGDNesterov(o.x(n), o.x(n), o.x(n), u)
		}},
		{name: "Adam", finite: true, relative: relative, absolute: absolute, run: func(k *Kernels, o *operands, n int) {
			k.Update.Adam(o.x(n), o.x(n), o.x(n), o.positive(n), u)
		}},
		{name: "RMSProp", finite: true, relative: relative, absolute: absolute, run: func(k *Kernels, o *operands, n int) {
			k.Update.RMSProp(o.x(n), o.x(n), o.positive(n), u)
		}},
		{name: "RMSPropMomentum", finite: true, relative: relative, absolute: absolute, run: func(k *Kernels, o *operands, n int) {
			k.Update.RMSPropMomentum(o.x(n), o.x(n), o.positive(n), o.x(n), u)
		}},
	}
}

// regionBytes is enough for twice 511 float32s, and for the largest window.
const regionBytes = 8192

// TestKernels compares every kernel with the Go loop at all small lengths and some large ones, with operands that
// end, or begin, at pages that fault.
func TestKernels(t *testing.T) {
	lengths := []int{255, 256, 257, 500, 511}
	for n := range 71 {
		lengths = append(lengths, n)
	}
	if testing.Short() {
		lengths = []int{0, 1, 3, 7, 8, 9, 15, 16, 17, 33, 70, 257}
	}
	want, got := newOperands(t, regionBytes), newOperands(t, regionBytes)
	for _, k := range available() {
		if k.Name == "generic" {
			continue // the Go loop would be compared with itself
		}
		for _, c := range cases() {
			t.Run(k.Name+"/"+c.name, func(t *testing.T) {
				for _, n := range lengths {
					for _, end := range []bool{true, false} {
						compare(t, k, c, want, got, uint64(n), n, end, false)
						if !c.finite {
							compare(t, k, c, want, got, uint64(n), n, end, true)
						}
					}
				}
			})
		}
	}
}

// FuzzKernels does the same with contents and lengths from the fuzzer.
func FuzzKernels(f *testing.F) {
	f.Add(uint64(1), uint16(100), uint16(3), true, false)
	f.Fuzz(func(t *testing.T, seed uint64, n, which uint16, end, special bool) {
		all := cases()
		c := all[int(which)%len(all)]
		want, got := newOperands(t, regionBytes), newOperands(t, regionBytes)
		for _, k := range available() {
			compare(t, k, c, want, got, seed, int(n)%512, end, special && !c.finite)
		}
	})
}

// compare runs one case with the Go loop and with a kernel.
func compare(t *testing.T, k *Kernels, c kernelCase, want, got *operands, seed uint64, n int, end, special bool) {
	t.Helper()
	want.small, got.small = c.small, c.small
	want.begin(seed, end, special)
	c.run(generic(), want, n)
	got.begin(seed, end, special)
	c.run(k, got, n)
	what := fmt.Sprintf("%s %s n=%d end=%v special=%v", k.Name, c.name, n, end, special)
	for i, w := range want.floats {
		for j := range w {
			c := c
			if limits := want.limits[&w[0]]; limits != nil {
				c.absolute = limits[j]
				if math.IsNaN(c.absolute) { // of an infinite x, where the formula is infinity times 0
					c.absolute, c.relative = 0, 2*8*0x1p-23
				}
			}
			if g := got.floats[i][j]; !c.near(float64(g), float64(w[j])) {
				t.Fatalf("%s: operand %d[%d] is %v, want %v", what, i, j, g, w[j])
			}
		}
	}
	for i, w := range want.doubles {
		for j := range w {
			if g := got.doubles[i][j]; !c.near(g, w[j]) {
				t.Fatalf("%s: sums %d[%d] is %v, want %v", what, i, j, g, w[j])
			}
		}
	}
	for i, w := range want.bytes {
		for j := range w {
			if g := got.bytes[i][j]; g != w[j] {
				t.Fatalf("%s: positions %d[%d] is %d, want %d", what, i, j, g, w[j])
			}
		}
	}
	got.checkEdges(t, what)
}

// near reports whether got equals want within the case's tolerance.
func (c kernelCase) near(got, want float64) bool {
	switch {
	case want != want:
		return got != got
	case want == 0 || math.IsInf(want, 0):
		if c.absolute == 0 || math.IsInf(want, 0) {
			return got == want && math.Signbit(got) == math.Signbit(want)
		}
	}
	return math.Abs(got-want) <= c.relative*math.Abs(want)+c.absolute
}

// checkEdges checks that nothing outside the operands was written.
func (o *operands) checkEdges(t *testing.T, what string) {
	t.Helper()
	ok := func(i int) bool {
		r := o.regions[i]
		for _, s := range o.floats {
			if guard.Untouched(r, s, o.end) {
				return true
			}
		}
		for _, s := range o.doubles {
			if guard.Untouched(r, s, o.end) {
				return true
			}
		}
		for _, s := range o.bytes {
			if guard.Untouched(r, s, o.end) {
				return true
			}
		}
		return false
	}
	for i := range o.used {
		if !ok(i) {
			t.Fatalf("%s: wrote beside operand %d", what, i)
		}
	}
}

// A word that maps exactly to the rate keeps its element: uniform(r) >= rate.
func TestDropoutAtTheRate(t *testing.T) {
	const n = 96
	x, y := make([]float32, n), make([]float32, n)
	for i := range x {
		x[i] = 1
	}
	for _, k := range available() {
		for i := range n {
			u := device.Uniform(device.RandomWord(5, device.StreamDropout, 3, uint64(i)))
			k.Dropout(y, x, NewMask(u, 5, device.StreamDropout), 3, 0)
			if y[i] == 0 {
				t.Fatalf("%s: element %d, whose random number is the rate, is dropped", k.Name, i)
			}
			k.Dropout(y, x, NewMask(math.Nextafter32(u, 1), 5, device.StreamDropout), 3, 0)
			if y[i] != 0 {
				t.Fatalf("%s: element %d, whose random number is below the rate, is kept", k.Name, i)
			}
		}
	}
}
