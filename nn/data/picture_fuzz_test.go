package data

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"path/filepath"
	"testing"
)

func FuzzPicture(f *testing.F) {
	im := image.NewPaletted(image.Rect(0, 0, 5, 4), color.Palette{color.Black, color.White, color.NRGBA{}})
	for _, encode := range []func(*bytes.Buffer) error{
		func(b *bytes.Buffer) error { return png.Encode(b, im) },
		func(b *bytes.Buffer) error { return png.Encode(b, image.NewNRGBA64(im.Rect)) },
		func(b *bytes.Buffer) error { return jpeg.Encode(b, image.NewGray(im.Rect), nil) },
		func(b *bytes.Buffer) error {
			return jpeg.Encode(b, image.NewYCbCr(image.Rect(0, 0, 70, 50), image.YCbCrSubsampleRatio420), nil)
		},
		func(b *bytes.Buffer) error { return jpeg.Encode(b, noise(40, 60), nil) },
		func(b *bytes.Buffer) error { return gif.Encode(b, im, nil) },
	} {
		var b bytes.Buffer
		if err := encode(&b); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	path := filepath.Join(f.TempDir(), "picture")
	r := pictureReader{h: 3, w: 4, c: 3, resize: ResizeCrop, decoding: newPictureMemory(0)}
	dst := make([]byte, 3*4*3)
	f.Fuzz(func(t *testing.T, raw []byte) {
		writeFile(t, path, raw)
		info, err := r.readPictureInfo(osTree(filepath.Dir(path)), filepath.Base(path))
		if err != nil || info.h*info.w > 1<<16 { // larger ones take time, not memory
			return
		}
		if info.memory <= 0 || info.memory > minDecodeMemory {
			t.Fatalf("%dx%d pixels take %d bytes", info.h, info.w, info.memory)
		}
		_, got := r.decode(context.Background(), osTree(filepath.Dir(path)), filepath.Base(path), info, dst)
		if _, _, want := image.Decode(bytes.NewReader(raw)); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("error %v, want %v", got, want) // whichever decoder reads a file, it is damaged or not
		}
		if free := r.decoding.free; !free.TryAcquire(r.decoding.limit) {
			t.Fatal("memory was taken and not given back")
		} else {
			free.Release(r.decoding.limit)
		}
	})
}

// noise returns a picture of random samples.
func noise(h, w int) image.Image {
	return randomYCbCr(rand.New(rand.NewPCG(1, 2)), image.Point{}, h, w, image.YCbCrSubsampleRatio420)
}
