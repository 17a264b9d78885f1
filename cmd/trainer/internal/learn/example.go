package learn

import (
	"slices"

	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/inspect"
)

// ExampleName is the name of the worked example of docs/backpropagation.md, which links to it.
const ExampleName = "worked-example"

// Example is the worked example: a network whose only picture is the text's.
type Example struct {
	Classes  []string
	Pictures data.Set
	White    byte // the picture's brightest pixels
	// Open returns a session with weights of its own.
	Open func() (*inspect.Session, error)
}

// OpenExample opens the worked example on a device.
func OpenExample(dev device.Device) (*Example, error) {
	x, err := inspect.WorkedExample(dev)
	if err != nil {
		return nil, err
	}
	defer x.Session.Close()
	shape, classes := x.Session.Input(), []string{"0", "1"}
	return &Example{
		Classes: classes, White: slices.Max(x.Pixels),
		Pictures: &data.InMemory{Name: ExampleName, H: shape[0], W: shape[1], C: shape[2], ClassNames: classes, Images: x.Pixels, Labels: []int32{int32(x.Label)}},
		Open: func() (*inspect.Session, error) {
			x, err := inspect.WorkedExample(dev)
			if err != nil {
				return nil, err
			}
			return x.Session, nil
		},
	}, nil
}
