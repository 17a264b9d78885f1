package device

import "testing"

// Every small window is compared with its definition, one element at a time.
func TestWindowAxis(t *testing.T) {
	cases := 0
	for size := 1; size <= 6; size++ {
		for kernel := 1; kernel <= 3; kernel++ {
			for stride := 1; stride <= 4; stride++ {
				for dilation := 1; dilation <= 3; dilation++ {
					for before := 0; before <= 3; before++ {
						for after := -2; after <= 3; after++ {
							for _, ceil := range []bool{false, true} {
								a := WindowAxis{size, kernel, stride, dilation, before, after, ceil}
								if ceil && after >= a.Extent() {
									continue // several windows would start after the image, of which the rule drops one
								}
								checkAxis(t, a)
								cases++
							}
						}
					}
				}
			}
		}
	}
	if t.Failed() {
		t.Logf("of %d cases", cases)
	}
}

func checkAxis(t *testing.T, a WindowAxis) {
	t.Helper()
	positions, within, empty := 0, true, false
	for i := 0; i < 20; i++ {
		start := i*a.Stride - a.Before
		end := start + a.Dilation*(a.Kernel-1) // the last pixel that the window covers
		last := a.Size + a.After - 1           // of the padded image
		if a.Ceil && (start >= a.Size || end > last && end-a.Stride >= last) || !a.Ceil && end > last {
			break
		}
		positions++
		inside, first, padded := 0, -1, 0
		for k := range a.Kernel {
			at := start + k*a.Dilation
			if at >= 0 && at < a.Size {
				if inside == 0 {
					first = k
				}
				inside++
			}
			if at <= last {
				padded++
			}
		}
		within = within && start >= 0 && end < a.Size
		empty = empty || inside == 0
		if gotFirst, got := a.Inside(i); got != inside || inside > 0 && gotFirst != first {
			t.Errorf("%+v: window %d has %d elements from %d inside, want %d from %d", a, i, got, gotFirst, inside, first)
		}
		if got := a.InsidePadded(i); got != padded {
			t.Errorf("%+v: window %d has %d elements inside the padded image, want %d", a, i, got, padded)
		}
	}
	if got := max(a.Positions(), 0); got != positions {
		t.Errorf("%+v: %d positions, want %d", a, got, positions)
		return
	}
	if positions == 0 {
		return
	}
	if a.Within() != within {
		t.Errorf("%+v: within is %v, want %v", a, a.Within(), within)
	}
	if a.Empty() != empty {
		t.Errorf("%+v: empty is %v, want %v", a, a.Empty(), empty)
	}
}

// Sizes that PyTorch's MaxPool2d documents or gives: its ceil_mode keeps a last window only if it starts in the image or in
// the padding before it.
func TestPositionsAsPyTorch(t *testing.T) {
	for _, c := range []struct {
		axis WindowAxis
		want int
	}{
		{WindowAxis{Size: 7, Kernel: 2, Stride: 2, Dilation: 1}, 3},
		{WindowAxis{Size: 7, Kernel: 2, Stride: 2, Dilation: 1, Ceil: true}, 4},
		{WindowAxis{Size: 1, Kernel: 2, Stride: 2, Dilation: 1, Ceil: true}, 1},
		{WindowAxis{Size: 5, Kernel: 2, Stride: 3, Dilation: 1, Before: 1, After: 1, Ceil: true}, 2},
		{WindowAxis{Size: 2, Kernel: 3, Stride: 3, Dilation: 1, Before: 1, After: 1, Ceil: true}, 1},
		{WindowAxis{Size: 10, Kernel: 3, Stride: 2, Dilation: 2, Before: 1, After: 1}, 4},
		{WindowAxis{Size: 2, Kernel: 3, Stride: 1, Dilation: 1}, 0},
	} {
		if got := c.axis.Positions(); got != c.want {
			t.Errorf("%+v: %d positions, want %d", c.axis, got, c.want)
		}
	}
}
