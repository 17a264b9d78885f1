package kernels_test

import (
	"bytes"
	"math"
	"slices"
	"testing"

	"trainer/kernels"
	"trainer/nn/device"
)

func augmentSpecs() map[string]device.AugmentSpec {
	color := device.AugmentSpec{N: 5, H: 8, W: 11, C: 3, Seed: 0xC0FFEE12345678, Mean: []float32{0.49, 0.48, 0.45}, Std: []float32{0.25, 0.24, 0.26}}
	gray := device.AugmentSpec{N: 4, H: 7, W: 5, C: 1, Seed: 7, Mean: []float32{0.1307}, Std: []float32{0.3081}}
	many := device.AugmentSpec{N: 2, H: 4, W: 5, C: 6, Seed: 9, Mean: []float32{0, 0.1, 0.2, 0.3, 0.4, 0.5}, Std: []float32{1, 1, 1, 2, 2, 2}}
	with := func(s device.AugmentSpec, flip device.FlipMode, crop, cutout int) device.AugmentSpec {
		s.Flip, s.Crop, s.Cutout = flip, crop, cutout
		return s
	}
	cifar := with(color, device.FlipAlternating, 2, 12)
	cifar.H, cifar.W = 32, 32
	return map[string]device.AugmentSpec{
		"plain": color, "flip-random": with(color, device.FlipRandom, 0, 0), "flip-alternating": with(color, device.FlipAlternating, 0, 0),
		"crop": with(color, device.FlipNone, 2, 0), "crop-largest": with(gray, device.FlipNone, 4, 0), "cutout": with(color, device.FlipNone, 0, 3),
		"cutout-all": with(gray, device.FlipNone, 0, 5), "all": with(color, device.FlipRandom, 4, 2), "six-channels": with(many, device.FlipRandom, 2, 2),
		"cifar": cifar,
	}
}

// change is what happens to one image.
type change struct {
	dy, dx    int
	mirror    bool
	top, left int
	cutout    int
}

// changeOf draws the change of image id in an epoch with the generator of package device.
func changeOf(s device.AugmentSpec, id, epoch int32) change {
	word0, word1, word2, _ := device.Random(s.Seed, device.StreamAugment, uint32(epoch), 2*uint64(id))
	top, left, _, _ := device.Random(s.Seed, device.StreamAugment, uint32(epoch), 2*uint64(id)+1)
	once, _, _, _ := device.Random(s.Seed, device.StreamAugment, 0, 2*uint64(id))
	c := change{dy: device.Below(word1, 2*s.Crop+1) - s.Crop, dx: device.Below(word2, 2*s.Crop+1) - s.Crop, cutout: s.Cutout}
	c.top, c.left = device.Below(top, s.H-s.Cutout+1), device.Below(left, s.W-s.Cutout+1)
	switch s.Flip {
	case device.FlipRandom:
		c.mirror = word0>>31 == 1
	case device.FlipAlternating:
		c.mirror = (once>>31+uint32(epoch))%2 == 1
	}
	return c
}

func reflect(i, n int) int {
	if i < 0 {
		return -i
	}
	if i >= n {
		return 2*(n-1) - i
	}
	return i
}

// table is the normalisation of every value of every channel, as the CPU device computes it.
func table(s device.AugmentSpec) []float64 {
	var t []float64
	for c := range s.C {
		for v := range 256 {
			t = append(t, float64(float32((float64(v)/255-float64(s.Mean[c]))/float64(s.Std[c]))))
		}
	}
	return t
}

// changed returns image x after a change.
func changed(s device.AugmentSpec, x []byte, c change) []float64 {
	normalized := table(s)
	var y []float64
	for i := range s.H {
		for j := range s.W {
			row, col := reflect(i+c.dy, s.H), reflect(j+c.dx, s.W)
			if c.mirror {
				col = s.W - 1 - col
			}
			for k := range s.C {
				v := normalized[256*k+int(x[(row*s.W+col)*s.C+k])]
				if i >= c.top && i < c.top+c.cutout && j >= c.left && j < c.left+c.cutout {
					v = 0
				}
				y = append(y, v)
			}
		}
	}
	return y
}

func TestAugment(t *testing.T) {
	for label, spec := range augmentSpecs() {
		for _, s := range storages() {
			for _, gather := range []bool{false, true} {
				spec.Gather = gather
				t.Run(name(label, s, gather), func(t *testing.T) { testAugment(t, spec, s) })
			}
		}
	}
}

// testAugment expects the same bits as the formula with the CPU's table. Without gathering, one
// image has an id whose double doesn't fit in 32 bits.
func testAugment(t *testing.T, spec device.AugmentSpec, s kernels.Storage) {
	const set = 9
	size, src := spec.H*spec.W*spec.C, newSource("augment")
	images := src.octets(set * size)
	ids := []int32{0, set - 1, set - 1, 3, 5}[:spec.N]
	if !spec.Gather {
		ids = []int32{59999, 0, math.MaxInt32, 7, 5}[:spec.N]
	}
	epochs := []int32{0, 1, 77}
	fixed := []change{{}, {dy: spec.H - 1, dx: 1 - spec.W, mirror: true}, {dy: -1, dx: 1}}
	results := run(t, func(h *host) []pointer {
		x, numbers, values := h.upload(images), h.upload(int32s(ids...)), h.upload(encode(kernels.Float32, table(spec)))
		grid := kernels.Grid{X: spec.N, Y: 1}
		var all []pointer
		for _, epoch := range epochs {
			y := h.blank(spec.N * size * formatOf(s).bytes())
			h.launch(kernels.AugmentTrain.In(s), grid, y, x, numbers, h.upload(int32s(epoch)), values, spec.H, spec.W, spec.C,
				int(spec.Flip), spec.Crop, spec.Cutout, int(uint32(spec.Seed)), int(uint32(spec.Seed>>32)), int(device.StreamAugment), spec.Gather, set)
			all = append(all, y)
		}
		if !spec.Gather {
			numbers = null
		}
		for _, c := range fixed {
			y := h.blank(spec.N * size * formatOf(s).bytes())
			h.launch(kernels.AugmentNormalize.In(s), grid, y, x, numbers, values, spec.H, spec.W, spec.C, c.dy, c.dx, c.mirror, spec.Gather, set)
			all = append(all, y)
		}
		return all
	})
	for i, got := range results {
		var want []byte
		for n, id := range ids {
			image := n
			if spec.Gather {
				image = int(id)
			}
			c := fixed[max(i-len(epochs), 0)]
			if i < len(epochs) {
				c = changeOf(spec, id, epochs[i])
			}
			for _, v := range changed(spec, images[image*size:(image+1)*size], c) {
				want = append(want, encode(s, []float64{formatOf(s).round(v)})...)
			}
		}
		if !bytes.Equal(got, want) {
			t.Errorf("result %d differs from the formula", i)
		}
	}
}

// The id of an image that doesn't exist gives NaN and the label -1.
func TestGatherOfWrongIDs(t *testing.T) {
	spec := augmentSpecs()["all"]
	size := spec.H * spec.W * spec.C
	ids := []int32{-1, 1, 2, math.MaxInt32, math.MinInt32}
	results := run(t, func(h *host) []pointer {
		x, numbers, y := h.upload(newSource("x").octets(2*size)), h.upload(int32s(ids...)), h.blank(5*size*4)
		labels, dst := h.upload(int32s(40, 41)), h.blank(20)
		h.launch(kernels.AugmentNormalize.In(kernels.Float32), kernels.Grid{X: 5, Y: 1}, y, x, numbers, h.upload(encode(kernels.Float32, table(spec))),
			spec.H, spec.W, spec.C, 0, 0, 0, true, 2)
		h.launch(kernels.GatherLabels.In(kernels.Float32), kernels.OnePerThread(5), dst, labels, numbers, 5, 2)
		return []pointer{y, dst}
	})
	for i, v := range decode(kernels.Float32, results[0]) {
		if wrong := i/size != 1; wrong != math.IsNaN(v) {
			t.Fatalf("element %d of image %d, number %d of 2, is %v", i%size, i/size, ids[i/size], v)
		}
	}
	if got := decodeInt32s(results[1]); !slices.Equal(got, []int32{-1, 41, -1, -1, -1}) {
		t.Errorf("labels %v", got)
	}
}

func TestDropout(t *testing.T) {
	for _, s := range storages() {
		for _, rate := range []float32{0, 0.1, 0.5, 0.9} {
			for _, n := range []int{1, 4, 67, 4099} {
				t.Run(name(s, rate, n), func(t *testing.T) { testDropout(t, s, rate, n) })
			}
		}
	}
}

// testDropout expects exactly the elements that the generator of package device keeps, out of
// place and in place, aligned or not.
func testDropout(t *testing.T, s kernels.Storage, rate float32, n int) {
	const seed, step = 0x9E3779B97F4A7C15, 123456789
	stream := device.StreamDropout.Sub(3)
	x := newSource("dropout").values(n, s)
	x[0] = math.NaN() // a dropped element becomes 0, whatever it was
	scale := float32(1 / (1 - float64(rate)))
	results := run(t, func(h *host) []pointer {
		at := h.upload(int32s(step))
		plain, unaligned, y := h.upload(encode(s, x)), h.uploadAt(formatOf(s).bytes(), encode(s, x)), h.blank(n*formatOf(s).bytes())
		launch := func(y, x pointer, grid kernels.Grid) {
			h.launch(kernels.Dropout.In(s), grid, y, x, at, n, rate, scale, int(uint32(seed&0xFFFFFFFF)), int(uint32(seed>>32)), int(uint32(stream)))
		}
		launch(y, plain, kernels.FourPerThread(n))
		launch(unaligned, unaligned, kernels.FourPerThread(n))
		launch(plain, plain, kernels.Grid{X: 1, Y: 1})
		return []pointer{y, unaligned, plain}
	})
	for r, result := range results {
		for i, got := range decode(s, result) {
			want := 0.0
			if device.Uniform(device.RandomWord(seed, stream, step, uint64(i))) >= rate {
				want = formatOf(s).round(float64(float32(x[i]) * scale))
			}
			if got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
				t.Fatalf("result %d: element %d, %v, became %v, want %v", r, i, x[i], got, want)
			}
		}
	}
}
