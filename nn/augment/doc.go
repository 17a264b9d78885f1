// Package augment has the transforms that vary training images: each image of each epoch is changed at random,
// so that a network sees what is the same about a class rather than what is the same about a picture.
//
//	transforms := augment.List{
//		{Transform: augment.AlternatingFlip{}},
//		{Transform: augment.Hue{Max: 0.05}, P: 0.5},
//		{Transform: augment.Erasing{}, P: 0.25},
//	}
//
// A transform has two halves. Draw decides on the host what happens to one image, as a few float32 parameters.
// Its operations (device.ImageOp) do it to the pixels on the device: a formula of pixels and parameters without
// chance. So both devices get the same parameters to the bit, and kinds share operations: flips, shifts, crops,
// rotations and shears are all the operation affine.
//
// # Adding a transform
//
// One file here holds the kind (settings, Draw) and, if no operation does it yet, the operation with its
// formula in float64; the kind's name stands in Kinds. The operation's code for a device is
// cpu/image_NAME.go with a line in that package's list, and kernels/image_NAME.cu. The conformance suite, the
// tests of the kernels, benchmarks, recipes, trainer -list and trainer draw augment follow from Kinds.
//
// # Random numbers
//
// They are counter-based: what is drawn for an image depends on the seed, the epoch, the image's number in the
// data set and the transform's place in the list, and on nothing else.
package augment
