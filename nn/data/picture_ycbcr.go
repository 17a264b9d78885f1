package data

import (
	"image"
	"image/color"
)

// Pictures that are stored as luma and chroma, as JPEG files are, are resized before their colours are converted and before
// they are turned upright. Chroma has a quarter of the pixels in most photographs, and few pixels are left to convert and
// turn, so that this takes a fifth of the time of resizing colours.

// chromaSteps are the pixels per chroma sample, down and across.
var chromaSteps = map[image.YCbCrSubsampleRatio][2]int{
	image.YCbCrSubsampleRatio444: {1, 1}, image.YCbCrSubsampleRatio422: {1, 2}, image.YCbCrSubsampleRatio420: {2, 2},
	image.YCbCrSubsampleRatio440: {2, 1}, image.YCbCrSubsampleRatio411: {1, 4}, image.YCbCrSubsampleRatio410: {2, 4},
}

// lumaChroma is a resizer of such pictures, with its buffers.
type lumaChroma struct {
	resampler
	planes [3][]byte
}

// resizeYCbCr writes the picture to dst in the reader's size. For one channel it needs only the luma, which is the
// brightness of the same ITU-R BT.601 that gray images have.
func (r *pictureReader) resizeYCbCr(im *image.YCbCr, orientation int, dst []byte) {
	b := im.Bounds()
	h, w := b.Dy(), b.Dx() // upright, as are from and to
	if orientation >= 5 {
		h, w = w, h
	}
	from, to := r.rectangles(image.Rect(0, 0, w, h))
	at := storedRect(from, orientation, b.Dy(), b.Dx()).Add(b.Min)
	outH, outW := to.Dy(), to.Dx() // as stored
	if orientation >= 5 {
		outH, outW = outW, outH
	}
	z, _ := r.scratch.Get().(*lumaChroma)
	if z == nil {
		z = &lumaChroma{}
	}
	defer r.scratch.Put(z)
	steps := chromaSteps[im.SubsampleRatio]
	z.plane(0, outH, outW, im.Y, im.YStride, [2]int{1, 1}, b, at)
	if r.c == 3 {
		z.plane(1, outH, outW, im.Cb, im.CStride, steps, b, at)
		z.plane(2, outH, outW, im.Cr, im.CStride, steps, b, at)
	}
	if to.Dx() < r.w || to.Dy() < r.h {
		r.fill(dst)
	}
	for y := range to.Dy() {
		row := dst[((to.Min.Y+y)*r.w+to.Min.X)*r.c:]
		for x := range to.Dx() {
			sy, sx := storedAt(y, x, orientation, outH, outW)
			p := sy*outW + sx
			if r.c == 1 {
				row[x] = z.planes[0][p]
				continue
			}
			row[3*x], row[3*x+1], row[3*x+2] = color.YCbCrToRGB(z.planes[0][p], z.planes[1][p], z.planes[2][p])
		}
	}
}

// plane resamples plane k of a picture, which has a sample per steps pixels: the rectangle at, in pixels.
func (z *lumaChroma) plane(k, h, w int, pix []byte, stride int, steps [2]int, bounds, at image.Rectangle) {
	z.planes[k] = resized(z.planes[k], h*w)
	down, across := steps[0], steps[1]
	top, left := bounds.Min.Y/down, bounds.Min.X/across // of the first sample
	in := plane{pix, stride, (bounds.Max.Y+down-1)/down - top, (bounds.Max.X+across-1)/across - left}
	y0, x0 := float64(at.Min.Y)/float64(down)-float64(top), float64(at.Min.X)/float64(across)-float64(left)
	y1, x1 := float64(at.Max.Y)/float64(down)-float64(top), float64(at.Max.X)/float64(across)-float64(left)
	z.resample(z.planes[k], h, w, in, y0, x0, y1, x1)
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
