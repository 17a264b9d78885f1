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
// Stepper holds everything that a step touches, and allocates nothing after its first steps. The host copies
// to the device what changes from step to step (prepare), and then queues the device's work (queue): augment,
// forward, loss, backward, clip and update. The second part is the same at every step, so that a device that can
// record work (device.Capturer) records it once and replays it.
//
// There are two ways for images (input.go). On a device.DatasetResident with enough memory the whole data set is copied before the
// first step, and a step copies only the numbers of its images. Elsewhere it copies the images, which a
// data.Loader has read ahead.
//
// # The host and the device
//
// A device that works by itself, such as a GPU, should never wait for the host. Within an epoch nothing makes
// the host wait for such a device, so that there always are steps queued:
//
//   - the sums of losses and correct answers come by device.AsyncDownloader (statistics.go). The host looks at
//     what has arrived, and waits only when it is two requests ahead. So what displays show is a little old, and a
//     loss that is not finite is seen some steps later;
//   - the weights to go back to then are copied on the device, and count as good only when a finite loss that was
//     computed with them has arrived (snapshot.go).
//
// At the end of an epoch, before a checkpoint and when training is interrupted, everything is waited for. On a device whose
// calls return when the work is done, such as the CPU, a fetch has arrived at once, and the same code has no delay.
//
// An evaluation has its answers fetched in the same way: the device works on a batch while the host counts the
// answers of the one before.
//
// # Determinism
//
// The seed decides initial weights, order, augmentation and dropout by counter-based
// generators that know no history. What a checkpoint must hold is therefore only tensors and
// a step number.
package train
