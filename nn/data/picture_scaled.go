package data

import (
	"context"
	"image"
	"io"

	"trainer/nn/bounded"
	"trainer/nn/data/internal/scaledjpeg"
)

// A photograph has many more pixels than the image that it becomes. JPEG files are therefore decoded by package scaledjpeg,
// each plane at the smallest scale that leaves at least minSamples samples per pixel of the image in each direction, and only
// the part that the image shows. What the package refuses, such as CMYK and damaged files, image/jpeg decodes, or says what
// is wrong with it.

// minSamples is the number of samples per pixel, in each direction, down to which a plane may be scaled while it is decoded.
// TestScaledQuality measures what that changes.
const minSamples = 2

// decodeScaled decodes a JPEG file to dst, and reports whether it could. If not, dst is unchanged.
func (r *pictureReader) decodeScaled(ctx context.Context, file io.Reader, info pictureInfo, dst []byte) bool {
	d, _ := r.jpegs.Get().(*scaledjpeg.Decoder)
	if d == nil {
		d = &scaledjpeg.Decoder{}
	}
	defer func() {
		if d.Kept() <= maxKeptPlanes {
			r.jpegs.Put(d)
		}
	}()
	header, err := d.ReadHeader(bounded.Context(ctx, file))
	if err != nil {
		return false
	}
	bounds := image.Rect(0, 0, header.W, header.H)
	if h, w := uprightSize(header.H, header.W, info.orientation); h != info.h || w != info.w {
		return false // another file than the one whose header was read
	}
	wanted, planes := r.wanted(header, info.orientation)
	done, err := r.decoding.take(ctx, r.scaledMemory(header, wanted, info.orientation))
	if err != nil {
		return false
	}
	defer done()
	decoded, err := d.Read(wanted)
	if err != nil {
		return false
	}
	for k, p := range decoded {
		planes[k].pix, planes[k].stride = p.Pix, p.Stride
	}
	if r.hasSize(bounds, info.orientation) {
		r.pixels(unscaled(planes, bounds), info.orientation, dst)
	} else {
		r.resizePlanes(planes, bounds, info.orientation, dst)
	}
	return true
}

// maxKeptPlanes is how many bytes of planes a decoder may have and still be used again.
const maxKeptPlanes = 4 << 20

// wanted returns what is wanted of each component, and planes for it that have no samples yet.
func (r *pictureReader) wanted(header *scaledjpeg.Header, orientation int) ([]scaledjpeg.Wanted, []sampled) {
	bounds := image.Rect(0, 0, header.W, header.H)
	p, isSame := r.place(bounds, orientation), r.hasSize(bounds, orientation)
	wanted := make([]scaledjpeg.Wanted, len(header.Components))
	planes := make([]sampled, len(header.Components))
	for k, c := range header.Components {
		planes[k].steps = [2]int{c.Down, c.Across}
		if r.c == 1 && k > 0 && !isSame {
			continue
		}
		scale := 1
		if !isSame {
			scale = scaleFor(p, c)
		}
		planes[k].steps = [2]int{c.Down * scale, c.Across * scale}
		wanted[k] = scaledjpeg.Wanted{
			Scale: scale, Y0: p.from.Min.Y / c.Down, X0: p.from.Min.X / c.Across,
			Y1: (p.from.Max.Y + c.Down - 1) / c.Down, X1: (p.from.Max.X + c.Across - 1) / c.Across,
		}
	}
	return wanted, planes
}

// scaleFor returns the scale at which a component is decoded.
func scaleFor(p placement, c scaledjpeg.Component) int {
	scale := 8
	for scale > 1 && (p.from.Dy() < minSamples*scale*c.Down*p.outH || p.from.Dx() < minSamples*scale*c.Across*p.outW) {
		scale /= 2
	}
	return scale
}

// scaledMemory returns the most bytes that decoding and resizing take: the planes, and as much as memory counts for
// the image; the rows of the largest plane at the new width, in two bytes; and the decoder with its buffer.
func (r *pictureReader) scaledMemory(header *scaledjpeg.Header, wanted []scaledjpeg.Wanted, orientation int) int64 {
	p := r.place(image.Rect(0, 0, header.W, header.H), orientation)
	rows := int64(header.H / wanted[0].Scale)
	return header.Memory(wanted) + 8*int64(r.h)*int64(r.w) + 2*(rows+16)*int64(p.outW) + scaledjpeg.FixedMemory
}

// unscaled returns the picture of planes at full scale.
func unscaled(planes []sampled, bounds image.Rectangle) image.Image {
	luma := planes[0]
	if len(planes) == 1 {
		return &image.Gray{Pix: luma.pix, Stride: luma.stride, Rect: bounds}
	}
	im := &image.YCbCr{
		Y: luma.pix, YStride: luma.stride, Cb: planes[1].pix, Cr: planes[2].pix, CStride: planes[1].stride, Rect: bounds,
	}
	for ratio, steps := range chromaSteps {
		if steps == planes[1].steps {
			im.SubsampleRatio = ratio
		}
	}
	return im
}

// uprightSize returns the size of a stored picture of h x w pixels when it is upright.
func uprightSize(h, w, orientation int) (int, int) {
	if orientation >= 5 { // a quarter turn
		return w, h
	}
	return h, w
}
