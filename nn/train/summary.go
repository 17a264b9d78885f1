package train

import (
	"trainer/nn"
	"trainer/nn/device"
)

// Summary describes a training before it starts.
type Summary struct {
	Device string // as device.Device.Name
	Info   device.Info
	Rows   []nn.LayerInfo // the network's table

	Params int   // weights, trained and frozen
	FLOPs  int64 // of the forward pass of one example
	// Phases are the parts of training with images of different sizes (Config.Resolution); nil if they have one size.
	Phases []Phase `json:",omitempty"`
	// Memory is the number of bytes on the device: network, optimiser, and input, with the data set if it is kept
	// there; in Run and DryRun also the snapshots of the weights, the copy for checkpoints and the input of evaluation.
	Memory int64
	// Resident reports whether the training images are kept on the device.
	Resident bool
	// Recorded reports whether the device records a step and replays it, for example as a CUDA graph. A device may find
	// out only at the second step that it can't; a Result then has the final value.
	Recorded bool

	// Fallbacks names the operations that the host computes because the device lacks them (device.Fallbacks).
	Fallbacks []string

	Batch         int
	Accumulate    int // batches per step
	Epochs        float64
	Steps         int // in the whole training
	StepsPerEpoch int
	TrainImages   int
	Dropped       int // images of an epoch's last batch that is left out by default: see DefaultLastBatch
	ValImages     int // 0 without a validation set
	TestImages    int
}

// DryRun builds everything that training needs, but doesn't train. It returns the errors
// that Run would return before its first step.
func DryRun(cfg Config) (*Summary, error) {
	r := &run{cfg: cfg}
	defer r.close()
	if err := r.build(); err != nil {
		return nil, err
	}
	summary := r.summary()
	return &summary, nil
}

// summary is the stepper's summary with the memory of everything that Run allocates.
func (r *run) summary() Summary {
	sum := r.stepper.Summary()
	sum.Memory += r.snapshot.memory()
	if r.saver != nil {
		sum.Memory += r.saver.memory()
	}
	for _, e := range []*Evaluator{r.validator, r.evaluator} {
		if e != nil {
			sum.Memory += e.memory()
		}
	}
	return sum
}

// Summary describes the training.
func (s *Stepper) Summary() Summary {
	sum := Summary{
		Device: s.dev.Name(), Info: s.dev.Info(), Rows: s.net.Layers(),
		Params: s.net.NumParams(), FLOPs: s.net.FLOPs(),
		Memory: s.memory() + s.opt.Memory(), Resident: s.keepsData(), Recorded: s.now.recording.on(),
		Batch: s.cfg.Batch, Accumulate: s.cfg.batchesPerStep(), Epochs: s.cfg.Epochs, Steps: s.total, StepsPerEpoch: s.perEpoch,
		TrainImages: s.cfg.Data.Train.Len(), Phases: s.phases(),
	}
	if s.dropped {
		sum.Dropped = sum.TrainImages % s.cfg.Batch
	}
	if f, ok := s.dev.(device.Fallbacks); ok {
		sum.Fallbacks = f.Fallbacks()
	}
	if s.cfg.Data.Val != nil {
		sum.ValImages = s.cfg.Data.Val.Len()
	}
	if s.cfg.Data.Test != nil {
		sum.TestImages = s.cfg.Data.Test.Len()
	}
	return sum
}

// keepsData reports whether the training images of the next step's size are on the device, or will be after an epoch.
func (s *Stepper) keepsData() bool {
	_, isStreamed := s.sizeIn(s.step / s.perEpoch).input.(*streamedInput)
	return isStreamed || s.DataOnDevice()
}
