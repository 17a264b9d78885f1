// Package data feeds labelled images to the training loop: it finds data sets, downloads them if that is allowed, decodes
// them, and returns batches in a shuffled order that a seed decides.
//
//	split, err := data.Open(ctx, "mnist", data.Options{})
//	loader, err := data.NewLoader(data.LoaderConfig{Set: split.Train, Batch: 256, Shuffle: true})
//	loader.Start(0, 0)
//	for {
//		batch, err := loader.Next() // io.EOF at the epoch's end
//		...
//		loader.Release(batch)
//	}
//
// # Data sets
//
// Open reads "mnist" (embedded in the program), "fashion-mnist" and "cifar10", and any folder with one subfolder of PNG or
// JPEG images per class.
//
// # Pixels
//
// Images are uint8 and NHWC. Normalisation and augmentation run on the device (device.Cast, device.Augment): a batch of
// bytes takes a quarter of the bandwidth of a batch of float32.
//
// # Errors
//
// A malformed file is a *FormatError, with file, byte offset, expected and actual contents. A missing data set is a
// *NotFoundError, a failed download a *DownloadError.
package data
