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
	taps    int     // input pixels per output pixel; some may have the weight 0
	first   []int32 // the first of them
	weights []int32 // [output pixel][taps]
	count   []int32 // input pixels that overlap, while the filter is made
}

// set makes the filter for n output pixels from the interval [from, to] of an axis of the given length.
func (f *triangle) set(n int, from, to float64, length int) {
	s := (to - from) / float64(n)
	support := max(1, s)
	low, high := max(0, int(math.Floor(from))), min(length, int(math.Ceil(to)))
	most := int(math.Ceil(2*support)) + 1
	f.first, f.count, f.taps = resized(f.first, n), resized(f.count, n), 0
	for i := range n {
		c := centre(i, from, s)
		first := min(max(low, int(math.Floor(c-support+0.5))), high-1)
		last := min(high, first+most, max(first+1, int(math.Ceil(c+support-0.5))))
		f.first[i], f.count[i] = int32(first), int32(last-first)
		f.taps = max(f.taps, last-first)
	}
	f.taps = min(length, f.taps+f.taps&1) // even numbers have faster loops
	f.weights = resized(f.weights, n*f.taps)
	clear(f.weights)
	for i := range n {
		c := centre(i, from, s)
		first, count := int(f.first[i]), int(f.count[i])
		spare := max(0, first+f.taps-length) // pixels in front of the first, so that all taps lie on the axis
		f.first[i] -= int32(spare)
		setWeights(f.weights[i*f.taps+spare:][:count], float64(first)+0.5-c, support)
	}
}

// centre returns the centre of output pixel i. The conversion keeps the product from being fused with the sum, which some
// processors would do: the pixels are the same on all of them.
func centre(i int, from, s float64) float64 { return from + float64((float64(i)+0.5)*s) }

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
	sums          []int64
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
	r.apply(dst, h, w, in)
}

// apply is resample with the filters of the last call, for another plane of the same size.
func (r *resampler) apply(dst []byte, h, w int, in plane) {
	top, bottom := int(r.rows.first[0]), int(r.rows.first[h-1])+r.rows.taps
	r.wide, r.sums = resized(r.wide, (bottom-top)*w), resized(r.sums, w)
	for y := top; y < bottom; y++ {
		r.columns.filter(r.wide[(y-top)*w:][:w], in.pix[y*in.stride:][:in.w])
	}
	for y := range h {
		taps := r.rows.taps
		r.addRows(dst[y*w:][:w], r.wide[(int(r.rows.first[y])-top)*w:][:taps*w], r.rows.weights[y*taps:][:taps])
	}
}

// filter computes a row of outputs.
func (f *triangle) filter(dst []uint16, src []byte) {
	const places = weightBits - 8
	const half = 1 << (places - 1)
	first := f.first[:len(dst)]
	switch f.taps {
	case 2:
		for i := range dst {
			in, w := (*[2]byte)(src[first[i]:]), (*[2]int32)(f.weights[2*i:])
			dst[i] = uint16((half + int32(in[0])*w[0] + int32(in[1])*w[1]) >> places)
		}
	case 4:
		for i := range dst {
			in, w := (*[4]byte)(src[first[i]:]), (*[4]int32)(f.weights[4*i:])
			dst[i] = uint16((half + int32(in[0])*w[0] + int32(in[1])*w[1] + int32(in[2])*w[2] + int32(in[3])*w[3]) >> places)
		}
	case 6:
		for i := range dst {
			in, w := (*[6]byte)(src[first[i]:]), (*[6]int32)(f.weights[6*i:])
			dst[i] = uint16((half + int32(in[0])*w[0] + int32(in[1])*w[1] + int32(in[2])*w[2] + int32(in[3])*w[3] + int32(in[4])*w[4] + int32(in[5])*w[5]) >> places)
		}
	default:
		for i := range dst {
			in := src[first[i]:][:f.taps]
			weights := f.weights[i*f.taps:][:len(in)]
			sum := int32(half)
			for k, v := range in {
				sum += int32(v) * weights[k]
			}
			dst[i] = uint16(sum >> places)
		}
	}
}

// addRows computes a row of outputs from the rows that become one.
func (r *resampler) addRows(dst []byte, rows []uint16, weights []int32) {
	const places = weightBits + 8
	const half = 1 << (places - 1)
	n := len(dst)
	sums := r.sums[:n]
	for x := range sums {
		sums[x] = half
	}
	for ; len(weights) >= 2; rows, weights = rows[2*n:], weights[2:] {
		row0, row1, w0, w1 := rows[:n], rows[n:2*n], int64(weights[0]), int64(weights[1])
		if len(weights) == 2 { // the last
			for x := range dst {
				dst[x] = byte((sums[x] + int64(row0[x])*w0 + int64(row1[x])*w1) >> places)
			}
			return
		}
		for x := range sums {
			sums[x] += int64(row0[x])*w0 + int64(row1[x])*w1
		}
	}
	row, w := rows[:n], int64(weights[0])
	for x := range dst {
		dst[x] = byte((sums[x] + int64(row[x])*w) >> places)
	}
}

// resized returns a slice of n elements, in the memory of s if that suffices.
func resized[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
