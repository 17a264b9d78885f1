package nn_test

import (
	"fmt"

	"trainer/cpu"
	"trainer/nn"
)

// A network is described by values, compiled for a device, and prints its table.
func ExampleCompile() {
	dev, err := cpu.New()
	if err != nil {
		panic(err)
	}
	defer dev.Close()
	model := nn.NewSequential(
		nn.Conv2D{OutC: 8, Kernel: nn.Square(3)},
		nn.ReLU{},
		nn.MaxPool2D{Kernel: nn.Square(2)},
		nn.Flatten{},
		nn.Dense{Out: 10},
	)
	net, err := nn.Compile(dev, model, nn.Options{Input: nn.Shape{28, 28, 1}, Batch: 64, Seed: 1})
	if err != nil {
		panic(err)
	}
	for _, r := range net.Layers() {
		fmt.Printf("%-10s %-12s %-9v %6d parameters\n", r.Name, r.Kind, r.Output, r.Params)
	}
	// Output:
	// conv1      conv2d       26x26x8       80 parameters
	// relu1      relu         26x26x8        0 parameters
	// pool1      max-pool2d   13x13x8        0 parameters
	// flatten1   flatten      1352           0 parameters
	// dense1     dense        10         13530 parameters
}
