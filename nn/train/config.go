package train

import (
	"fmt"
	"math"

	"trainer/nn"
	"trainer/nn/augment"
	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/optim"
)

// Config says what is trained, on what, and how. Device, Model, Loss, Data, Optimizer,
// Epochs and Batch are needed; the zero values of the rest are useful.
type Config struct {
	Device device.Device
	Model  nn.Layer
	Loss   nn.Loss
	// Data is what is trained on. Epochs are scored on Val if there is one, and otherwise on Test; Test is evaluated at
	// the end in any case. Either may be nil.
	Data *data.Dataset

	Augment   Augment
	Optimizer optim.Config
	Schedule  optim.Schedule // nil: constant

	// Epochs may have a fraction: training takes ceil(Epochs * steps of an epoch) steps.
	Epochs   float64
	Batch    int
	DropLast bool // leave out an epoch's last batch where it is smaller
	// Accumulate is the number of batches per step, which have one update: their gradients add up to that of one batch
	// of all their images. 0 means 1. An epoch's last step has the batches that are left. Steps, and with them
	// schedules, averages, checkpoints and metrics, count updates; batch normalisation still normalises each batch by
	// itself, and updates its running statistics with each.
	Accumulate int
	Seed       uint64

	// DType is what activations are stored in, Float32 (or 0), Float16 or BFloat16; see nn.Options.
	DType device.DType
	// NoGraph keeps a device that can record steps from doing so.
	NoGraph bool

	TTA       []TTAView // of a test image, at the end of training; none, and before the end: the image as it is
	EvalEvery int       // epochs from one evaluation to the next; 0: 1; below 0: only at the end

	// MetricsEvery is the number of steps after which loss and accuracy are fetched from the
	// device, and a diverged loss is seen; besides after the first step and at the end of epochs. On a device.Fetcher
	// they arrive later, and the host runs ahead of the device by less than three times as many steps.
	// 0 means 1, or 10 on a Fetcher, or 50 on another device that records steps, which each fetch would hold up.
	MetricsEvery int

	Listeners  []Listener
	Checkpoint Checkpoint
	Resume     string // a checkpoint's path to go on from
}

// Augment says how images become the network's input; see device.AugmentSpec.
type Augment struct {
	// Mean and Std, one a channel, normalise pixels scaled to [0,1]. Both nil: those of the
	// training set.
	Mean, Std []float32
	Flip      device.FlipMode
	Crop      int // largest shift in pixels
	Cutout    int // side of the square in pixels
	// Transforms are applied in order. They stand in place of Flip, Crop and Cutout, which are the transforms that the
	// built-in recipes need, in a short form.
	Transforms augment.List `json:",omitempty"`
}

// shortened returns the augmentation in the short form, if that says the same of images of h x w pixels: it takes one pass over
// the pixels.
func (a Augment) shortened(h, w int) Augment {
	if short, ok := a.Transforms.Short(h, w); ok && len(a.Transforms) > 0 {
		a.Flip, a.Crop, a.Cutout, a.Transforms = short.Flip, short.Crop, short.Cutout, nil
	}
	return a
}

// Checkpoint says when the state of training is written to Dir/checkpoint.safetensors, which
// holds the latest. It is also written at the end and when training is interrupted.
type Checkpoint struct {
	Dir         string // "": never; it is created where missing
	EveryEpochs int    // 0: 1, unless EverySteps is set
	EverySteps  int    // 0: only after epochs
}

// ConfigError is an invalid setting.
type ConfigError struct {
	Setting string // such as "batch"
	Problem string // what it is, and what is valid
}

func (e *ConfigError) Error() string { return e.Setting + ": " + e.Problem }

// check returns a *ConfigError if a setting is invalid.
func (c *Config) check() error {
	bad := func(setting, format string, args ...any) error {
		return &ConfigError{Setting: setting, Problem: fmt.Sprintf(format, args...)}
	}
	switch {
	case c.Device == nil:
		return bad("device", "missing")
	case c.Model == nil:
		return bad("network", "missing")
	case c.Loss == nil:
		return bad("loss", "missing")
	case c.Data == nil || c.Data.Train == nil || c.Data.Train.Len() == 0:
		return bad("data", "no training images")
	case !(c.Epochs > 0) || math.IsInf(c.Epochs, 0):
		return bad("epochs", "%v, want a positive number", c.Epochs)
	case c.Batch < 1:
		return bad("batch", "%d, want at least 1", c.Batch)
	case c.Batch > c.Data.Train.Len():
		return bad("batch", "%d, more than the %d training images", c.Batch, c.Data.Train.Len())
	case c.Accumulate < 0:
		return bad("accumulate", "%d batches per step, need at least 1", c.Accumulate)
	case c.DType != 0 && c.DType != device.Float32 && c.DType != device.Float16 && c.DType != device.BFloat16:
		return bad("precision", "%v, want %v, %v or %v", c.DType, device.Float32, device.Float16, device.BFloat16)
	case c.MetricsEvery < 0:
		return bad("metrics every", "%d steps, want 0 (the default) or more", c.MetricsEvery)
	case c.Checkpoint.EveryEpochs < 0 || c.Checkpoint.EverySteps < 0:
		return bad("checkpoint", "every %d epochs, %d steps: want 0 or more", c.Checkpoint.EveryEpochs, c.Checkpoint.EverySteps)
	}
	h, w, channels := c.Data.Train.ImageShape()
	for name, set := range map[string]data.Set{"validation": c.Data.Val, "test": c.Data.Test} {
		if set == nil {
			continue
		}
		if th, tw, tc := set.ImageShape(); th != h || tw != w || tc != channels {
			return bad("data", "the %s images are %dx%dx%d, the training images %dx%dx%d", name, th, tw, tc, h, w, channels)
		}
	}
	if err := c.Augment.check(h, w, channels); err != nil {
		return err
	}
	return checkViews(c.TTA, h, w)
}

func (a *Augment) check(h, w, c int) error {
	bad := func(format string, args ...any) error {
		return &ConfigError{Setting: "augmentation", Problem: fmt.Sprintf(format, args...)}
	}
	if len(a.Mean) != len(a.Std) || (a.Mean != nil && len(a.Mean) != c) {
		return bad("%d means and %d standard deviations for images of %d channels", len(a.Mean), len(a.Std), c)
	}
	for _, s := range a.Std {
		if !(s > 0) {
			return bad("a standard deviation is %v, want a positive number", s)
		}
	}
	if len(a.Transforms) > 0 && (a.Flip != device.FlipNone || a.Crop != 0 || a.Cutout != 0) {
		return bad("flip, crop and cutout beside a list of transforms: write them as the transforms flip or alternating-flip, shift and cutout")
	}
	if err := a.Transforms.Check(); err != nil {
		return bad("%v", err)
	}
	if a.Crop < 0 || a.Crop > min(h, w)-1 {
		return bad("crop shifts by %d pixels, want 0 to %d for images of %dx%d", a.Crop, min(h, w)-1, h, w)
	}
	if a.Cutout < 0 || a.Cutout > min(h, w) {
		return bad("cutout is %d pixels wide, want 0 to %d for images of %dx%d", a.Cutout, min(h, w), h, w)
	}
	return nil
}

// batchesPerStep returns the batches that have one update.
func (c *Config) batchesPerStep() int { return max(1, c.Accumulate) }

// stepsPerEpoch returns the updates of an epoch.
func (c *Config) stepsPerEpoch() int {
	return (c.batchesPerEpoch() + c.batchesPerStep() - 1) / c.batchesPerStep()
}

// batchesPerEpoch returns the batches of an epoch.
func (c *Config) batchesPerEpoch() int {
	n := c.Data.Train.Len()
	if c.DropLast {
		return n / c.Batch
	}
	return (n + c.Batch - 1) / c.Batch
}

// totalSteps returns ceil(Epochs * stepsPerEpoch), where a product that is whole but for
// rounding counts as whole.
func (c *Config) totalSteps() int {
	return max(1, int(math.Ceil(c.Epochs*float64(c.stepsPerEpoch())-1e-6)))
}

// statsEvery returns the steps from one fetch of the statistics to the next.
func (c *Config) statsEvery() int {
	if c.MetricsEvery > 0 {
		return c.MetricsEvery
	}
	if _, runsOn := c.Device.(device.AsyncDownloader); runsOn {
		return 10
	}
	if _, records := c.Device.(device.Capturer); records {
		return 50
	}
	return 1
}

// evaluates reports whether there is an evaluation after the epoch, counted from 1.
func (c *Config) evaluates(epoch int) bool {
	if c.EvalEvery < 0 {
		return false
	}
	return epoch%max(1, c.EvalEvery) == 0
}

// due reports whether a checkpoint is written after steps that end an epoch, counted from
// 1, or don't (0).
func (c Checkpoint) due(step, epoch int) bool {
	if c.Dir == "" {
		return false
	}
	if c.EverySteps > 0 && step%c.EverySteps == 0 {
		return true
	}
	every := c.EveryEpochs
	if every == 0 && c.EverySteps == 0 {
		every = 1
	}
	return epoch > 0 && every > 0 && epoch%every == 0
}
