package device

// WindowAxis is one direction, height or width, of a window that moves over an image of Size pixels. At position i it
// covers the pixels
//
//	i*Stride + a*Dilation - Before     a = 0..Kernel-1
//
// of which some may be padding: Before pixels precede the image and After pixels follow it.
type WindowAxis struct {
	Size, Kernel, Stride, Dilation int
	Before, After                  int
	// Ceil allows a last window that reaches beyond the padded image, if it starts within the image or the padding
	// before it.
	Ceil bool
}

// Extent returns the pixels from the first to the last that a window covers: dilation*(kernel-1) + 1.
func (a WindowAxis) Extent() int { return a.Dilation*(a.Kernel-1) + 1 }

// Positions returns the number of positions of the window:
//
//	floor((size + before + after - extent) / stride) + 1
//
// With Ceil the quotient is rounded up, and the last position does not count if it starts at or after the end of the
// image (PyTorch's rule for pooling, and ONNX's). The result is below 1 if the window doesn't fit.
func (a WindowAxis) Positions() int {
	room := a.Size + a.Before + a.After - a.Extent()
	if !a.Ceil {
		return floorDiv(room, a.Stride) + 1
	}
	n := floorDiv(room+a.Stride-1, a.Stride) + 1
	if (n-1)*a.Stride >= a.Size+a.Before {
		n--
	}
	return n
}

// Inside returns the elements of the window at position i that lie inside the image: count of them, of which the first
// is element first. If none does, count is 0.
func (a WindowAxis) Inside(i int) (first, count int) { return a.between(i, 0, a.Size) }

// InsidePadded returns the number of elements of the window at position i that lie inside the padded image.
func (a WindowAxis) InsidePadded(i int) int {
	_, count := a.between(i, -a.Before, a.Size+a.After)
	return count
}

// between returns the elements of the window at position i from pixel low to the one before pixel high.
func (a WindowAxis) between(i, low, high int) (first, count int) {
	start := i*a.Stride - a.Before
	first = max(0, ceilDiv(low-start, a.Dilation))
	return first, max(0, min(a.Kernel, ceilDiv(high-start, a.Dilation))-first)
}

// Within reports whether no window covers padding.
func (a WindowAxis) Within() bool {
	return a.Before <= 0 && (a.Positions()-1)*a.Stride-a.Before+a.Extent() <= a.Size
}

// Empty reports whether a window covers nothing but padding.
func (a WindowAxis) Empty() bool {
	last := a.Positions() - 1
	for i := 0; i <= last; i++ {
		if i*a.Stride >= a.Before { // of the windows that start inside the image, the last starts last
			i = last
		}
		if _, count := a.Inside(i); count == 0 {
			return true
		}
	}
	return false
}

// floorDiv returns a/b rounded down, for b > 0.
func floorDiv(a, b int) int {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// ceilDiv returns a/b rounded up, for b > 0.
func ceilDiv(a, b int) int { return -floorDiv(-a, b) }
