// Package recipe reads recipes: TOML files that say everything about a training except the
// data: the network layer by layer, augmentation, loss, optimiser, schedule, epochs.
//
//	r, err := recipe.Load("mnist")           // a built-in one, or the path of a file
//	model := r.Model(10)                     // for 10 classes
//
// # The file
//
// A recipe is read strictly: an unknown key, a value of the wrong type or out of range, or
// a missing key is an error with file and line. All mistakes are reported at once.
//
//	name = "my-recipe"
//	description = "one line"
//	data = ["mnist"]          # the data sets it is meant for
//	epochs = 3                # may be a fraction
//	batch = 64
//	accumulate = 4            # batches per update, whose gradients add up; 1 if left out
//	precision = "fp16"        # what a GPU should compute in; the CPU ignores it
//
//	[augment]                 # mean, std; flip, crop, cutout
//	[[augment.transform]]     # or, in place of these three, one table per transform, in order
//	kind = "hue"
//	[loss]                    # kind = "cross-entropy" or "mse"
//	[optimizer]               # kind = "sgd", "adam", ... (trainer -list has them all); lr
//	[schedule]                # kind; the learning rate's factor over training
//	[evaluate]                # views: test-time augmentation
//	[[network]]               # one table per layer
//	layer = "conv2d"
//	out = 8
//	kernel = 3
//
// Where a height and a width are meant, one number stands for both.
//
// # Kinds and settings
//
// What "layer" and "kind" can name, and which keys each kind has, is declared by the layers, losses and schedules
// themselves (package setting) and stands in lists. [Kinds] holds the lists, so that a Go program can
// append its own; [Load] and [Parse] use those of [BuiltIn].
//
// # Blocks
//
// Layers that occur several times can be named once, as a block, and used with other numbers. In a block "$out"
// stands for the value that the key out has where the block is used, and "conv$n" for a text with the value of n in it
// ("conv${n}a" if a letter or digit follows):
//
//	[block]
//	stage = [
//	  { layer = "conv2d", name = "conv$n", out = "$out", kernel = 3, padding = "same" },
//	  { layer = "batch-norm", name = "norm$n" },
//	  { layer = "relu" },
//	]
//
//	[[network]]
//	block = "stage"
//	n = 1
//	out = 32
//
//	[[network]]
//	block = "stage"
//	n = 2
//	out = 64
//
// The network is the same as if the block's layers stood there themselves: a block leaves no trace in the names of layers
// and weights. Blocks can be used in blocks and in lists of layers such as a residual's body. All parameters must be
// given, and no others. A mistake is reported where it stands: a wrong number where the block is used, and everything
// else in the block.
//
// # Mean and standard deviation
//
// augment.mean and augment.std are those of the first data set that data names. For any
// other, or without them, they are to be computed from the training images: see
// [Recipe.MeanStd].
package recipe
