// Package nn is convolutional networks: layers, losses, initialisers, and the machinery
// that builds a chain of layers on a device and runs it forwards and backwards.
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
// Each layer has a file, which begins with its formula forwards and backwards; dx stands for
// the loss's gradient by x throughout. Images are [n, h, w, c], filters
// [outC, kH, kW, inC/groups], dense weights [in, out].
//
// A layer of one's own implements Layer and Unit. Where a layer and the one after it can be
// computed in one pass, and the device offers it, one unit does both; the table of the
// network, Network.Rows, still has a line for each.
package nn
