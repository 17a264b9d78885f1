package inspect

import (
	"trainer/nn"
	"trainer/nn/explain"
)

// Place is where a network has values: its input, the output of a layer, the probabilities, or the loss.
type Place struct {
	// Name is "input", "softmax", "loss", or the full name of the layer, such as "conv1" or "residual1.body.conv1".
	Name string `json:"name"`
	// Kind is the layer's kind, such as "conv2d", or "input", "softmax" or "loss".
	Kind  string   `json:"kind"`
	Shape nn.Shape `json:"shape"` // [h w c] or [features]
	// Inputs are the places whose values the layer reads, in its order: of a residual layer the body, then the shortcut.
	Inputs []int `json:"inputs"`
	// Users are the places whose layers read these values.
	Users []int `json:"users"`
	// Depth is the number of containers around the layer.
	Depth   int             `json:"depth"`
	Formula explain.Formula `json:"formula"`
	Tensors []Tensor        `json:"tensors"` // the layer's parameters and running statistics
}

// place is a place with what computes it.
type place struct {
	Place
	layer nn.Layer     // as the caller described it; nil for places that are not layers
	rule  explain.Rule // nil if the layer doesn't describe itself
	probe *probe       // nil for the probabilities and the loss
}

// Tensor is a parameter or a running statistic.
type Tensor struct {
	Name    string `json:"name"` // such as "conv1.weight"
	Shape   []int  `json:"shape"`
	Trained bool   `json:"trained"` // it has a gradient
}

// The kinds of places that are not layers.
const (
	KindInput   = "input"
	KindSoftmax = "softmax"
	KindLoss    = "loss"
)
