// Package recipe reads recipes: TOML files that define everything about a training except
// the data: the network layer by layer, augmentation, loss, optimiser, schedule and number
// of epochs.
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
//	data = ["mnist"]          # the data sets it is meant for; "folder" means folders of pictures
//	epochs = 3                # may be a fraction
//	batch = 64                # or "auto": by the number of training images
//	accumulate = 4            # batches per update, whose gradients add up; 1 if left out
//	shards = 8                # parts of a batch, each normalised by itself; 1 if left out
//	sync-batch-norm = true    # in place of shards: statistics over the batches of all processes
//	zero-stage = 1            # processes divide the optimiser's states, to save memory; 0 if left out
//	weights = "best"          # which weights become the model: last, ema, or best on the validation set
//	log-every = 20            # steps from one line of steps.jsonl to the next
//	rate-changes = [[900, 0.5]] # half the learning rate from step 900 on; a run whose rate was changed has it
//	precision = "fp16"        # what a GPU should compute in; the CPU ignores it
//
//	[augment]                 # mean, std; flip, crop, cutout
//	[[augment.transform]]     # or, in place of these three, one table per transform, in order
//	kind = "hue"
//	[loss]                    # kind = "cross-entropy" or "mse"
//	[optimizer]               # kind = "sgd", "adam", ... (trainer -list has them all); lr
//	[schedule]                # kind; the learning rate's factor over training
//	[stop]                    # patience, min-delta, metric, target: when training ends early
//	[evaluate]                # views: test-time augmentation
//	[[network]]               # one table per layer
//	layer = "conv2d"
//	out = 8
//	kernel = 3
//
// If a key takes a height and a width, one number stands for both.
//
// # Kinds and settings
//
// The layers, losses and schedules themselves declare the names that "layer" and "kind" can have, and the keys of each
// kind (package setting). The kinds are in lists. [Kinds] holds the lists, so that a Go program can append its own;
// [Load] and [Parse] use those of [BuiltIn].
//
// # Blocks
//
// Layers that occur several times can be named once, as a block, and used with different numbers. In a block, "$out"
// stands for the value of the key out in the table that uses the block, and "conv$n" for a text that contains the value
// of n ("conv${n}a" if a letter or digit follows):
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
// The network is the same as if the block's layers were written out: a block leaves no trace in the names of layers and
// weights. Blocks can be used in blocks and in lists of layers such as a residual's body. The table that uses a block
// must set all of its parameters, and no other keys. A mistake is reported on its own line: a wrong number in the table
// that uses the block, and any other mistake in the block.
//
// # Mean and standard deviation
//
// augment.mean and augment.std belong to the first data set in data. For any other data
// set, or if they are left out, they must be computed from the training images; see
// [Recipe.MeanStd].
package recipe
