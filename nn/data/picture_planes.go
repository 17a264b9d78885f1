package data

import (
	"image"
	"image/color"
)

// Pictures that are stored as luma, or as luma and chroma, as JPEG files are, are resized before their colours are converted
// and before they are turned upright. Chroma has a quarter of the pixels in most photographs, and few pixels are left to
// convert and turn, so that this takes a fifth of the time of resizing colours.

// chromaSteps are the pixels per chroma sample, down and across.
var chromaSteps = map[image.YCbCrSubsampleRatio][2]int{
	image.YCbCrSubsampleRatio444: {1, 1}, image.YCbCrSubsampleRatio422: {1, 2}, image.YCbCrSubsampleRatio420: {2, 2},
	image.YCbCrSubsampleRatio440: {2, 1}, image.YCbCrSubsampleRatio411: {1, 4}, image.YCbCrSubsampleRatio410: {2, 4},
}

// sampled is a plane of a picture, from the picture's first row and column on: a sample per steps pixels, down and across.
type sampled struct {
	pix    []byte
	stride int
	steps  [2]int
}

// planesOf returns the planes of a picture that is stored as luma, or as luma and chroma, and nil for others.
func planesOf(im image.Image) []sampled {
	one := [2]int{1, 1}
	switch im := im.(type) {
	case *image.Gray:
		return []sampled{{im.Pix, im.Stride, one}}
	case *image.YCbCr:
		steps := chromaSteps[im.SubsampleRatio]
		return []sampled{{im.Y, im.YStride, one}, {im.Cb, im.CStride, steps}, {im.Cr, im.CStride, steps}}
	}
	return nil
}

// planeResizer resizes planes, and has the buffers for it.
type planeResizer struct {
	resampler
	planes [3][]byte
}

// placement says which part of a picture becomes which part of an image.
type placement struct {
	from       image.Rectangle // in the stored picture
	outH, outW int             // as stored: the size that from becomes
	to         image.Rectangle // in the image, upright
}

// place returns the placement of a stored picture.
func (r *pictureReader) place(stored image.Rectangle, orientation int) placement {
	h, w := stored.Dy(), stored.Dx() // upright, as is from
	if orientation >= 5 {
		h, w = w, h
	}
	from, to := r.rectangles(image.Rect(0, 0, w, h))
	p := placement{storedRect(from, orientation, stored.Dy(), stored.Dx()).Add(stored.Min), to.Dy(), to.Dx(), to}
	if orientation >= 5 {
		p.outH, p.outW = p.outW, p.outH
	}
	return p
}

// resizePlanes writes a picture of the given bounds to dst in the reader's size. For one channel it needs only the luma,
// which is the brightness of the same ITU-R BT.601 that gray images have.
func (r *pictureReader) resizePlanes(planes []sampled, bounds image.Rectangle, orientation int, dst []byte) {
	p := r.place(bounds, orientation)
	z, _ := r.scratch.Get().(*planeResizer)
	if z == nil {
		z = &planeResizer{}
	}
	defer r.scratch.Put(z)
	if r.c == 1 {
		planes = planes[:1]
	}
	for k, in := range planes {
		z.plane(k, p, in, bounds)
	}
	if p.to.Dx() < r.w || p.to.Dy() < r.h {
		r.fill(dst)
	}
	for y := range p.to.Dy() {
		row := dst[((p.to.Min.Y+y)*r.w+p.to.Min.X)*r.c:][:p.to.Dx()*r.c]
		z.writeRow(row, y, p, orientation, len(planes), r.c)
	}
}

// writeRow writes row y of the upright part of the image that a picture of so many planes becomes.
func (z *planeResizer) writeRow(row []byte, y int, p placement, orientation, planes, c int) {
	sy, sx := storedAt(y, 0, orientation, p.outH, p.outW)
	i := sy*p.outW + sx
	step := 0 // from one pixel of the row to the next, as stored
	if p.to.Dx() > 1 {
		sy, sx = storedAt(y, 1, orientation, p.outH, p.outW)
		step = sy*p.outW + sx - i
	}
	luma := z.planes[0]
	switch {
	case c == 1:
		for x := range row {
			row[x] = luma[i]
			i += step
		}
	case planes == 1:
		for ; len(row) >= 3; row = row[3:] {
			row[0], row[1], row[2] = luma[i], luma[i], luma[i]
			i += step
		}
	default:
		cb, cr := z.planes[1][:len(luma)], z.planes[2][:len(luma)]
		for ; len(row) >= 3; row = row[3:] {
			row[0], row[1], row[2] = color.YCbCrToRGB(luma[i], cb[i], cr[i])
			i += step
		}
	}
}

// plane resamples plane k of a picture.
func (z *planeResizer) plane(k int, p placement, s sampled, bounds image.Rectangle) {
	z.planes[k] = resized(z.planes[k], p.outH*p.outW)
	down, across := s.steps[0], s.steps[1]
	top, left := bounds.Min.Y/down, bounds.Min.X/across // of the first sample
	in := plane{s.pix, s.stride, (bounds.Max.Y+down-1)/down - top, (bounds.Max.X+across-1)/across - left}
	y0, x0 := float64(p.from.Min.Y)/float64(down)-float64(top), float64(p.from.Min.X)/float64(across)-float64(left)
	y1, x1 := float64(p.from.Max.Y)/float64(down)-float64(top), float64(p.from.Max.X)/float64(across)-float64(left)
	z.resample(z.planes[k], p.outH, p.outW, in, y0, x0, y1, x1)
}

// fill makes all of an image the background.
func (r *pictureReader) fill(dst []byte) {
	b := r.background
	for p := range r.h * r.w {
		if r.c == 1 {
			dst[p] = luma(b.R, b.G, b.B)
			continue
		}
		dst[3*p], dst[3*p+1], dst[3*p+2] = b.R, b.G, b.B
	}
}

// storedRect returns where a rectangle of the upright picture is in the stored one of h x w pixels.
func storedRect(upright image.Rectangle, orientation, h, w int) image.Rectangle {
	y0, x0 := storedAt(upright.Min.Y, upright.Min.X, orientation, h, w)
	y1, x1 := storedAt(upright.Max.Y-1, upright.Max.X-1, orientation, h, w)
	return image.Rect(min(x0, x1), min(y0, y1), max(x0, x1)+1, max(y0, y1)+1)
}
