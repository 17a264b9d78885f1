package cpu

// taps are the count taps that contribute to one pixel of the result along one dimension. The first has index tap and is
// multiplied by pixel src of the source.
type taps struct{ tap, src, count int }

// line is one dimension of a pass.
type line struct {
	at []taps // of each pixel of the result
	// From each of a pixel's taps to the next, the index of the tap increases by tapStep, and the index of its source pixel
	// by srcStep.
	tapStep, srcStep int
	// Pixels of the result that are stride apart use the same taps, at source pixels that are move apart.
	stride, move int
}

// forwardTaps returns the taps of n pixels of the output: tap b of pixel j is multiplied by pixel j*stride + b*dilation -
// pad, if that is one of the size pixels of the input.
func forwardTaps(n, k, stride, pad, dilation, size int) line {
	l := line{tapStep: 1, srcStep: dilation, stride: 1, move: stride}
	for j := range n {
		var t taps
		for b := range k {
			if src := j*stride + b*dilation - pad; src >= 0 && src < size {
				if t.count == 0 {
					t.tap, t.src = b, src
				}
				t.count++
			}
		}
		l.at = append(l.at, t)
	}
	return l
}

// backwardTaps returns the taps of n pixels of the input: tap b of pixel v is multiplied by pixel (v + pad -
// b*dilation)/stride of the gradient, if that is an integer and the index of one of its size pixels. The taps of one pixel
// are stride/gcd(stride, dilation) apart.
func backwardTaps(n, k, stride, pad, dilation, size int) line {
	step := stride / gcd(stride, dilation)
	l := line{tapStep: step, srcStep: -step * dilation / stride, stride: stride, move: 1}
	for v := range n {
		var t taps
		for b := range k {
			if at := v + pad - b*dilation; at >= 0 && at%stride == 0 && at/stride < size {
				if t.count == 0 {
					t.tap, t.src = b, at/stride
				}
				t.count++
			}
		}
		l.at = append(l.at, t)
	}
	return l
}

func gcd(a, b int) int {
	for b > 0 {
		a, b = b, a%b
	}
	return a
}

// pixelRun is a sequence of pixels of a row, line.stride apart, that use the same taps; the first is pixel from.
type pixelRun struct {
	from, pixels int
	taps
}

// reads returns the source pixels [low, high) that pixels [from, to) of the result read.
func (l line) reads(from, to int) (low, high int) {
	for _, t := range l.at[from:to] {
		if t.count == 0 {
			continue
		}
		first, last := t.src, t.src+(t.count-1)*l.srcStep
		if high == 0 {
			low = min(first, last)
		}
		low, high = min(low, first, last), max(high, first+1, last+1)
	}
	return low, high
}

// runs returns the runs of a row.
func (l line) runs() []pixelRun {
	var all []pixelRun
	for first := range min(l.stride, len(l.at)) {
		for j := first; j < len(l.at); j += l.stride {
			t := l.at[j]
			if j > first {
				last := &all[len(all)-1]
				if t.count == last.count && (t.count == 0 || t.tap == last.tap && t.src == last.src+last.pixels*l.move) {
					last.pixels++
					continue
				}
			}
			all = append(all, pixelRun{j, 1, t})
		}
	}
	return all
}
