package data

import (
	"bytes"
	"context"
	"image"
	"image/jpeg"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"trainer/nn/data/internal/scaledjpeg"
)

// photograph returns a picture with detail of all sizes, as photographs have it: noise of 1, 2, 4, ... pixels, whose
// amplitude grows with its size, and an edge.
func photograph(h, w int) *image.YCbCr {
	rng := rand.New(rand.NewPCG(9, 10))
	im := image.NewYCbCr(image.Rect(0, 0, w, h), image.YCbCrSubsampleRatio420)
	fill := func(pix []byte, stride, h, w int, amplitude float64) {
		sums := make([]float64, h*w)
		for size := 1; size <= 64; size *= 2 {
			grid := make([]float64, (h/size+2)*(w/size+2))
			for i := range grid {
				grid[i] = amplitude * math.Sqrt(float64(size)) * rng.NormFloat64()
			}
			for i := range sums {
				y, x := i/w, i%w
				sums[i] += grid[y/size*(w/size+2)+x/size]
			}
		}
		for i, v := range sums {
			if i%w > w/3 {
				v += 10 * amplitude
			}
			pix[i/w*stride+i%w] = byte(min(max(v+110, 0), 255))
		}
	}
	fill(im.Y, im.YStride, h, w, 5)
	fill(im.Cb, im.CStride, (h+1)/2, (w+1)/2, 2)
	fill(im.Cr, im.CStride, (h+1)/2, (w+1)/2, 2)
	return im
}

// encoded returns a picture as a JPEG file.
func encoded(t *testing.T, im image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, im, &jpeg.Options{Quality: 90}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// scaled decodes a file with decodeScaled, and fails if it can't.
func scaled(t *testing.T, r *pictureReader, raw []byte, orientation int) []byte {
	t.Helper()
	config, err := jpeg.DecodeConfig(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	info := pictureInfo{orientation: orientation}
	info.h, info.w = uprightSize(config.Height, config.Width, orientation)
	dst := make([]byte, r.h*r.w*r.c)
	if !r.decodeScaled(context.Background(), bytes.NewReader(raw), info, dst) {
		t.Fatalf("%dx%d: not decoded", info.h, info.w)
	}
	return dst
}

// unscaledPixels decodes a file with image/jpeg.
func unscaledPixels(t *testing.T, r *pictureReader, raw []byte, orientation int) []byte {
	t.Helper()
	im, err := jpeg.Decode(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	dst := make([]byte, r.h*r.w*r.c)
	r.pixels(im, orientation, dst)
	return dst
}

// TestScaledQuality measures what scaling while decoding changes: nothing if the picture is less than four times as large as
// the image, and little otherwise. 44 dB are a root of the mean square of 1.6 levels of 255; JPEG files of quality 90 are
// themselves about 35 to 40 dB from their originals.
func TestScaledQuality(t *testing.T) {
	raw := encoded(t, photograph(375, 500))
	for _, resize := range Resizes() {
		for _, size := range []int{16, 24, 32, 48, 64, 93, 94, 128, 224, 400} {
			r := &pictureReader{h: size, w: size, c: 3, resize: resize, decoding: newPictureMemory(0)}
			got, want := scaled(t, r, raw, 1), unscaledPixels(t, r, raw, 1)
			squares := 0.0
			for i := range got {
				squares += math.Pow(float64(got[i])-float64(want[i]), 2)
			}
			psnr := 10 * math.Log10(255*255*float64(len(got))/squares)
			t.Logf("%s to %d: %.1f dB", resize, size, psnr)
			isExact := 4*size > 375 && resize != ResizePad || 4*size > 500
			if psnr < 44 || isExact != math.IsInf(psnr, 1) {
				t.Errorf("%s to %d: %.1f dB", resize, size, psnr)
			}
		}
	}
}

// TestScaledWays compares the decoders for all orientations, ways to resize, channels and kinds of pictures, at sizes
// where scaling changes little or nothing.
func TestScaledWays(t *testing.T) {
	gray := image.NewGray(image.Rect(0, 0, 75, 60))
	copy(gray.Pix, photograph(60, 75).Y)
	for name, im := range map[string]image.Image{"colours": photograph(61, 77), "gray": gray} {
		raw := encoded(t, im)
		b := im.Bounds()
		for orientation := 1; orientation <= 8; orientation++ {
			h, w := uprightSize(b.Dy(), b.Dx(), orientation)
			for _, resize := range Resizes() {
				for _, c := range []int{1, 3} {
					for _, size := range [][2]int{{h, w}, {30, 20}, {9, 8}, {1, 1}, {100, 90}} {
						r := &pictureReader{h: size[0], w: size[1], c: c, resize: resize, decoding: newPictureMemory(0)}
						got, want := scaled(t, r, raw, orientation), unscaledPixels(t, r, raw, orientation)
						bound := 0
						if 4*size[0] <= h || 4*size[1] <= w {
							bound = 8
						}
						for i := range got {
							if d := int(got[i]) - int(want[i]); d > bound || d < -bound {
								t.Fatalf("%s, orientation %d, %s to %v, %d channels: byte %d is %d, want %d", name, orientation, resize, size, c, i, got[i], want[i])
							}
						}
					}
				}
			}
		}
	}
}

// TestScaledProgressive compares the decoders for progressive files.
func TestScaledProgressive(t *testing.T) {
	files, err := filepath.Glob("internal/scaledjpeg/testdata/*.jpg")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, size := range []int{4, 9, 30, 100} {
			r := &pictureReader{h: size, w: size, c: 3, resize: ResizeCrop, decoding: newPictureMemory(0)}
			got, want := scaled(t, r, raw, 1), unscaledPixels(t, r, raw, 1)
			bound := 0
			if size < 30 {
				bound = 12 // noise has much of what a smaller transform leaves out
			}
			for i := range got {
				if d := int(got[i]) - int(want[i]); d > bound || d < -bound {
					t.Fatalf("%s to %d: byte %d is %d, want %d", file, size, i, got[i], want[i])
				}
			}
		}
	}
}

// TestScaledMemory measures what decoding a large picture to a small image allocates: less than the memory that is
// taken for it, and a fraction of the picture.
func TestScaledMemory(t *testing.T) {
	raw := encoded(t, photograph(750, 1000))
	for _, size := range []int{32, 100, 700} {
		r := &pictureReader{h: size, w: size, c: 3, resize: ResizeStretch, decoding: newPictureMemory(0)}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		scaled(t, r, raw, 1)
		runtime.ReadMemStats(&after)
		var d scaledjpeg.Decoder
		header, err := d.ReadHeader(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		wanted, _ := r.wanted(header, 1)
		took, said := int64(after.TotalAlloc-before.TotalAlloc), r.scaledMemory(header, wanted, 1)
		if took > said+64<<10 { // image/jpeg.DecodeConfig
			t.Errorf("to %d: %d bytes allocated, %d foreseen", size, took, said)
		}
		if full := int64(3 * 750 * 1000); size == 32 && said > full/4 {
			t.Errorf("to %d: %d bytes foreseen, the picture has %d", size, said, full)
		}
	}
}

// TestScaledPictureOfAnotherSize is a file that was replaced after its header was read.
func TestScaledPictureOfAnotherSize(t *testing.T) {
	r := &pictureReader{h: 8, w: 8, c: 3, resize: ResizeStretch, decoding: newPictureMemory(0)}
	raw := encoded(t, photograph(40, 50))
	if r.decodeScaled(context.Background(), bytes.NewReader(raw), pictureInfo{h: 30, w: 30, orientation: 1}, make([]byte, 8*8*3)) {
		t.Error("decoded")
	}
}
