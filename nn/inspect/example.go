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

// WorkedExample opens the worked example. Bytes of 0, 51 and 102 are the values 0, 1 and 2 of its image, without rounding.
func WorkedExample(dev device.Device) (*Example, error) {
	s, err := New(dev, nn.NewSequential(
		nn.Conv2D{OutC: 1, Kernel: nn.Square(2)}, nn.ReLU{}, nn.MaxPool2D{Kernel: nn.Square(2)}, nn.Flatten{}, nn.Dense{Out: 2},
	), Options{Input: nn.Shape{5, 5, 1}, Mean: []float32{0}, Std: []float32{0.2}})
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
		0, 51, 102, 51, 0,
		0, 0, 51, 102, 0,
		51, 0, 0, 102, 51,
		102, 51, 0, 51, 0,
		0, 102, 51, 0, 51,
	}}, nil
}
