package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/device"
)

// Resolution says from which epoch on, counted from 0, training images have a size: that many pixels along the shorter side,
// the longer one in proportion. Small images cost less, and are enough to learn from at first (Tan and Le, "EfficientNetV2",
// ICML 2021, section 4). Images are resized before they are augmented, so that settings in pixels are those of the small
// image; evaluation takes images in their own size.
//
// The network must accept all sizes with the same parameters, as with global pooling before the first dense layer: see
// nn.Network.ForInput. Each size has plans, an input and a recorded step of its own, which are prepared before the first
// step. The size is a function of the epoch alone, so that a resumed training goes on at the right one.
type Resolution struct{ Epoch, Size int }

// checkResolution returns an error if the sizes of training images are invalid for images of h x w pixels.
func (c *Config) checkResolution(h, w, channels int) error {
	bad := func(format string, args ...any) error {
		return &ConfigError{Setting: "resolution", Problem: fmt.Sprintf(format, args...)}
	}
	for i, r := range c.Resolution {
		switch {
		case r.Epoch < 0 || i > 0 && r.Epoch <= c.Resolution[i-1].Epoch:
			return bad("it begins at epoch %d in line %d, want whole numbers from 0 that increase", r.Epoch, i+1)
		case r.Size < 1 || r.Size > min(h, w):
			return bad("%d pixels from epoch %d on, want 1 to %d for images of %dx%d", r.Size, r.Epoch, min(h, w), h, w)
		}
		sh, sw := r.shape(h, w)
		if err := c.Augment.check(sh, sw, channels); err != nil {
			return fmt.Errorf("with resolution %d: %w", r.Size, err)
		}
	}
	return nil
}

// shape returns height and width of images whose own size is h x w.
func (r Resolution) shape(h, w int) (int, int) {
	short := min(h, w)
	scaled := func(side int) int { return (side*r.Size + short/2) / short }
	return scaled(h), scaled(w)
}

// resolutionSetting returns the setting of checkpoints for the sizes of training images, if there are any.
func (c *Config) resolutionSetting() []condition {
	if len(c.Resolution) == 0 {
		return nil
	}
	text, err := json.Marshal(c.Resolution)
	if err != nil { // numbers have a JSON form
		panic(err)
	}
	return []condition{{"resolution", string(text)}}
}

// sized is what a training step needs for images of one size.
type sized struct {
	set       data.Set // the training images in this size
	net       *nn.Network
	input     input
	recording recording // of the device work of a step's last batch, except the averages
	partial   recording // of the device work of a step's earlier batches, or of a batch's earlier parts
	endBatch  recording // of the device work of a batch's last part, up to the sums over all parts
	endStep   recording // the same with the update
}

// buildSizes makes what each size of training images needs.
func (s *Stepper) buildSizes() error {
	set := s.cfg.Data.Train
	h, w, c := set.ImageShape()
	list := s.cfg.Resolution
	if len(list) == 0 || list[0].Epoch > 0 {
		list = append([]Resolution{{0, min(h, w)}}, list...)
	}
	s.resolution = list
	s.sizes = make(map[int]*sized)
	for _, r := range list {
		if s.sizes[r.Size] != nil {
			continue
		}
		z := &sized{set: set, net: s.net}
		if sh, sw := r.shape(h, w); sh != h || sw != w {
			z.set = s.cfg.Shared.sized(set, sh, sw)
			var err error
			if z.net, err = s.net.ForInput(nn.Shape{sh, sw, c}); err != nil {
				return fmt.Errorf("images of %dx%d (resolution = %d): %w", sh, sw, r.Size, err)
			}
		}
		s.sizes[r.Size] = z
	}
	s.now = s.sizes[list[0].Size]
	return nil
}

// smallestBatch returns the network that needs the largest batch.
func (s *Stepper) smallestBatch() *nn.Network {
	net := s.net
	for _, z := range s.sizes {
		if z.net.SmallestBatch() > net.SmallestBatch() {
			net = z.net
		}
	}
	return net
}

// sizeIn returns what steps of an epoch, counted from 0, need.
func (s *Stepper) sizeIn(epoch int) *sized {
	size := s.resolution[0].Size
	for _, r := range s.resolution {
		if r.Epoch <= epoch {
			size = r.Size
		}
	}
	return s.sizes[size]
}

// buildInputs makes the inputs of all sizes.
func (s *Stepper) buildInputs() error {
	for _, r := range s.resolution {
		z := s.sizes[r.Size]
		if z.input != nil {
			continue
		}
		h, w, c := z.set.ImageShape()
		a := s.cfg.Augment.shortened(h, w)
		spec := device.AugmentSpec{
			N: s.net.Batch(), H: h, W: w, C: c, DType: s.net.DType(),
			Mean: a.Mean, Std: a.Std, Flip: a.Flip, Crop: a.Crop, Cutout: a.Cutout, Seed: s.cfg.Seed,
		}
		var err error
		if z.input, err = newInput(s.dev, z.set, spec, a.Transforms, s.cfg.Shared); err != nil {
			return err
		}
		if z.input, err = streamed(z.input, z.set, spec, a.Transforms, s.cfg.Shared != nil); err != nil {
			return err
		}
		z.recording = newRecording(s.dev, s.cfg.NoGraph, s.queueStep)
		z.partial = newRecording(s.dev, s.cfg.NoGraph, s.queueBatch)
		off := s.cfg.NoGraph || !s.group.recordable()
		z.endBatch = newRecording(s.dev, off, s.queueEndBatch)
		z.endStep = newRecording(s.dev, off, s.queueEndStep)
	}
	return nil
}

// TrainSet returns the training images in the size of the next step, which the batches of Step must come from.
func (s *Stepper) TrainSet() data.Set { return s.sizeIn(s.step / s.perEpoch).set }

// load copies the training images of the next step's size to the device, if they are to be kept there. It reports whether
// batches need only indices from now on.
func (s *Stepper) load(ctx context.Context) (changed bool, err error) {
	z := s.sizeIn(s.step / s.perEpoch)
	in, isStreamed := z.input.(*streamedInput)
	if !isStreamed || !in.hasBegun {
		return false, z.input.load(ctx)
	}
	if err := in.finish(ctx); err != nil {
		return false, err
	}
	z.input = in.whole
	return true, z.discardRecordings(s.dev)
}

// recordings returns all recordings.
func (z *sized) recordings() []*recording {
	return []*recording{&z.recording, &z.partial, &z.endBatch, &z.endStep}
}

// discardRecordings releases the recorded steps of one size, because its input has changed.
func (z *sized) discardRecordings(dev device.Device) error {
	for _, r := range z.recordings() {
		if len(r.recorded) > 0 {
			if err := dev.Sync(); err != nil {
				return err
			}
		}
		if err := r.close(); err != nil {
			return fmt.Errorf("recording another step: %w", err)
		}
	}
	return nil
}

// setFrozen freezes or thaws the layers of Config.Freeze.
func (s *Stepper) setFrozen(on bool) {
	s.net.SetFrozen(on)
	for _, z := range s.sizes {
		if z.net != s.net {
			z.net.SetFrozen(on)
		}
	}
}

// endTrainingOf drops the gradients that only the step's ended groups need.
func (s *Stepper) endTrainingOf(hasEnded func(*nn.Param) bool) {
	for _, z := range s.sizes {
		z.net.EndTraining(hasEnded)
	}
}

// memory returns the bytes of all sizes on the device, with the network's.
func (s *Stepper) memory() int64 {
	bytes := s.net.Memory()
	for _, z := range s.sizes {
		bytes += z.input.memory()
		if z.net != s.net {
			bytes += z.net.Memory()
		}
	}
	return bytes
}

// Phase is a part of training with one size of images.
type Phase struct {
	Epoch int // the first one, counted from 0
	Input nn.Shape
	FLOPs int64 // of the forward pass of one example
}

// phases returns the parts of training, or nil if all images have their own size.
func (s *Stepper) phases() []Phase {
	if len(s.cfg.Resolution) == 0 {
		return nil
	}
	var list []Phase
	for _, r := range s.resolution {
		net := s.sizes[r.Size].net
		list = append(list, Phase{Epoch: r.Epoch, Input: net.Input(), FLOPs: net.FLOPs()})
	}
	return list
}

// stepsLike returns how many steps with the current size of images are as much work as those that are left after a step.
func (s *Stepper) stepsLike(done int) float64 {
	left := float64(s.total - done)
	if len(s.sizes) == 1 {
		return left
	}
	work := func(epoch int) float64 { return float64(s.sizeIn(epoch).net.FLOPs()) }
	now := work(done / s.perEpoch)
	if now == 0 {
		return left
	}
	left = 0
	for done < s.total {
		next := min(s.total, (done/s.perEpoch+1)*s.perEpoch)
		left += float64(next-done) * work(done/s.perEpoch) / now
		done = next
	}
	return left
}

// closeSizes releases the recorded steps.
func (s *Stepper) closeSizes() error {
	var all error
	for _, z := range s.sizes {
		for _, r := range z.recordings() {
			all = errors.Join(all, r.close())
		}
	}
	return all
}

// chooseLoader makes loader that of images of the next epoch's size.
func (r *run) chooseLoader() (err error) {
	z := r.stepper.sizeIn(r.stepper.step / r.stepper.perEpoch)
	if r.loader = r.loaders[z]; r.loader != nil {
		return nil
	}
	r.loader, err = data.NewLoader(data.LoaderConfig{
		Set: z.set, Batch: r.cfg.Batch, Seed: r.cfg.Seed, Shuffle: true, DropLast: r.cfg.LastBatch == DropLastBatch,
		IDsOnly: z.input.resident(), Part: r.stepper.localPart,
	})
	if err == nil {
		r.loaders[z] = r.loader
	}
	return err
}

// dropLoader closes the loader of the next epoch's size, because batches need something else from now on.
func (r *run) dropLoader() {
	z := r.stepper.sizeIn(r.stepper.step / r.stepper.perEpoch)
	if l := r.loaders[z]; l != nil {
		l.Close()
		delete(r.loaders, z)
	}
}
