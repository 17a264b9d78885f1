package data

import (
	"fmt"
	"sync"
)

// resizedSet has the images of a set in another size.
type resizedSet struct {
	Set
	h, w   int
	spares sync.Pool // of *imageResizer
}

// Resized returns the images of a set in another size, resampled as pictures of a folder are (see triangle.go). Each Read
// resizes an image anew, into memory that is used again. It panics if the size has no pixels.
func Resized(set Set, h, w int) Set {
	if h < 1 || w < 1 {
		panic(fmt.Sprintf("data: Resized: %dx%d, want at least one pixel", h, w))
	}
	if oldH, oldW, _ := set.ImageShape(); oldH == h && oldW == w {
		return set
	}
	return &resizedSet{Set: set, h: h, w: w}
}

// ImageShape returns the new size.
func (s *resizedSet) ImageShape() (h, w, c int) {
	_, _, c = s.Set.ImageShape()
	return s.h, s.w, c
}

// Read writes the resized image.
func (s *resizedSet) Read(i int, dst []byte) (int32, error) {
	z, _ := s.spares.Get().(*imageResizer)
	if z == nil {
		z = newImageResizer(s.Set, s.h, s.w)
	}
	defer s.spares.Put(z)
	label, err := s.Set.Read(i, z.image)
	if err == nil {
		z.resize(dst)
	}
	return label, err
}

// imageResizer resizes images [h, w, c] channel by channel.
type imageResizer struct {
	resampler
	image    []byte // [h, w, c]
	in       plane  // a channel of it
	out      []byte // the channel, resized
	c        int
	toH, toW int
}

func newImageResizer(set Set, toH, toW int) *imageResizer {
	h, w, c := set.ImageShape()
	z := &imageResizer{
		image: make([]byte, h*w*c), in: plane{make([]byte, h*w), w, h, w}, out: make([]byte, toH*toW), c: c, toH: toH, toW: toW,
	}
	z.rows.set(toH, 0, float64(h), h)
	z.columns.set(toW, 0, float64(w), w)
	return z
}

// resize writes the resized image to dst.
func (z *imageResizer) resize(dst []byte) {
	for k := range z.c {
		for i := range z.in.pix {
			z.in.pix[i] = z.image[i*z.c+k]
		}
		z.apply(z.out, z.toH, z.toW, z.in)
		for i, v := range z.out {
			dst[i*z.c+k] = v
		}
	}
}
