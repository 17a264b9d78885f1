package inspect

import (
	"trainer/nn"
	"trainer/nn/device"
)

// Example is the worked example of docs/backpropagation.md, section 4.
type Example struct {
	Session *Session
	Pixels  []byte // of its image, [5 5 1]
	Label   int
	Rate    float64 // learning rate of its step of plain gradient descent
}

// WorkedExample opens the worked example. A byte p of its image has the value p, not p/255.
func WorkedExample(dev device.Device) (*Example, error) {
	s, err := New(dev, nn.NewSequential(
		nn.Conv2D{OutC: 1, Kernel: nn.Square(2)}, nn.ReLU{}, nn.MaxPool2D{Kernel: nn.Square(2)}, nn.Flatten{}, nn.Dense{Out: 2},
	), Options{Input: nn.Shape{5, 5, 1}, Mean: []float32{0}, Std: []float32{1. / 255}})
	if err != nil {
		return nil, err
	}
	for name, values := range map[string][]float32{
		"conv1.weight": {
			0.50, -0.50,
			-0.25, 1.00,
		},
		"conv1.bias": {-0.50},
		"dense1.weight": { // a row per input
			0.2, -0.1,
			0.4, 0.3,
			-0.3, 0.1,
			0.1, 0.2,
		},
		"dense1.bias": {0, 0.1},
	} {
		if err := s.upload(name, values); err != nil {
			return nil, err
		}
	}
	return &Example{Session: s, Rate: 0.1, Pixels: []byte{
		0, 1, 2, 1, 0,
		0, 0, 1, 2, 0,
		1, 0, 0, 2, 1,
		2, 1, 0, 1, 0,
		0, 2, 1, 0, 1,
	}}, nil
}
