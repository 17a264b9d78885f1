package augment

import (
	"math"
	"testing"

	"trainer/nn/device"
)

func TestMix(t *testing.T) {
	x, z := picture(2, 2, 1, 0.1, 0.2, 0.3, 0.4), picture(2, 2, 1, 0.5, 0.6, 0.7, 0.8)
	want(t, "a mean", operated(mix, x, z, 0.75, 0, 0, 2, 2, 0.75), 0.2, 0.3, 0.4, 0.5)
	want(t, "a rectangle", operated(mix, x, z, 0, 0, 1, 2, 1, 0.5), 0.1, 0.6, 0.3, 0.8)
}

// The mean of Beta(a,a) is 1/2, its variance 1/(4(2a+1)).
func TestBeta(t *testing.T) {
	const n = 20000
	for _, alpha := range []float64{0.1, 0.2, 1, 2} {
		r := Random{seed: 5}
		sum, squares := 0.0, 0.0
		for i := range uint32(n) {
			r.begin(0, 0, i)
			x := beta(&r, alpha)
			sum += x / n
			squares += (x - 0.5) * (x - 0.5) / n
		}
		if variance := 1 / (4 * (2*alpha + 1)); math.Abs(sum-0.5) > 0.01 || math.Abs(squares-variance) > 0.03*variance {
			t.Errorf("alpha %v: mean %v, variance %v, want 0.5 and %v", alpha, sum, squares, variance)
		}
	}
}

// The share of the label that CutMix keeps equals the share of the pixels, and every rectangle is within the image.
func TestCutMix(t *testing.T) {
	spec := device.TransformSpec{N: 500, H: 20, W: 30, C: 1}
	d := List{{Transform: CutMix{}}}.NewDrawer(&spec, 1)
	table, ids := make([]float32, spec.N*spec.Columns()), make([]int32, spec.N)
	for i := range ids {
		ids[i] = int32(i)
	}
	d.Draw(table, ids, 0)
	for i := range ids {
		p := table[i*spec.Columns():][:spec.Columns()]
		top, left, height, width, kept := p[2], p[3], p[4], p[5], p[6]
		if top < 0 || left < 0 || top+height > 20 || left+width > 30 || math.Abs(float64(kept-1+height*width/600)) > 1e-6 {
			t.Fatalf("a rectangle of %v x %v at (%v, %v) that leaves %v", height, width, top, left, kept)
		}
		if p[7] != kept || math.Abs(float64(p[8]-(1-kept))) > 1e-6 {
			t.Fatalf("shares %v and %v where %v is kept", p[7], p[8], kept)
		}
	}
}

// Two mixes in a row: the share of image n is k1*k2; image n+1 contributes in two ways, and image n+2 in one.
func TestSharesOfTwoMixes(t *testing.T) {
	spec := device.TransformSpec{N: 3, H: 4, W: 4, C: 1}
	d := List{{Transform: Mixup{Alpha: 1}}, {Transform: Mixup{Alpha: 1}}}.NewDrawer(&spec, 1)
	table, columns := make([]float32, 3*spec.Columns()), spec.Columns()
	d.Draw(table, []int32{3, 4, 5}, 0)
	for i := range 3 {
		row, next := table[i*columns:], table[(i+1)%3*columns:]
		first, second := float64(row[1]), float64(row[8])
		wanted := []float64{first * second, second*(1-first) + (1-second)*float64(next[1]), (1 - second) * (1 - float64(next[1]))}
		for k, w := range wanted {
			if got := float64(row[14+k]); math.Abs(got-w) > 1e-6 {
				t.Errorf("image %d: share %d is %v, want %v", i, k, got, w)
			}
		}
	}
}
