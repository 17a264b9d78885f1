package cpu

import (
	"testing"

	"trainer/nn/device"
)

// The pixels of a 2x3 image, with mean 0 and standard deviation 1/255, come out
// unchanged.
func TestNormalizeMoves(t *testing.T) {
	o := newOperands(t)
	s := device.AugmentSpec{N: 1, H: 2, W: 3, C: 1, Mean: []float32{0}, Std: []float32{1.0 / 255}}
	p := must(o.d.NewAugment(s))
	images, y := o.tensor(device.Uint8, 1, 2, 3, 1), o.zeros(1, 2, 3, 1)
	copy(uint8s(images), []uint8{1, 2, 3, 4, 5, 6})
	for _, c := range []struct {
		dy, dx int
		mirror bool
		want   []float32
	}{
		{0, 0, false, []float32{1, 2, 3, 4, 5, 6}},
		{0, 0, true, []float32{3, 2, 1, 6, 5, 4}},
		// Row 2 is row 0, by reflection; column 3 is column 1, and column 4 column 0.
		{1, 0, false, []float32{4, 5, 6, 1, 2, 3}},
		{0, 2, false, []float32{3, 2, 1, 6, 5, 4}},
		{0, -1, false, []float32{2, 1, 2, 5, 4, 5}},
		// j0 = 1, 2, 1, then mirrored.
		{0, 1, true, []float32{2, 1, 2, 5, 4, 5}},
	} {
		p.Normalize(y, images, nil, c.dy, c.dx, c.mirror)
		wantFloats(t, "y", y, 1e-6, c.want...)
	}
}

func TestNormalizeChannels(t *testing.T) {
	for _, channels := range []int{1, 2, 3} {
		o := newOperands(t)
		s := device.AugmentSpec{N: 1, H: 1, W: 1, C: channels, Mean: []float32{0.5, 0.25, 0}[:channels], Std: []float32{0.5, 0.25, 1}[:channels]}
		images, y := o.tensor(device.Uint8, 1, 1, 1, channels), o.zeros(1, 1, 1, channels)
		copy(uint8s(images), []uint8{255, 0, 51})
		must(o.d.NewAugment(s)).Normalize(y, images, nil, 0, 0, false)
		wantFloats(t, "y", y, 1e-6, []float32{1, -1, 0.2}[:channels]...)
	}
}

// Every image is mirrored in exactly one of two successive epochs; in the first, about
// half of them are.
func TestAlternatingFlip(t *testing.T) {
	s := device.AugmentSpec{H: 8, W: 8, Flip: device.FlipAlternating, Seed: 4}
	first := 0
	for id := int32(0); id < 1000; id++ {
		a, b := changeOf(s, id, 0).mirror, changeOf(s, id, 1).mirror
		if a == b {
			t.Fatalf("image %d: mirrored is %v in both epochs", id, a)
		}
		if a {
			first++
		}
		if c := changeOf(s, id, 2).mirror; c != a {
			t.Fatalf("image %d: epoch 2 is not as epoch 0", id)
		}
	}
	if first < 420 || first > 580 {
		t.Errorf("%d of 1000 images mirrored in the first epoch", first)
	}
}

// Crops and cutouts reach every place in the image and none outside.
func TestAugmentRanges(t *testing.T) {
	s := device.AugmentSpec{H: 8, W: 6, Crop: 2, Cutout: 4, Flip: device.FlipRandom, Seed: 4}
	shifts, places, mirrored := map[[2]int]int{}, map[[2]int]int{}, 0
	for id := int32(0); id < 3000; id++ {
		c := changeOf(s, id, 5)
		shifts[[2]int{c.dy, c.dx}]++
		places[[2]int{c.cutY, c.cutX}]++
		if c.mirror {
			mirrored++
		}
	}
	if len(shifts) != 5*5 || len(places) != 5*3 {
		t.Errorf("%d different shifts, want 25; %d places of the square, want 15", len(shifts), len(places))
	}
	for shift := range shifts {
		if max(shift[0], -shift[0], shift[1], -shift[1]) > 2 {
			t.Errorf("a shift by %v", shift)
		}
	}
	for place := range places {
		if place[0] < 0 || place[0] > 4 || place[1] < 0 || place[1] > 2 {
			t.Errorf("a square at %v", place)
		}
	}
	if mirrored < 1350 || mirrored > 1650 {
		t.Errorf("%d of 3000 images mirrored", mirrored)
	}
}

// Gathering takes images by index, and panics if an index is out of range.
func TestGather(t *testing.T) {
	o := newOperands(t)
	s := device.AugmentSpec{N: 3, H: 1, W: 1, C: 1, Mean: []float32{0}, Std: []float32{1.0 / 255}, Gather: true}
	p := must(o.d.NewAugment(s))
	images, y := o.tensor(device.Uint8, 4, 1, 1, 1), o.zeros(3, 1, 1, 1)
	copy(uint8s(images), []uint8{10, 11, 12, 13})
	p.Normalize(y, images, o.ints(3, 0, 3), 0, 0, false)
	wantFloats(t, "y", y, 1e-6, 13, 10, 13)
	dst := o.ints(0, 0, 0)
	p.GatherLabels(dst, o.ints(7, 8, 9, 5), o.ints(3, 0, 1))
	for i, want := range []int32{5, 7, 8} {
		if ints(dst)[i] != want {
			t.Errorf("labels %v, want 5 7 8", ints(dst))
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("image 4 of 4 was accepted")
		}
	}()
	p.Normalize(y, images, o.ints(3, 4, 3), 0, 0, false)
}
