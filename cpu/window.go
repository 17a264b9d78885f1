package cpu

// window describes how a convolution's im2col matrix is read from an NHWC image, without
// ever being stored whole: row p is an output pixel, column k an element of the filter, in
// the order (kH, kW, channel).
//
// Forward reads x with the convolution's own stride, padding and dilation. BackwardData is
// a convolution of dy with the flipped filters: it reads dy with stride 1, dilation d and
// padding d(k-1) - p, as an image whose elements are the forward stride apart (up), with
// zeros between them.
type window struct {
	srcH, srcW, srcC     int // the image that is read; srcC counts the channels of all groups
	channels             int // channels that one group reads
	outH, outW           int // pixels of the output
	kH, kW               int
	strideH, strideW     int
	padH, padW           int // above and at the left; may be negative for BackwardData
	endH, endW           int // padding below and at the right; may be negative
	dilationH, dilationW int
	upH, upW             int // distance of the image's elements, with zeros between them
	perImage             int // elements per image
	contiguous           bool
	runLen               int // elements that are copied at a time
}

// finish derives the fields that gather needs.
func (w *window) finish() window {
	w.perImage = w.srcH * w.srcW * w.srcC
	// Along a filter's row the channels of neighbouring taps are adjacent in the image,
	// unless dilation, groups or spreading leave gaps.
	w.contiguous = w.dilationW == 1 && w.upW == 1 && w.channels == w.srcC
	w.runLen = w.channels
	if w.contiguous {
		w.runLen *= w.kW
	}
	return *w
}

// length returns the number of columns of the im2col matrix: kH*kW*channels.
func (w *window) length() int { return w.kH * w.kW * w.channels }

// gather writes columns [k0, k1) of row p of the im2col matrix to dst. src holds all
// images; channel0 is the first channel of the group.
func (w *window) gather(dst, src []float32, p, k0, k1, channel0 int) {
	j := p % w.outW
	p /= w.outW
	i := p % w.outH
	image := src[p/w.outH*w.perImage:][:w.perImage]
	if w.contiguous {
		w.gatherRuns(dst, image, i, j, k0, k1)
		return
	}
	w.gatherTaps(dst, image, i, j, k0, k1, channel0)
}

// gatherRuns copies whole rows of the filter at a time.
func (w *window) gatherRuns(dst, image []float32, i, j, k0, k1 int) {
	rowLen := w.srcW * w.srcC
	column := (j*w.strideW - w.padW) * w.srcC
	for k := k0; k < k1; {
		a, within := k/w.runLen, k%w.runLen
		n := min(k1-k, w.runLen-within)
		out := dst[k-k0 : k-k0+n]
		k += n
		y := i*w.strideH - w.padH + a*w.dilationH
		if w.upH > 1 {
			if y < 0 || y%w.upH != 0 {
				clear(out)
				continue
			}
			y /= w.upH
		}
		if y < 0 || y >= w.srcH {
			clear(out)
			continue
		}
		x := column + within
		if x >= 0 && x+n <= rowLen {
			copyRun(out, image[y*rowLen+x:])
			continue
		}
		from, to := max(0, -x), min(n, rowLen-x)
		if from >= to {
			clear(out)
			continue
		}
		clear(out[:from])
		copy(out[from:to], image[y*rowLen+x+from:])
		clear(out[to:])
	}
}

// copyRun is copy, but avoids the function call for short runs, such as those of a first
// layer.
func copyRun(dst, src []float32) {
	if len(dst) > 8 {
		copy(dst, src)
		return
	}
	src = src[:len(dst)]
	for i := range dst {
		dst[i] = src[i]
	}
}

// gatherTaps copies the channels of one tap at a time.
func (w *window) gatherTaps(dst, image []float32, i, j, k0, k1, channel0 int) {
	for k := k0; k < k1; {
		tap, within := k/w.channels, k%w.channels
		n := min(k1-k, w.channels-within)
		out := dst[k-k0 : k-k0+n]
		k += n
		y, okY := spread(i*w.strideH-w.padH+tap/w.kW*w.dilationH, w.upH, w.srcH)
		x, okX := spread(j*w.strideW-w.padW+tap%w.kW*w.dilationW, w.upW, w.srcW)
		if !okY || !okX {
			clear(out)
			continue
		}
		copy(out, image[(y*w.srcW+x)*w.srcC+channel0+within:])
	}
}

// spread returns the index of the element at position v of a line of n elements with
// distance up, and whether there is an element at v.
func spread(v, up, n int) (int, bool) {
	if v < 0 || v%up != 0 {
		return 0, false
	}
	v /= up
	return v, v < n
}

// direct reports whether the rows of the im2col matrix can be read in place from a padded
// image: a filter row must read it without gaps, and output rows must be long enough to
// fill a tile.
func (w *window) direct() bool {
	return w.contiguous && w.dilationH == 1 && w.upH == 1 && min(w.padH, w.padW, w.endH, w.endW) >= 0 && w.outW >= minDirectWidth
}

// unpadded reports whether the image has no padding on any side.
func (w *window) unpadded() bool { return w.padH == 0 && w.padW == 0 && w.endH == 0 && w.endW == 0 }

// minDirectWidth is the smallest width of the output for which the direct method is used:
// its tiles never mix pixels of two rows.
const minDirectWidth = 6

// paddedRow returns the number of elements of one row of the padded image.
func (w *window) paddedRow() int { return (w.padW + w.srcW + w.endW) * w.srcC }

// bandRows returns the number of rows of the padded image that n output rows read.
func (w *window) bandRows(n int) int { return (n-1)*w.strideH + w.kH }

// band returns the rows of the padded image that output rows [i0, i1) read. With padding
// they are copied to scratch, which must have room for them.
func (w *window) band(scratch, image []float32, i0, i1 int) []float32 {
	rowLen, padded := w.srcW*w.srcC, w.paddedRow()
	first := i0 * w.strideH
	if w.unpadded() {
		return image[first*rowLen:]
	}
	rows := w.bandRows(i1 - i0)
	border := w.padW * w.srcC
	for r := range rows {
		out := scratch[r*padded:][:padded]
		y := first - w.padH + r
		if y < 0 || y >= w.srcH {
			clear(out)
			continue
		}
		clear(out[:border])
		copy(out[border:border+rowLen], image[y*rowLen:])
		clear(out[border+rowLen:])
	}
	return scratch[:rows*padded]
}
