package kernels_test

import (
	"bytes"
	"fmt"
	"math"
	"testing"

	"trainer/kernels"
	"trainer/nn/augment"
	"trainer/nn/device"
)

// TestImageOps checks the kernel of every image operation against the operation's formula, on images with three
// channels and with one. The operation is not applied to the last image of the batch.
func TestImageOps(t *testing.T) {
	for _, kind := range augment.Kinds() {
		for _, channels := range []int{3, 1} {
			t.Run(name(kind.Name, channels), func(t *testing.T) {
				spec := device.TransformSpec{N: 5, H: 21, W: 26, C: channels, Mean: []float32{0.5, 0.25, 0.75}[:channels], Std: []float32{1, 1, 1}[:channels]}
				drawer := augment.List{{Transform: kind.New(), P: 1}}.NewDrawer(&spec, 0xC0FFEE12345678)
				drawn := make([]float32, spec.N*spec.Columns())
				drawer.Draw(drawn, []int32{0, 7, 59999, 3, math.MaxInt32}, 2)
				testImageOps(t, spec, drawn)
			})
		}
	}
}

// testImageOps applies each operation of the spec by itself to images whose values are bytes divided by 255.
func testImageOps(t *testing.T, spec device.TransformSpec, drawn []float32) {
	size := spec.H * spec.W * spec.C
	octets := newSource("image").octets(spec.N * size)
	pixels, mean, table := make([]float64, len(octets)), make([]float64, spec.C), make([]float64, len(drawn))
	for i, b := range octets {
		pixels[i] = float64(float32(b) / 255)
	}
	for i, v := range drawn {
		table[i] = float64(v)
	}
	for i, v := range spec.Mean {
		mean[i] = float64(v)
	}
	results := run(t, func(h *host) []pointer {
		var all []pointer
		for k, op := range spec.Ops {
			x, scratch := h.upload(encode(kernels.Float32, pixels)), h.blank(4*len(pixels))
			if op.Mixes {
				scratch = h.upload(encode(kernels.Float32, pixels))
			}
			h.launch(kernels.Name("image_"+op.Name), kernels.Grid{X: spec.N, Y: 1}, x, scratch, h.upload(encode(kernels.Float32, table)),
				h.upload(encode(kernels.Float32, mean)), spec.H, spec.W, spec.C, spec.Columns(), spec.Column(k))
			all = append(all, x)
		}
		return all
	})
	for k, op := range spec.Ops {
		got := decode(kernels.Float32, results[k])
		for n := range spec.N {
			row := table[n*spec.Columns()+spec.Column(k):]
			x, other := imageOf(spec, pixels, mean, n), imageOf(spec, pixels, mean, (n+1)%spec.N)
			if err := wantImage(op, x, other, got[n*size:][:size], row[0] != 0, row[1:][:op.Params]); err != nil {
				t.Errorf("%s, image %d: %v", op.Name, n, err)
			}
		}
	}
}

func imageOf(spec device.TransformSpec, pixels, mean []float64, n int) device.Image {
	size := spec.H * spec.W * spec.C
	return device.Image{H: spec.H, W: spec.W, C: spec.C, Pix: pixels[n*size:][:size], Mean: mean}
}

// wantImage compares an image with the operation's formula, or with x if the operation is not applied.
func wantImage(op *device.ImageOp, x, other device.Image, got []float64, on bool, p []float64) error {
	want, gain, ulps := x, 1.0, 0.0
	if on {
		want.Pix = make([]float64, len(x.Pix))
		op.Apply(want, x, other, p)
		gain, ulps = op.Error(x, p)
	}
	allowed := (gain + ulps) / (1 << 23)
	for i, v := range want.Pix {
		if !(math.Abs(got[i]-v) <= allowed) {
			return fmt.Errorf("element %d of parameters %v is %v, want %v, off by more than %.3g", i, p, got[i], v, allowed)
		}
	}
	return nil
}

// A label that is not a class gives a row of NaN, and an id of an image that is not in the set gives an image of NaN.
func TestTransformOfWrongNumbers(t *testing.T) {
	results := run(t, func(h *host) []pointer {
		dst, y, x := h.blank(4*3*2), h.blank(4*2*4), h.blank(4*2*4)
		h.launch(kernels.TransformTargets.In(kernels.Float32), kernels.OnePerThread(3), dst, h.upload(int32s(1, 2, -1)), h.upload(make([]byte, 12)), 3, 2, 1, 0)
		ids, ones := h.upload(int32s(0, 3)), h.upload(encode(kernels.Float32, []float64{1}))
		h.launch(kernels.TransformLoad.In(kernels.Float32), kernels.Grid{X: 2, Y: 1}, x, h.upload(bytes.Repeat([]byte{51}, 8)), ids, 4, 2)
		h.launch(kernels.TransformNormalize.In(kernels.Float32), kernels.Grid{X: 2, Y: 1}, y, x, ids, ones, ones, 4, 1, 2)
		return []pointer{dst, y}
	})
	for i, v := range decode(kernels.Float32, results[0]) {
		if i/2 == 0 && v != float64(i) || i/2 > 0 && !math.IsNaN(v) {
			t.Errorf("target %d is %v", i, v)
		}
	}
	for i, v := range decode(kernels.Float32, results[1]) {
		if i/4 == 0 && math.Abs(v+0.8) > 1e-6 || i/4 > 0 && !math.IsNaN(v) {
			t.Errorf("pixel %d is %v", i, v)
		}
	}
}
