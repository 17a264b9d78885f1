// Package train trains networks: the loop, metrics, evaluation, events for displays,
// and checkpoints from which training goes on bit for bit.
//
//	result, err := train.Run(ctx, train.Config{
//		Device: dev, Model: model, Loss: nn.CrossEntropy{}, Data: split,
//		Optimizer: optim.Config{Algorithm: "adam", LR: 1e-3},
//		Epochs: 2, Batch: 64,
//	})
//
// # A step
//
// Stepper holds everything that a step touches, and allocates nothing after its first steps:
// upload the images as bytes, then on the device augment, forward, loss, backward,
// clip and update. The device part is one function, which a device that can record work
// (device.Capturer) records once and replays.
//
// # Determinism
//
// The seed decides initial weights, order, augmentation and dropout by counter-based
// generators that know no history. What a checkpoint must hold is therefore only tensors and
// a step number.
package train
