package data

import (
	"context"
	"fmt"
	"image"
	"image/color"
)

// Preparation says how a picture becomes an image of a data set, H x W pixels of C channels: laid on the background where
// it is transparent, turned upright, resized, and for one channel made gray (ITU-R BT.601 luma).
type Preparation struct {
	H, W, C           int
	Resize            Resize      // "" means ResizeStretch
	Background        color.NRGBA // the zero value means white
	IgnoreOrientation bool        // read files as they are stored, not as their EXIF orientation says
}

// Len returns the number of bytes of an image.
func (p Preparation) Len() int { return p.H * p.W * p.C }

func (p Preparation) reader() *pictureReader {
	r := &pictureReader{h: p.H, w: p.W, c: p.C, resize: p.Resize, background: p.Background, ignoreOrientation: p.IgnoreOrientation, decoding: newPictureMemory(defaultMaxMemory)}
	if r.resize == "" {
		r.resize = ResizeStretch
	}
	if r.background == (color.NRGBA{}) {
		r.background = color.NRGBA{R: 255, G: 255, B: 255, A: 255}
	}
	return r
}

// Image writes the pixels of a picture to dst [H, W, C].
func (p Preparation) Image(dst []byte, im image.Image) error {
	if b := im.Bounds(); b.Empty() {
		return fmt.Errorf("the picture has %dx%d pixels", b.Dx(), b.Dy())
	}
	p.reader().pixels(im, 1, dst)
	return nil
}

// File reads a picture file in any of the formats of a folder's pictures, and writes its pixels to dst [H, W, C]. A
// picture that takes more than 2 GiB to decode is an error.
func (p Preparation) File(dst []byte, path string) error {
	return p.Decoder(defaultMaxMemory).File(context.Background(), dst, path)
}
