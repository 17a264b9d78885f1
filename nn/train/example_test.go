package train_test

import (
	"context"
	"fmt"
	"log"

	"trainer/cpu"
	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/optim"
	"trainer/nn/train"
)

// A network for handwritten digits, trained on the first 10,000 images of MNIST.
func Example() {
	dev, err := cpu.New()
	if err != nil {
		log.Fatal(err)
	}
	defer dev.Close()
	mnist, err := data.Open(context.Background(), "mnist", data.Options{})
	if err != nil {
		log.Fatal(err)
	}
	mnist.Train, mnist.Test = data.Limit(mnist.Train, 10000), data.Limit(mnist.Test, 1000)
	result, err := train.Run(context.Background(), train.Config{
		Device: dev, Data: mnist, Batch: 50, Epochs: 1, Seed: 1,
		Model: nn.NewSequential(
			nn.Conv2D{OutC: 8, Kernel: nn.Square(5)}, nn.ReLU{}, nn.MaxPool2D{Kernel: nn.Square(2)},
			nn.Flatten{}, nn.Dense{Out: 10},
		),
		Loss:      nn.CrossEntropy{},
		Optimizer: optim.Config{Algorithm: "adam", LR: 0.005},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("accuracy above 90%:", result.TestAccuracy > 0.9)
	// Output: accuracy above 90%: true
}
