package data

import "math"

// Resampling of one plane of bytes by a triangle filter, in integers. Output pixel i of n, made from the interval
// [from, to] of the input, has its centre at c = from + (i + 1/2) s with s = (to - from)/n, and is
//
//	y[i] = Σ w[k] x[k] / Σ w[k],   w[k] = max(0, 1 - |k + 1/2 - c| / max(1, s))
//
// over the input pixels k that overlap the interval: linear interpolation when enlarging, and when shrinking a mean over
// all the pixels that become one. Rows and columns are filtered one after the other.

// weightBits is the binary point of a filter's weights: the weights of a pixel add up to 1<<weightBits.
const weightBits = 22

// triangle is the filter of one axis.
type triangle struct {
	first   []int32 // first input pixel of each output pixel
	count   []int32 // number of input pixels
	weights []int32 // [output pixel][taps]
	taps    int
}

// set makes the filter for n output pixels from the interval [from, to] of an axis of the given length.
func (f *triangle) set(n int, from, to float64, length int) {
	s := (to - from) / float64(n)
	support := max(1, s)
	low, high := max(0, int(math.Floor(from))), min(length, int(math.Ceil(to)))
	f.taps = int(math.Ceil(2*support)) + 1
	f.first, f.count = resized(f.first, n), resized(f.count, n)
	f.weights = resized(f.weights, n*f.taps)
	for i := range n {
		c := from + (float64(i)+0.5)*s
		first := min(max(low, int(math.Floor(c-support+0.5))), high-1)
		last := min(high, first+f.taps, max(first+1, int(math.Ceil(c+support-0.5))))
		f.first[i], f.count[i] = int32(first), int32(last-first)
		setWeights(f.weights[i*f.taps:][:last-first], float64(first)+0.5-c, support)
	}
}

// setWeights sets the weights of pixels at the distances d, d+1, ... from the centre.
func setWeights(w []int32, d, support float64) {
	sum := 0.0
	for k := range w {
		sum += max(0, 1-math.Abs(d+float64(k))/support)
	}
	if sum == 0 { // the centre is outside of the axis: the nearest pixel
		w[0], sum = 1<<weightBits, 1
		clear(w[1:])
		return
	}
	rest, largest := int32(1<<weightBits), 0
	for k := range w {
		w[k] = int32(math.Round((1 << weightBits) * max(0, 1-math.Abs(d+float64(k))/support) / sum))
		rest -= w[k]
		if w[k] > w[largest] {
			largest = k
		}
	}
	w[largest] += rest // of rounding
}

// resampler has the filters and buffers of planes, for one picture at a time.
type resampler struct {
	rows, columns triangle
	wide          []uint16 // rows of the input that are filtered along their columns, with 8 binary places
	sums          []int
}

// plane is a picture of one byte per pixel.
type plane struct {
	pix          []byte
	stride, h, w int
}

// resample writes h x w pixels to dst, made from the rectangle of in between (y0, x0) and (y1, x1).
func (r *resampler) resample(dst []byte, h, w int, in plane, y0, x0, y1, x1 float64) {
	r.rows.set(h, y0, y1, in.h)
	r.columns.set(w, x0, x1, in.w)
	top := int(r.rows.first[0])
	bottom := int(r.rows.first[h-1] + r.rows.count[h-1])
	r.wide, r.sums = resized(r.wide, (bottom-top)*w), resized(r.sums, w)
	for y := top; y < bottom; y++ {
		r.columns.filter(r.wide[(y-top)*w:][:w], in.pix[y*in.stride:][:in.w])
	}
	for y := range h {
		clear(r.sums)
		first := int(r.rows.first[y])
		for k, weight := range r.rows.weights[y*r.rows.taps:][:r.rows.count[y]] {
			addWeighted(r.sums, r.wide[(first+k-top)*w:][:w], int(weight))
		}
		const places = weightBits + 8
		for x, sum := range r.sums {
			dst[y*w+x] = byte((sum + 1<<(places-1)) >> places)
		}
	}
}

// filter computes a row of outputs.
func (f *triangle) filter(dst []uint16, src []byte) {
	const places = weightBits - 8
	for i := range dst {
		in := src[f.first[i]:][:f.count[i]]
		weights := f.weights[i*f.taps:][:len(in)]
		sum := 1 << (places - 1)
		for k, v := range in {
			sum += int(v) * int(weights[k])
		}
		dst[i] = uint16(sum >> places)
	}
}

// addWeighted adds weight times row to sums.
func addWeighted(sums []int, row []uint16, weight int) {
	row = row[:len(sums)]
	for x := range sums {
		sums[x] += int(row[x]) * weight
	}
}

// resized returns a slice of n elements, in the memory of s if that suffices.
func resized[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
