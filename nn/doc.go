// Package nn implements convolutional networks: layers, losses, initialisers, and the
// machinery that builds a chain of layers on a device and runs it forwards and backwards.
//
// A layer is a value that describes it, such as
//
//	nn.Conv2D{OutC: 24, Kernel: nn.Square(5)}
//
// and a model is a Sequential of them. Compile builds the model for a device, a batch size
// and a purpose into a Network, which owns every buffer: a step allocates nothing.
//
//	net, err := nn.Compile(dev, model, nn.Options{Input: nn.Shape{28, 28, 1}, Batch: 256,
//		Training: true, Loss: nn.CrossEntropy{}})
//	net.Forward(images, nn.Training)
//	net.Loss(labels)
//	net.Backward(labels) // each net.Params()[i].Grad holds its gradient now
//
// A setting that is left at zero takes its default, which the layer's method Settings declares.
//
// Each layer has its own file, which opens with the forward and backward formulas; dx always means the gradient of the
// loss with respect to x. Images are [n, h, w, c], filters [outC, kH, kW, inC/groups], dense weights [in, out].
//
// A layer of your own implements Layer and BuiltLayer. If a device can fuse a layer with the layers that follow it, one
// BuiltLayer computes them all; the network's table, Network.Layers, still has a line for each layer. LayerKinds lists
// the layers that recipes can name.
package nn
