// Package data brings labelled images to the training loop: it finds data sets,
// downloads those that may be downloaded, decodes them, and hands out batches in a
// shuffled order that a seed decides.
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
// Open knows "mnist" (embedded in the program), "fashion-mnist" and "cifar10", and takes
// any folder that has one subfolder of PNG or JPEG images a class.
//
// # Pixels
//
// Images are uint8 and NHWC, as they are in the files. Normalisation and augmentation
// are the device's work (device.Cast, device.Augment): a batch that crosses to a GPU as bytes is
// four times smaller than one of float32.
//
// # Errors
//
// A malformed file is a *FormatError: file, byte offset, what should be there, what is. A data
// set that isn't there is a *NotFoundError, one that can't be downloaded a *DownloadError.
package data
