package nn

import (
	"fmt"

	"trainer/nn/device"
	"trainer/nn/setting"
)

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
	kernel, stride, dilation Pair
	padding                  Pair // above and at the left
	extra                    Pair // below and at the right in addition
	ceil                     bool
	fit                      fit
}

// fit is a rule for padding that depends on the size of the image: there is as much as an output of ceil(size/stride)
// needs,
//
//	max((ceil(size/stride) - 1) stride + dilation (kernel-1) + 1 - size, 0)
//
// in each direction, half of it on either side. If it is odd, one side gets one more (TensorFlow's SAME, and ONNX's
// auto_pad).
type fit uint8

const (
	fitNone  fit = iota
	fitUpper     // the odd one goes below and to the right: TensorFlow's SAME, ONNX's SAME_UPPER
	fitLower     // the odd one goes above and to the left: ONNX's SAME_LOWER
)

// fitOf returns the rule that two settings select, of which at most one is set.
func fitOf(upper, lower bool) fit {
	switch {
	case upper:
		return fitUpper
	case lower:
		return fitLower
	}
	return fitNone
}

// split returns padding in one direction as the rule divides it: what is on the first side, and what the other has in
// addition.
func (f fit) split(total int) (before, extra int) {
	if f == fitLower {
		return total - total/2, -(total % 2)
	}
	return total / 2, total % 2
}

// rows and columns return the window's movement in one direction.
func (v window) rows(h int) device.WindowAxis {
	a := device.WindowAxis{Size: h, Kernel: v.kernel.H, Stride: v.stride.H, Dilation: v.dilation.H, Before: v.padding.H, After: v.padding.H + v.extra.H, Ceil: v.ceil}
	return v.fit.apply(a)
}

func (v window) columns(w int) device.WindowAxis {
	a := device.WindowAxis{Size: w, Kernel: v.kernel.W, Stride: v.stride.W, Dilation: v.dilation.W, Before: v.padding.W, After: v.padding.W + v.extra.W, Ceil: v.ceil}
	return v.fit.apply(a)
}

// apply replaces the padding of a direction by what the rule says.
func (f fit) apply(a device.WindowAxis) device.WindowAxis {
	if f == fitNone {
		return a
	}
	out := (a.Size + a.Stride - 1) / a.Stride
	before, extra := f.split(max((out-1)*a.Stride+a.Extent()-a.Size, 0))
	a.Before, a.After = before, before+extra
	return a
}

// at returns the window with the padding that the rule gives an image of h x w.
func (v window) at(h, w int) window {
	rows, columns := v.rows(h), v.columns(w)
	v.padding, v.extra, v.fit = Pair{rows.Before, columns.Before}, Pair{rows.After - rows.Before, columns.After - columns.Before}, fitNone
	return v
}

// output returns the number of positions of the window along both sides of an image of c channels (see
// device.WindowAxis.Positions).
func (v window) output(h, w, c int) (outH, outW int, err error) {
	rows, columns := v.rows(h), v.columns(w)
	padded := Pair{h + rows.Before + rows.After, w + columns.Before + columns.After}
	outH, outW = rows.Positions(), columns.Positions()
	if outH < 1 || outW < 1 {
		return 0, 0, fmt.Errorf("got an image of %dx%d (%v with padding), needs at least %v for one position of the window",
			h, w, padded, Pair{rows.Extent(), columns.Extent()})
	}
	return outH, outW, checkElements("with padding the image", padded.H, padded.W, c)
}

// paddingSettings are the fields of a layer that say how its image is padded.
type paddingSettings struct {
	padding, extra     *Pair
	same, upper, lower *bool // same is nil if the layer has no such field
}

// declare declares the key of recipes.
func (p paddingSettings) declare(s *setting.List, doc string) {
	key := s.Sides(&p.padding.H, &p.padding.W, &p.extra.H, &p.extra.W, "padding", doc).Show("padding %d")
	if p.same != nil {
		key.OrFlag("same", p.same)
	}
	key.OrFlag("same-upper", p.upper).OrFlag("same-lower", p.lower)
}

// check returns an error if padding is set in more than one way.
func (p paddingSettings) check() error {
	same := p.same != nil && *p.same
	ways := 0
	for _, set := range []bool{same, *p.upper, *p.lower, *p.padding != Pair{} || *p.extra != Pair{}} {
		if set {
			ways++
		}
	}
	if ways < 2 {
		return nil
	}
	return fmt.Errorf("padding is %v, ExtraPadding %v, Same %v, SameUpper %v and SameLower %v, needs one of them", *p.padding, *p.extra, same, *p.upper, *p.lower)
}
