// Package augment has the transforms that vary training images: each image is changed at random in each epoch, so that
// a network learns what the images of a class have in common rather than the individual images.
//
//	transforms := augment.List{
//		{Transform: augment.AlternatingFlip{}},
//		{Transform: augment.Hue{Max: 0.05}, P: 0.5},
//		{Transform: augment.Erasing{}, P: 0.25},
//	}
//
// A transform has two halves. Draw, on the host, draws a few float32 parameters for one image. The operations
// (device.ImageOp) apply them to the pixels on the device: each is a formula of pixels and parameters without
// randomness. So all devices get bit-identical parameters, and kinds share operations: flips, shifts, crops, rotations
// and shears all use the operation affine.
//
// # Adding a transform
//
// One file here holds the kind (settings, Draw) and, if no existing operation fits, the operation with its formula in
// float64; Kinds lists the kind. The operation's code for a device is cpu/image_NAME.go with a line in that package's
// list, and kernels/image_NAME.cu. The conformance suite, the tests of the kernels, benchmarks, recipes, trainer -list
// and trainer draw augment follow from Kinds.
//
// # Random numbers
//
// They are counter-based: the numbers for an image depend on the seed, the epoch, the image's index in the data set and
// the transform's place in the list, and on nothing else.
package augment
