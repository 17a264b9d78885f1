package nn

// TeachingMNIST is the smallest convolutional network that does well on MNIST: one of each
// kind of layer. Input 28x28x1, 10 outputs.
func TeachingMNIST() *Sequential {
	return NewSequential(
		Conv2D{OutC: 8, Kernel: Square(3), Init: HeNormal{}},
		ReLU{},
		MaxPool2D{Kernel: Square(2)},
		Flatten{},
		Dense{Out: 10},
	)
}

// TeachingCIFAR10 is a deeper network in the manner of VGG (Simonyan and Zisserman, "Very
// Deep Convolutional Networks for Large-Scale Image Recognition", 2015): three blocks of
// two convolutions, each block at half the size and twice the channels, with batch
// normalisation and dropout. Input 32x32x3, 10 outputs.
func TeachingCIFAR10() *Sequential {
	var layers []Layer
	for _, block := range []struct {
		filters int
		dropout float32
	}{{32, 0.1}, {64, 0.2}, {128, 0.3}} {
		// Batch normalisation subtracts the mean, and any bias with it.
		conv := Conv2D{OutC: block.filters, Kernel: Square(3), Same: true, NoBias: true, Init: HeNormal{}}
		layers = append(layers,
			conv, BatchNorm{}, ReLU{},
			conv, BatchNorm{}, ReLU{},
			MaxPool2D{Kernel: Square(2)},
			Dropout{Rate: block.dropout},
		)
	}
	return NewSequential(append(layers,
		Flatten{},
		Dense{Out: 128, NoBias: true, Init: HeNormal{}}, BatchNorm{}, ReLU{},
		Dropout{Rate: 0.3},
		Dense{Out: 10},
	)...)
}

// MNISTNet is a small network that reaches 99% on MNIST in one epoch. Input 28x28x1, 10
// outputs. Pooling before ReLU gives the same as after it, for a quarter of the work.
func MNISTNet() *Sequential {
	return NewSequential(
		Conv2D{OutC: 24, Kernel: Square(5)},
		MaxPool2D{Kernel: Square(2)},
		ReLU{},
		Conv2D{OutC: 32, Kernel: Square(3)},
		MaxPool2D{Kernel: Square(2)},
		ReLU{},
		Flatten{},
		Dense{Out: 256},
		ReLU{},
		Dense{Out: 10},
	)
}

// Airbench is the network of airbench94 (Jordan, "94% on CIFAR-10 in 3.29 Seconds on a
// Single GPU", 2024, section 3.1): a frozen whitening convolution, three groups of two
// convolutions, and a dense layer whose outputs are scaled down. The original widths are
// 64, 256, 256. Input 32x32x3, 10 outputs; compiling it for training needs Options.Sample.
func Airbench(widths [3]int) *Sequential {
	norm := BatchNorm{Epsilon: 1e-12, Momentum: 0.4, FrozenScale: true}
	layers := []Layer{
		Named("whiten", Conv2D{
			OutC: 24, Kernel: Square(2), Init: Whitening{}, BiasInit: Zeros(), Frozen: true,
		}),
		GELU{},
	}
	for _, width := range widths {
		conv := Conv2D{OutC: width, Kernel: Square(3), Same: true, NoBias: true, Init: Dirac{}}
		layers = append(layers,
			conv, MaxPool2D{Kernel: Square(2)}, norm, GELU{},
			conv, norm, GELU{},
		)
	}
	return NewSequential(append(layers,
		MaxPool2D{Kernel: Square(3)},
		Flatten{},
		Dense{Out: 10, NoBias: true},
		Scale{By: 1.0 / 9},
	)...)
}
