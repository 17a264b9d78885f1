package model

import (
	"strings"

	"trainer/nn"
)

// Layout names the order of the dimensions of a model's tensors, which other programs need to know: PyTorch, for one,
// keeps the filters of a convolution as OIHW and a dense matrix as OI, and would load a tensor of equal shape without a
// word.
//
//	OHWI   filters of a convolution: output channel, row, column, input channel of the group
//	IO     matrix of a dense layer: input, output
//	C      one value per channel or output
//
// Flatten is the order in which a flatten layer reads an image, and with it that of the inputs of a dense layer.
type Layout struct {
	Tensors map[string]string `json:"tensors"`
	Flatten string            `json:"flatten"`
}

// layoutOf returns the layout of a network's tensors.
func layoutOf(net *nn.Network) Layout {
	l := Layout{Tensors: map[string]string{}, Flatten: "HWC"}
	for _, p := range net.Tensors() {
		order := strings.Repeat("N", len(p.Value.Shape()))
		switch len(p.Value.Shape()) {
		case 1:
			order = "C"
		case 2:
			order = "IO"
		case 4:
			order = "OHWI"
		}
		l.Tensors[p.Name] = order
	}
	return l
}
