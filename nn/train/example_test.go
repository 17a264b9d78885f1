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

// Hooks follow a training, and may end it.
func ExampleHooks() {
	dev, err := cpu.New()
	if err != nil {
		log.Fatal(err)
	}
	defer dev.Close()
	// 300 images of 4x4 pixels, brighter from left to right or from right to left.
	set := &data.InMemory{Name: "slopes", H: 4, W: 4, C: 1, ClassNames: []string{"right", "left"}}
	for i := range 300 {
		for pixel := range 16 {
			x := pixel % 4
			if i%2 == 1 {
				x = 3 - x
			}
			set.Images = append(set.Images, byte(50*x+(37*i+11*pixel)%60))
		}
		set.Labels = append(set.Labels, int32(i%2))
	}
	var losses []float64
	result, err := train.Run(context.Background(), train.Config{
		Device: dev, Data: &data.Dataset{Train: set, Test: set}, Batch: 10, Epochs: 20, Seed: 1, LogEvery: 10,
		Model:     nn.NewSequential(nn.Flatten{}, nn.Dense{Out: 2}),
		Loss:      nn.CrossEntropy{},
		Optimizer: optim.Config{Algorithm: "adam", LR: 0.005},
		Hooks: []train.Hooks{{
			Log: func(_ *train.Training, m *train.StepMetrics) { losses = append(losses, m.TrainLoss) },
			Epoch: func(t *train.Training, m train.EpochMetrics) {
				if m.TestAccuracy > 0.95 {
					t.Stop("good enough")
				}
			},
		}},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Stopped, "before epoch 20:", len(result.History) < 20)
	fmt.Println("lines in each epoch:", len(losses)/len(result.History))
	fmt.Println("the loss fell:", losses[len(losses)-1] < losses[0])
	// Output:
	// good enough before epoch 20: true
	// lines in each epoch: 3
	// the loss fell: true
}

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
