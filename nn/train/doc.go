// Package train trains networks: the loop, metrics, evaluation, events for displays, and checkpoints from which training
// continues bit for bit.
//
//	result, err := train.Run(ctx, train.Config{
//		Device: dev, Model: model, Loss: nn.CrossEntropy{}, Data: split,
//		Optimizer: optim.Config{Algorithm: "adam", LR: 1e-3},
//		Epochs: 2, Batch: 64,
//	})
//
// # A step
//
// Stepper holds everything that a step uses, and allocates nothing after its first steps. The host copies to the device
// what changes from step to step (prepare), such as the random parameters of transforms, and then queues the device's
// work (queue): augment, forward, loss, backward, clip and update. This work is the same at every step, so a
// device.Capturer records it once and replays it.
//
// Images reach the device in one of two ways (input.go). If the device is a device.DatasetResident with enough memory, the
// whole data set is copied before the first step, and each step copies only the indices of its images. Otherwise each
// step copies its images, which a data.Loader has read ahead.
//
// # The host and the device
//
// A device that works asynchronously, such as a GPU, should always have steps queued. So within an epoch the host rarely
// waits for it:
//
//   - the sums of losses and correct answers arrive through device.AsyncDownloader (statistics.go). The host takes what
//     has arrived. It waits after the first step, so that there is something to show, and when two requests are pending.
//     Displays therefore lag a little, and a loss that is not finite is noticed some steps later;
//   - the weights to restore in that case are snapshots on the device; a snapshot counts as good once a finite loss
//     computed with it has arrived (snapshot.go).
//
// The host also waits at the end of an epoch, before a checkpoint, and when training is interrupted. On a device whose
// calls return when the work is done, such as the CPU, a download arrives at once, and the same code has no delay.
//
// An evaluation downloads its answers in the same way: the device works on a batch while the host counts the answers of
// the batch before.
//
// # Hooks
//
// Displays, logs and early stopping are Hooks: functions that Run calls between steps. Config.Stop is one, built in. A hook
// ends training with Training.Stop. At the end the network gets the weights that Config.Weights names (kept.go), and a
// Result speaks only of these.
//
// # Determinism
//
// The seed decides initial weights, data order, augmentation and dropout, by counter-based generators without history. A
// checkpoint therefore holds only tensors and a step number.
package train
