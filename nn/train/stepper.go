package train

import (
	"fmt"

	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/optim"
)

// Stepper is a network with all that a training step touches. Run drives one; benchmarks
// drive it by themselves.
type Stepper struct {
	cfg      Config
	dev      device.Device
	net      *nn.Network
	opt      *optim.Optimizer
	augment  device.Augment
	perEpoch int
	total    int
	step     int // steps done

	input  *device.Tensor // float32 [batch, h, w, c]
	images *device.Tensor // uint8 [batch, h, w, c]
	labels *device.Tensor // int32 [batch]
	ids    *device.Tensor // int32 [batch]
	epoch  *device.Tensor // int32 [1]
	memory int64

	counter [1]int32                 // next contents of epoch and of the network's step
	stats   [device.StatsLen]float32 // last contents of the network's stats
	zero    [device.StatsLen]float32

	capturer device.Capturer // nil: the device doesn't record
	graph    device.Graph    // the recorded step for full batches; nil before
	warm     bool            // one full step has run
	compute  func()          // device work of a step, but for the averages
}

// NewStepper builds the network, the optimiser and the input buffers. It doesn't look at
// Listeners, Checkpoint and Resume.
func NewStepper(cfg Config) (*Stepper, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if err := cfg.normalization(); err != nil {
		return nil, err
	}
	h, w, c := cfg.Data.Train.ImageShape()
	s := &Stepper{cfg: cfg, dev: cfg.Device, perEpoch: cfg.stepsPerEpoch(), total: cfg.totalSteps()}
	s.capturer, _ = s.dev.(device.Capturer)
	var err error
	s.net, err = nn.Compile(s.dev, cfg.Model, nn.Options{
		Input: nn.Shape{h, w, c}, Batch: cfg.Batch, Training: true, Seed: cfg.Seed, Loss: cfg.Loss,
		Sample: sampler(cfg.Data.Train, cfg.Augment.Mean, cfg.Augment.Std),
	})
	if err != nil {
		return nil, err
	}
	if classes := len(cfg.Data.Train.Classes()); classes != s.net.Classes() {
		return nil, &ConfigError{Setting: "network", Problem: fmt.Sprintf("it has %d outputs, the data %d classes", s.net.Classes(), classes)}
	}
	s.opt, err = optim.New(s.dev, s.net.Params(), s.net.State(), cfg.Optimizer, cfg.Schedule, s.total, s.perEpoch)
	if err != nil {
		return nil, err
	}
	if err := s.buildInput(h, w, c); err != nil {
		return nil, fmt.Errorf("input buffers: %w", err)
	}
	s.compute = s.queueCompute
	return s, nil
}

// normalization fills in the training set's own mean and deviation where none are given.
func (c *Config) normalization() error {
	if c.Augment.Mean != nil {
		return nil
	}
	var err error
	if c.Augment.Mean, c.Augment.Std, err = data.MeanStd(c.Data.Train); err != nil {
		return err
	}
	for i, s := range c.Augment.Std {
		if s == 0 { // a channel without contrast stays zero
			c.Augment.Std[i] = 1
		}
	}
	return nil
}

func (s *Stepper) buildInput(h, w, c int) (err error) {
	n := s.cfg.Batch
	for _, t := range []struct {
		at    **device.Tensor
		dtype device.DType
		shape []int
	}{
		{&s.input, device.Float32, []int{n, h, w, c}},
		{&s.images, device.Uint8, []int{n, h, w, c}},
		{&s.labels, device.Int32, []int{n}},
		{&s.ids, device.Int32, []int{n}},
		{&s.epoch, device.Int32, []int{1}},
	} {
		if *t.at, err = s.dev.NewTensor(t.dtype, t.shape...); err != nil {
			return err
		}
		s.memory += int64((*t.at).Len()) * int64(t.dtype.Size())
	}
	a := s.cfg.Augment
	s.augment, err = s.dev.NewAugment(device.AugmentSpec{
		N: n, H: h, W: w, C: c, Mean: a.Mean, Std: a.Std, Flip: a.Flip, Crop: a.Crop, Cutout: a.Cutout, Seed: s.cfg.Seed,
	})
	return err
}

// Step trains on one batch. The batch may be reused when Step returns.
func (s *Stepper) Step(b *data.Batch) error {
	if err := s.upload(b); err != nil {
		return fmt.Errorf("step %d: %w", s.step, err)
	}
	if err := s.opt.Prepare(s.step); err != nil {
		return fmt.Errorf("step %d: %w", s.step, err)
	}
	if err := s.queue(b.N); err != nil {
		return fmt.Errorf("step %d: %w", s.step, err)
	}
	s.opt.Average(s.step)
	s.step++
	return nil
}

// upload copies the batch, and the counters that augmentation and dropout follow.
func (s *Stepper) upload(b *data.Batch) error {
	s.input.SetRows(b.N)
	s.images.SetRows(b.N)
	s.labels.SetRows(b.N)
	s.ids.SetRows(b.N)
	if err := s.dev.Upload(s.images, b.Images); err != nil {
		return err
	}
	if err := s.dev.Upload(s.labels, device.Bytes(b.Labels)); err != nil {
		return err
	}
	if err := s.dev.Upload(s.ids, device.Bytes(b.IDs)); err != nil {
		return err
	}
	s.counter[0] = int32(s.step / s.perEpoch)
	if err := s.dev.Upload(s.epoch, device.Bytes(s.counter[:])); err != nil {
		return err
	}
	s.counter[0] = int32(s.step)
	return s.dev.Upload(s.net.Step(), device.Bytes(s.counter[:]))
}

// queueCompute queues a step's device work, which is the same at every step.
func (s *Stepper) queueCompute() {
	s.augment.Train(s.input, s.images, s.ids, s.epoch)
	s.net.Forward(s.input, nn.Training)
	s.net.Loss(s.labels)
	s.net.Backward(s.labels)
	s.opt.Update()
}

// queue queues compute, or its recording where the device has one for n images. The first
// full step runs unrecorded, so that the device can set up what recording forbids.
func (s *Stepper) queue(n int) error {
	if s.capturer == nil || n != s.cfg.Batch {
		s.compute()
		return nil
	}
	if !s.warm {
		s.warm = true
		s.compute()
		return nil
	}
	if s.graph == nil {
		graph, err := s.capturer.Capture(s.compute)
		if err != nil {
			return fmt.Errorf("recording the step: %w", err)
		}
		s.graph = graph
	}
	s.graph.Launch()
	return nil
}

// Collect fetches the sum of the losses, the correct answers and the count of the examples
// trained since the last Collect, and begins anew.
func (s *Stepper) Collect() (loss float64, correct, count int, err error) {
	return collect(s.net, s.stats[:], s.zero[:])
}

func collect(net *nn.Network, stats, zero []float32) (loss float64, correct, count int, err error) {
	if err := net.Device().Download(device.Bytes(stats), net.Stats()); err != nil {
		return 0, 0, 0, fmt.Errorf("fetching the loss: %w", err)
	}
	if err := net.Device().Upload(net.Stats(), device.Bytes(zero)); err != nil {
		return 0, 0, 0, fmt.Errorf("fetching the loss: %w", err)
	}
	return float64(stats[device.StatLoss]), int(stats[device.StatCorrect]), int(stats[device.StatCount]), nil
}

// Network returns the network that is trained.
func (s *Stepper) Network() *nn.Network { return s.net }

// Optimizer returns the optimiser.
func (s *Stepper) Optimizer() *optim.Optimizer { return s.opt }

// StepsPerEpoch returns the batches of an epoch, and Total those of the whole training.
func (s *Stepper) StepsPerEpoch() int { return s.perEpoch }

// Total returns the steps of the whole training.
func (s *Stepper) Total() int { return s.total }

// Steps returns the steps done.
func (s *Stepper) Steps() int { return s.step }

// Close releases the recorded step. The network stays open.
func (s *Stepper) Close() error {
	if s.graph == nil {
		return nil
	}
	err := s.graph.Close()
	s.graph = nil
	return err
}
