package train

import (
	"fmt"
	"math"
	"time"

	"trainer/nn"
	"trainer/nn/augment"
	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/optim"
)

// Config is the configuration of a training. Device, Model, Loss, Data, Optimizer, Epochs
// and Batch are required; all other fields have useful zero values.
type Config struct {
	Device device.Device
	Model  nn.Layer
	Loss   nn.Loss
	// Data is the data set. Epochs are scored on Val if it is set, and otherwise on Test; the weights that are kept are
	// always evaluated on Test. Either may be nil.
	Data *data.Dataset
	// DataHash identifies the images: see data.Fingerprint. A checkpoint of other images is refused. If it is "", Run
	// computes it from a sample, if there are checkpoints.
	DataHash string

	Augment   Augment
	Optimizer optim.Config
	Schedule  optim.Schedule // nil: constant
	// RateChanges multiply the learning rates from their steps on. Training.ChangeRate adds one; a resumed or repeated
	// training that should have the same bits gets the changes here.
	RateChanges []optim.RateChange

	// Epochs may be fractional: training takes ceil(Epochs * steps per epoch) steps.
	Epochs    float64
	Batch     int
	LastBatch LastBatch // what to do with an epoch's last batch if it is smaller
	// Accumulate is the number of batches per step; 0 means 1. The batches of a step share one update: the sum of their
	// gradients is the gradient of one batch of all their images. An epoch's last step has the remaining batches.
	// Steps, and with them schedules, averages, checkpoints and metrics, count updates; batch normalisation still
	// normalises each batch separately, and updates its running statistics with each batch.
	Accumulate int
	// Shards is the number of parts into which every batch is split; 0 means 1. Each part has its own forward and backward
	// pass, so that batch normalisation normalises it by its own statistics, and gradients, running statistics and losses
	// are summed over the parts in a fixed order: see shards.go. A batch is a multiple of the number of parts.
	Shards int
	// SyncBatchNorm makes batch normalisation take mean and variance over the whole batch, whatever the number of ranks, each of
	// which then computes one part: Shards is ignored. A single process computes as without shards. At another number of ranks
	// results differ by rounding, and in the masks of dropout and the partners of mixed images.
	SyncBatchNorm bool
	// Ranks connects this process to others that compute other shards of the same training: see ranks.go. All have the
	// same configuration except for Hooks and Checkpoint, which are rank 0's; the results of the others have no scores.
	// nil: this process computes all shards.
	Ranks device.Collective
	// ZeroStage 1 divides the optimiser's work and states over the ranks (optim.Partition), which saves memory. The results and
	// the checkpoints are the same. 0: every rank has all states.
	ZeroStage int
	Seed      uint64

	// Resolution is the size of training images, by epoch; empty: that of the data.
	Resolution []Resolution

	// Freeze holds patterns of the names of layers that are not trained: see nn.Options. With FreezeUntil they are
	// trained from that epoch on, counted from 0; 0 means that they stay frozen.
	Freeze      []string
	FreezeUntil float64

	// DType is the type of stored activations, Float32 (or 0), Float16 or BFloat16; see nn.Options.
	DType device.DType
	// NoGraph turns off the recording of steps.
	NoGraph bool

	TTA []TTAView // test-time augmentation for the final weights; empty: none
	// TTAShare is the share of the images that TTA applies to, those whose answers are least certain without it; 0 means all.
	TTAShare  float64
	EvalEvery int // epochs from one evaluation to the next; 0 means 1, below 0 only at the end

	// MetricsEvery is the number of steps from one download of loss and accuracy to the next; a diverged loss is
	// noticed then. They are also downloaded after the first step and at the end of each epoch. On a
	// device.AsyncDownloader they arrive later, and the host runs ahead of the device by less than three times as many
	// steps (some more with another LogEvery). 0 means 1, or 10 on an AsyncDownloader, or 50 on any other device that
	// records steps, because there each download makes the device wait.
	MetricsEvery int

	// KeepAnswers gives the results of every evaluation the answers to all images (Evaluation.Answers); otherwise only those
	// of the final weights have them.
	KeepAnswers bool

	// Initialize changes the network's first weights, such as to those of another training. It is called once the network
	// has been built, unless a checkpoint is resumed; averages of the weights begin with what it leaves. nil means that
	// training begins with what the layers' initialisers give.
	Initialize func(net *nn.Network) error

	// LogEvery is the number of steps from one call of Hooks.Log to the next. 0 means about a fiftieth of an epoch, below 0
	// never. If there is no such hook, nothing is logged.
	LogEvery int

	Weights Weights // which weights are kept
	BestBy  Metric  // what makes an epoch the best; "" means ByAccuracy
	Stop    Stop    // when training ends before its last epoch

	// Shared, unless nil, is what trainings of the same data on the same device share, one after the other. Result.Network then
	// has the result's weights only until the next training begins, and the last checkpoint may be written after Run has
	// returned: see Shared.LastCheckpoint.
	Shared *Shared

	Hooks      []Hooks
	Checkpoint Checkpoint
	Resume     string // path of a checkpoint to continue from
	// Extend lets a resumed training have another number of epochs than its checkpoint's, but not fewer than are done.
	// The schedule takes the course that it has in a training of that length from there on.
	Extend bool
}

// Augment says how to turn images into the network's input; see device.AugmentSpec.
type Augment struct {
	// Mean and Std, one value per channel, normalise pixels scaled to [0,1]. If both are
	// nil, those of the training set are used.
	Mean, Std []float32
	Flip      device.FlipMode
	Crop      int // largest shift in pixels
	Cutout    int // side of the square in pixels
	// Transforms are applied in order. They replace Flip, Crop and Cutout, which are a short form for the transforms of
	// the built-in recipes.
	Transforms augment.List `json:",omitempty"`
}

// shortened returns the augmentation in the short form, which takes one pass over the pixels, if there is an equivalent
// short form for images of h x w pixels.
func (a Augment) shortened(h, w int) Augment {
	if short, ok := a.Transforms.Short(h, w); ok && len(a.Transforms) > 0 {
		a.Flip, a.Crop, a.Cutout, a.Transforms = short.Flip, short.Crop, short.Cutout, nil
	}
	return a
}

// Checkpoint says when to write the state of training to Dir/checkpoint.safetensors, which
// holds the latest checkpoint. A checkpoint is also written at the end and when training is
// interrupted.
type Checkpoint struct {
	Dir         string        // created if missing; "" means no checkpoints
	EveryEpochs int           // 0 means 1, or never if EverySteps or Every is set
	EverySteps  int           // 0 means only after epochs
	Every       time.Duration // time between two checkpoints; 0 means that time doesn't matter
}

// ConfigError reports an invalid setting.
type ConfigError struct {
	Setting string // such as "batch"
	Problem string // the value, and what would be valid
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
		return bad("batch", "%d, more than the %d training images: use %d or less", c.Batch, c.Data.Train.Len(), c.Data.Train.Len())
	case !(c.FreezeUntil >= 0) || c.FreezeUntil > 0 && len(c.Freeze) == 0:
		return bad("freeze-until", "%v, want 0 or more, beside freeze, which names layers", c.FreezeUntil)
	case c.Accumulate < 0:
		return bad("accumulate", "%d batches per step, need at least 1", c.Accumulate)
	case c.Shards < 0:
		return bad("shards", "%d parts of a batch, need at least 1", c.Shards)
	case c.SyncBatchNorm && c.Batch%c.shards() != 0:
		return bad("batch", "%d images can't be split into equal parts for %d ranks: %s", c.Batch, c.shards(), c.divisible())
	case c.Batch%c.shards() != 0:
		return bad("shards", "a batch of %d can't be split into %d equal parts: %s", c.Batch, c.Shards, c.divisible())
	case c.ZeroStage < 0 || c.ZeroStage > 1:
		return bad("zero-stage", "%d, want 0, or 1 to divide the states of the optimiser over the ranks", c.ZeroStage)
	case c.DType != 0 && c.DType != device.Float32 && c.DType != device.Float16 && c.DType != device.BFloat16:
		return bad("precision", "%v, want %v, %v or %v", c.DType, device.Float32, device.Float16, device.BFloat16)
	case c.MetricsEvery < 0:
		return bad("metrics every", "%d steps, want 0 (the default) or more", c.MetricsEvery)
	case c.Checkpoint.EveryEpochs < 0 || c.Checkpoint.EverySteps < 0 || c.Checkpoint.Every < 0:
		return bad("checkpoint", "every %d epochs, %d steps, %v: want 0 or more", c.Checkpoint.EveryEpochs, c.Checkpoint.EverySteps, c.Checkpoint.Every)
	}
	if err := optim.CheckRateChanges(c.RateChanges); err != nil {
		return bad("rate-changes", "%v", err)
	}
	if steps := c.Epochs * float64(c.stepsPerEpoch()); steps > maxSteps {
		return bad("epochs", "%g are %.3g steps, want at most %d steps", c.Epochs, steps, maxSteps)
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
	if err := c.checkRanks(); err != nil {
		return err
	}
	if err := c.checkResolution(h, w, channels); err != nil {
		return err
	}
	if !(c.TTAShare >= 0 && c.TTAShare <= 1) {
		return bad("views-share", "%v, want above 0 and at most 1", c.TTAShare)
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

// maxSteps is the largest number of steps: devices count them with 32 bits.
const maxSteps = math.MaxInt32

// batchesPerStep returns the number of batches per update.
func (c *Config) batchesPerStep() int { return max(1, c.Accumulate) }

// stepsPerEpoch returns the number of updates in an epoch.
func (c *Config) stepsPerEpoch() int {
	return (c.batchesPerEpoch() + c.batchesPerStep() - 1) / c.batchesPerStep()
}

// batchesPerEpoch returns the number of batches in an epoch.
func (c *Config) batchesPerEpoch() int {
	n := c.Data.Train.Len()
	if c.LastBatch == DropLastBatch {
		return n / c.Batch
	}
	return (n + c.Batch - 1) / c.Batch
}

// totalSteps returns ceil(Epochs * stepsPerEpoch), where a product that is an integer up to
// rounding counts as an integer.
func (c *Config) totalSteps() int {
	return max(1, int(math.Ceil(c.Epochs*float64(c.stepsPerEpoch())-1e-6)))
}

// statsEvery returns the number of steps from one download of the statistics to the next.
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

// due reports whether a checkpoint is due. epoch is the number, counted from 1, of the
// epoch that the steps done have just completed, or 0.
func (c Checkpoint) due(step, epoch int) bool {
	if c.Dir == "" {
		return false
	}
	if c.EverySteps > 0 && step%c.EverySteps == 0 {
		return true
	}
	every := c.EveryEpochs
	if every == 0 && c.EverySteps == 0 && c.Every == 0 {
		every = 1
	}
	return epoch > 0 && every > 0 && epoch%every == 0
}
