package augment

import "trainer/nn/device"

// Gray removes the colours: it sets the saturation to 0. It is applied with probability 0.1 unless the list says
// otherwise, as in torchvision's RandomGrayscale.
type Gray struct{}

func grayKind() Kind {
	return Kind{Name: "gray", Doc: "take the colours away (p: 0.1)", New: func() Transform { return Gray{} }}
}

// Kind returns "gray".
func (Gray) Kind() string { return "gray" }

// DefaultP returns 0.1.
func (Gray) DefaultP() float64 { return 0.1 }

// Ops returns saturation.
func (Gray) Ops() []*device.ImageOp { return []*device.ImageOp{saturation} }

// Draw sets the saturation to 0.
func (Gray) Draw(_ *Random, p Params) { p.Set(0, 0) }
