package cpu

import (
	"math"
	"math/rand/v2"
	"testing"

	"trainer/cpu/internal/simd"
	"trainer/nn/device"
	"trainer/nn/device/reference"
)

// Sums of many equal terms, all of whose roundings go in one direction, stay within the worst case of sums in blocks: in
// the direct convolution as in the gathered one, which computes the same product for another width of image.
func TestLongSumsAreTakenInBlocks(t *testing.T) {
	for set, name := range simd.Available() {
		d := newDevice(t, WithInstructions(string(name)), WithThreads(2))
		forward := device.Conv2DSpec{N: 1, H: 7, W: 7, InC: 512, OutC: 4, KH: 7, KW: 7, StrideH: 1, StrideW: 1, PadH: 3, PadW: 3, DilationH: 1, DilationW: 1, Groups: 1}
		for _, c := range []struct {
			name, method string
			change       func(s *device.Conv2DSpec)
		}{
			{"direct", "direct", func(*device.Conv2DSpec) {}},
			{"direct, a row longer than a block", "direct", func(s *device.Conv2DSpec) { s.KH, s.PadH, s.H, s.InC = 1, 0, 1, 1024 }},
			{"gathered", "gathered patches", func(s *device.Conv2DSpec) { s.W = 5 }},
			{"Winograd", "Winograd F(4x4,3x3)", func(s *device.Conv2DSpec) {
				s.H, s.W, s.KH, s.KW, s.PadH, s.PadW, s.InC, s.OutC = 24, 48, 3, 3, 1, 1, 9000, 16
			}},
		} {
			if set > 0 && c.name == "Winograd" {
				continue // slow, and the same Go code for all instruction sets
			}
			s := forward
			c.change(&s)
			checkLongSum(t, d, c.name, c.method, s)
		}
	}
}

// checkLongSum compares pixels in the middle of y, whose patches are complete, with sums in float64.
func checkLongSum(t *testing.T, d *Device, name, method string, s device.Conv2DSpec) {
	t.Helper()
	o := &operands{t: t, d: d}
	p := must(d.NewConv2D(s))
	if got, want := p.Algorithm(), method+", "+d.kernel.Name; got != want {
		t.Fatalf("%s is computed by %q, want %q", name, got, want)
	}
	x, w := o.uniform(1, 1, s.N, s.H, s.W, s.InC), o.uniform(equalTerm, equalTerm, s.OutC, s.KH, s.KW, s.InC)
	y := o.zeros(s.N, s.OutH(), s.OutW(), s.OutC)
	p.Forward(y, x, w, nil)
	// A pixel in the middle of y, the terms of whose sum are in the image.
	i, j := s.OutH()/2, s.OutW()/2
	rows := min(i-s.PadH+s.KH, s.H) - max(i-s.PadH, 0)
	columns := min(j-s.PadW+s.KW, s.W) - max(j-s.PadW, 0)
	k := rows * columns * s.InC
	want, bound := float64(k)*equalTerm, float64(blockSum+divideUp(k, blockSum))/2
	for _, got := range floats(y)[(i*s.OutW()+j)*s.OutC:][:s.OutC] {
		if off := math.Abs(float64(got)-want) / want / reference.Ulp; off > bound {
			t.Errorf("%s, %s: a sum of %d terms is off by %.0f ulps, at most %.0f are allowed", d.kernel.Name, name, k, off, bound)
			return
		}
	}
}

// equalTerm is a number that loses nearly all of its fraction when it is added to a sum of 2^14 of its kind.
const equalTerm = 1 + 0.875/(1<<10)

// The blocks of a sum cover each of its elements once.
func TestBlocksOfASumCoverIt(t *testing.T) {
	for _, c := range [][2]int{{1, 1}, {3, 1536}, {7, 3584}, {7, 500}, {2, 9000}, {100, 100}} {
		rows, run := c[0], c[1]
		seen := map[int]int{}
		for _, b := range sumBlocks(rows, run, run+10, 1) {
			if n := b.N * b.K; n > longestSum || n > blockSum && rows*run > longestSum {
				t.Errorf("%v: a block of %d", c, n)
			}
			for s := range b.N {
				for k := range b.K {
					at := b.b + s*b.StepB + k
					seen[at]++
					if got, want := b.a+s*b.StepA+k, at/run*(run+10)+at%run; got != want {
						t.Errorf("%v: element %d is read at %d, want %d", c, at, got, want)
					}
				}
			}
		}
		for at := range rows * run {
			if seen[at] != 1 {
				t.Fatalf("%v: element %d is added %d times", c, at, seen[at])
			}
		}
	}
}

// A gradient of a bias and an average over more elements than an accumulator should take are also summed in blocks.
func TestManyRowsAreAddedInBlocks(t *testing.T) {
	const rows, columns = 500_000, 3
	d := newDevice(t)
	x, r := make([]float32, rows*columns), rand.New(rand.NewPCG(1, 2))
	var want [columns]float64
	for i := range x {
		x[i] = r.Float32()
		want[i%columns] += float64(x[i])
	}
	var sum, block [columns]float32
	for half := range 2 {
		d.addManyRows(sum[:], x[half*len(x)/2:(half+1)*len(x)/2], block[:], rows)
	}
	bound := reference.SumUlps(blockSum + rows/(blockSum*accumulators))
	for j, got := range sum {
		if off := math.Abs(float64(got)-want[j]) / want[j] / reference.Ulp; off > bound {
			t.Errorf("column %d is off by %.1f ulps, at most %.1f are allowed", j, off, bound)
		}
	}
}

// The gradient of a depthwise filter sums over all pixels of a batch: a row or a few at a time.
func TestDepthwiseFilterSumsInBlocks(t *testing.T) {
	for _, name := range simd.Available() {
		o := &operands{t: t, d: newDevice(t, WithInstructions(string(name)), WithThreads(2))}
		for _, stride := range []int{1, 2} {
			s := device.Conv2DSpec{N: 1, H: 640, W: 640, InC: 2, OutC: 2, KH: 3, KW: 3, StrideH: stride, StrideW: 1, DilationH: 1, DilationW: 1, Groups: 2}
			p := must(o.d.NewConv2D(s))
			x, dy := o.uniform(1, 1, 1, s.H, s.W, 2), o.uniform(equalTerm, equalTerm, 1, s.OutH(), s.OutW(), 2)
			dw := o.zeros(2, 3, 3, 1)
			p.BackwardFilter(dw, nil, dy, x)
			k := s.OutH() * s.OutW()
			bound := float64(4*s.OutW()+divideUp(s.OutH(), filterTasks)+filterTasks) / 2
			want := float64(k) * equalTerm
			for i, got := range floats(dw) {
				if off := math.Abs(float64(got)-want) / want / reference.Ulp; off > bound {
					t.Fatalf("%s, stride %d: element %d is off by %.0f ulps, at most %.0f are allowed", name, stride, i, off, bound)
				}
			}
		}
	}
}
