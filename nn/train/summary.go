package train

import (
	"trainer/nn"
	"trainer/nn/device"
)

// Summary is what is known before training.
type Summary struct {
	Device string // as device.Device.Name
	Info   device.Info
	Rows   []nn.Row // the network's table

	Params int   // weights, trained and frozen
	FLOPs  int64 // of the forward pass of one example
	Memory int64 // bytes on the device: network, optimiser, batch; evaluation has a batch of its own

	Batch         int
	Epochs        float64
	Steps         int // of the whole training
	StepsPerEpoch int
	TrainImages   int
	TestImages    int
}

// DryRun builds everything that training needs, and trains nothing. Errors are those of
// Run before its first step.
func DryRun(cfg Config) (*Summary, error) {
	s, err := NewStepper(cfg)
	if err != nil {
		return nil, err
	}
	summary := s.Summary()
	return &summary, s.Close()
}

// Summary describes the training.
func (s *Stepper) Summary() Summary {
	sum := Summary{
		Device: s.dev.Name(), Info: s.dev.Info(), Rows: s.net.Rows(),
		Params: s.net.NumParams(), FLOPs: s.net.FLOPs(),
		Memory: s.net.Memory() + s.opt.Memory() + s.memory,
		Batch:  s.cfg.Batch, Epochs: s.cfg.Epochs, Steps: s.total, StepsPerEpoch: s.perEpoch,
		TrainImages: s.cfg.Data.Train.Len(),
	}
	if s.cfg.Data.Test != nil {
		sum.TestImages = s.cfg.Data.Test.Len()
	}
	return sum
}
