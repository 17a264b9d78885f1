package nn

import "fmt"

// Dirac makes a convolution begin as the identity: filter o < inC is 1 at its centre in
// channel o and 0 elsewhere, so with padding the first inC output channels equal the
// input's. The remaining filters, if outC > inC, come from Base (Jordan, "94% on CIFAR-10
// in 3.29 Seconds on a Single GPU", 2024, section 3.3). It is meant for a single group.
type Dirac struct {
	Base Initializer // nil means PyTorchDefault
}

func diracKind() InitializerKind {
	return InitializerKind{Name: "dirac", Doc: "the first filters pass their input channel on, the others are as in pytorch", New: func() Initializer { return Dirac{} }}
}

// Fill draws all values from Base and overwrites the first filters.
func (i Dirac) Fill(dst []float32, c InitContext) error {
	if len(c.Shape) != 4 {
		return fmt.Errorf("dirac initialisation of %v: needs a convolution's filters", c.Shape)
	}
	if err := orDefault(i.Base).Fill(dst, c); err != nil {
		return err
	}
	outC, kH, kW, inC := c.Shape[0], c.Shape[1], c.Shape[2], c.Shape[3]
	filter := kH * kW * inC
	for o := range min(outC, inC) {
		f := dst[o*filter : (o+1)*filter]
		clear(f)
		f[((kH/2)*kW+kW/2)*inC+o] = 1
	}
	return nil
}
