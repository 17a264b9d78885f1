package nn

import "fmt"

// Pair is a size or a step in the two directions of an image, height and width.
type Pair struct{ H, W int }

// Square returns the pair with n in both directions.
func Square(n int) Pair { return Pair{n, n} }

// String returns the pair as in "3x3".
func (p Pair) String() string { return fmt.Sprintf("%dx%d", p.H, p.W) }

// window is the window that a convolution or a pooling moves over an image: at output (i,
// j) it covers the inputs (i*stride + a*dilation - padding), a = 0..kernel-1, in each
// direction.
type window struct {
	kernel, stride, padding, dilation Pair
}

// output returns the number of positions of the window along both sides of an image:
//
//	floor((size + 2 padding - dilation (kernel-1) - 1) / stride) + 1
func (v window) output(h, w int) (outH, outW int, err error) {
	extent := Pair{v.dilation.H*(v.kernel.H-1) + 1, v.dilation.W*(v.kernel.W-1) + 1}
	padded := Pair{h + 2*v.padding.H, w + 2*v.padding.W}
	if padded.H < extent.H || padded.W < extent.W {
		return 0, 0, fmt.Errorf("got an image of %dx%d (%v with padding), needs at least %v for one position of the window",
			h, w, padded, extent)
	}
	return (padded.H-extent.H)/v.stride.H + 1, (padded.W-extent.W)/v.stride.W + 1, nil
}
