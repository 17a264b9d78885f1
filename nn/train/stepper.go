package train

import (
	"errors"
	"fmt"

	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/optim"
)

// Stepper is a network with everything that a training step uses. Run drives a Stepper;
// benchmarks drive one directly.
type Stepper struct {
	cfg      Config
	dev      device.Device
	net      *nn.Network
	opt      *optim.Optimizer
	group    *group // nil unless other processes compute shards of the same batches
	perEpoch int
	total    int
	step     int  // steps done
	part     int  // batches of the current step that are done
	dropped  bool // the last batch is dropped by default
	ended    int  // optimiser groups whose training has ended
	work     work // of the current step

	resolution []Resolution   // from the first epoch on
	sizes      map[int]*sized // by Resolution.Size
	now        *sized         // that of the current step

	weights    exampleWeights
	epoch      *device.Tensor // int32 [1]
	epochThere int            // value in the tensor epoch; -1 before the first upload
	counter    [1]int32       // value to upload next to epoch or to the network's step
	parts      []int          // see partSizes
	shard      data.Batch     // the part of the batch that is being computed
	stats      [device.StatsLen]float32
}

// NewStepper builds the network, the optimiser and the input buffers. It ignores Hooks, Stop
// and Checkpoint, and does not read the checkpoint that Resume names.
func NewStepper(cfg Config) (*Stepper, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if err := cfg.normalizeAlike(); err != nil {
		return nil, err
	}
	if err := cfg.chooseWeights(); err != nil {
		return nil, err
	}
	s := &Stepper{cfg: cfg, dev: cfg.Device, group: newGroup(&cfg), epochThere: -1}
	if err := s.buildNetwork(); err != nil {
		return nil, err
	}
	if err := s.buildGroup(); err != nil {
		return nil, err
	}
	if cfg.Initialize != nil && cfg.Resume == "" {
		if err := cfg.Initialize(s.net); err != nil {
			return nil, err
		}
	}
	if err := s.buildSizes(); err != nil {
		return nil, err
	}
	var err error
	if s.dropped, err = s.cfg.chooseLastBatch(s.smallestBatch()); err != nil {
		return nil, err
	}
	s.perEpoch, s.total = s.cfg.stepsPerEpoch(), s.cfg.totalSteps()
	rules := cfg.Optimizer
	rules.ThawEpoch = cfg.FreezeUntil
	if s.divides() {
		rules.Partition = &optim.Partition{Ranks: s.group}
	}
	s.opt, err = optim.New(s.dev, s.net.Params(), s.net.State(), rules, cfg.Schedule, s.total, s.perEpoch)
	if err != nil {
		return nil, err
	}
	if s.opt.WritesCopies() {
		s.net.KeepOperands()
	}
	s.opt.SetRateChanges(cfg.RateChanges)
	if err := s.buildInput(); err != nil {
		return nil, fmt.Errorf("input buffers: %w", err)
	}
	return s, nil
}

// normalization fills in the training set's own mean and standard deviation if none are given.
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

func (s *Stepper) buildNetwork() (err error) {
	c := &s.cfg
	h, w, channels := c.Data.Train.ImageShape()
	s.net, err = nn.Compile(s.dev, c.Model, nn.Options{
		Input: nn.Shape{h, w, channels}, Batch: c.Batch / c.shards(), DType: c.DType, Training: true, Seed: c.Seed, Loss: c.Loss,
		Freeze:         c.Freeze,
		Thaws:          c.FreezeUntil > 0,
		Accumulate:     c.batchesPerStep() > 1,
		Shards:         s.localShards(),
		Sync:           s.synchronizes(),
		Sample:         sampler(c.Data.Train, c.Augment.Mean, c.Augment.Std),
		Memo:           c.Shared.memo(c.Data.Train, c.Augment.Mean, c.Augment.Std),
		ClassCounts:    func() ([]int, error) { return data.ClassCounts(c.Data.Train) },
		ExampleWeights: data.Weights(c.Data.Train) != nil,
		SoftTargets:    c.Augment.Transforms.Mixes(),
	})
	if unmatched, ok := errors.AsType[*nn.FreezeError](err); ok {
		return &ConfigError{Setting: "network", Problem: unmatched.Error()}
	}
	if err != nil {
		return err
	}
	if classes := len(c.Data.Train.Classes()); classes != s.net.Classes() {
		return &ConfigError{Setting: "network", Problem: fmt.Sprintf("%d outputs for %d classes of the data", s.net.Classes(), classes)}
	}
	return nil
}

// synchronizes returns the ranks over which batch normalisation takes its statistics; nil for those of this process alone.
func (s *Stepper) synchronizes() device.Collective {
	if s.group == nil || !s.cfg.SyncBatchNorm {
		return nil
	}
	return s.group
}

func (s *Stepper) buildInput() (err error) {
	if s.epoch, err = s.dev.NewTensor(device.Int32, 1); err != nil {
		return err
	}
	if s.weights, err = newExampleWeights(s.dev, s.cfg.Data.Train, s.net.Batch()); err != nil {
		return err
	}
	return s.buildInputs()
}

// Step trains on one batch of TrainSet. The update comes with the last batch of a step; with Config.Accumulate
// a step has several batches. The batch may be reused when Step returns. If DataOnDevice reports true, only the batch's
// IDs are used.
func (s *Stepper) Step(b *data.Batch) error {
	var err error
	if s.cfg.shards() > 1 {
		err = s.trainShards(b)
	} else {
		err = s.trainBatch(b)
	}
	if err != nil {
		return fmt.Errorf("step %d: %w", s.step, err)
	}
	if !s.lastOfStep() {
		s.part++
		return nil
	}
	if err := s.opt.Share(); err != nil {
		return fmt.Errorf("step %d: %w", s.step, err)
	}
	if s.opt.Average(s.step) {
		s.net.WeightsChanged()
	}
	s.step++
	s.part = 0
	return nil
}

// trainBatch trains on a batch that is not split.
func (s *Stepper) trainBatch(b *data.Batch) error {
	s.now = s.sizeIn(s.step / s.perEpoch)
	s.changeWork()
	if err := s.prepare(b, s.step*s.cfg.batchesPerStep()+s.part); err != nil {
		return err
	}
	if err := s.net.BeginBatch(b.N, s.examples()); err != nil {
		return err
	}
	if !s.lastOfStep() {
		return s.now.partial.run(s.work, b.N == s.cfg.Batch)
	}
	if err := s.opt.Prepare(s.step); err != nil {
		return err
	}
	return s.now.recording.run(s.work, b.N == s.cfg.Batch)
}

// batch returns the index of the next batch in its epoch.
func (s *Stepper) batch() int { return s.step%s.perEpoch*s.cfg.batchesPerStep() + s.part }

// lastOfStep reports whether an update follows the next batch: that batch completes the step or ends an epoch.
func (s *Stepper) lastOfStep() bool {
	return s.part+1 == s.cfg.batchesPerStep() || s.batch()+1 == s.cfg.batchesPerEpoch()
}

// examples returns the number of images in the current step's batches.
func (s *Stepper) examples() int {
	first := (s.batch() - s.part) * s.cfg.Batch
	all := min(s.cfg.batchesPerEpoch()*s.cfg.Batch, s.cfg.Data.Train.Len())
	return min(s.cfg.batchesPerStep()*s.cfg.Batch, all-first)
}

// prepare uploads what changes from batch to batch, or from part to part: the images, and the counters that augmentation
// and dropout depend on. number counts the batches or parts of the training.
func (s *Stepper) prepare(b *data.Batch, number int) error {
	if err := s.now.input.upload(b); err != nil {
		return err
	}
	if err := s.weights.upload(b); err != nil {
		return err
	}
	epoch := s.step / s.perEpoch
	if err := s.now.input.draw(b, epoch); err != nil {
		return err
	}
	if epoch != s.epochThere {
		if err := s.uploadCounter(s.epoch, epoch); err != nil {
			return err
		}
		s.epochThere = epoch
	}
	s.net.RefreshOperands()
	return s.uploadCounter(s.net.Step(), number)
}

func (s *Stepper) uploadCounter(dst *device.Tensor, value int) error {
	s.counter[0] = int32(value)
	return s.dev.Upload(dst, device.Bytes(s.counter[:]))
}

// queueBatch queues the device work of a batch except the update, which is the same for every batch.
func (s *Stepper) queueBatch() {
	s.now.input.train(s.epoch)
	x, _ := s.now.input.buffers()
	s.now.net.TrainBatch(x, s.now.input.targets(), s.weights.tensor)
}

// queueStep queues the device work of a step's last batch and of the update.
func (s *Stepper) queueStep() {
	s.queueBatch()
	s.queueUpdate()
}

// queueUpdate queues the device work of an update.
func (s *Stepper) queueUpdate() {
	s.net.BeginUpdate()
	s.opt.Update()
	s.net.EndUpdate()
}

// Collect waits for the queued steps, fetches the sum of the losses, the number of correct answers and the number of
// examples since the last Collect, and resets them.
func (s *Stepper) Collect() (loss float64, correct, count int, err error) {
	if err := s.dev.Download(device.Bytes(s.stats[:]), s.net.Stats()); err != nil {
		return 0, 0, 0, fmt.Errorf("downloading the loss: %w", err)
	}
	s.dev.Zero(s.net.Stats())
	sum := sumsOf(s.stats, 0, 0)
	return sum.loss, sum.correct, sum.count, nil
}

// Network returns the network being trained.
func (s *Stepper) Network() *nn.Network { return s.net }

// Optimizer returns the optimiser.
func (s *Stepper) Optimizer() *optim.Optimizer { return s.opt }

// DataOnDevice reports whether the training images are kept on the device in the size of the next step, so that a loader
// needs to deliver only their indices (data.LoaderConfig.IDsOnly). The images are then copied before the first
// step; images that aren't in memory are kept on the device from the second epoch on.
func (s *Stepper) DataOnDevice() bool { return s.sizeIn(s.step / s.perEpoch).input.resident() }

// StepsPerEpoch returns the number of steps in an epoch, each with one update. Without Config.Accumulate each step has
// one batch.
func (s *Stepper) StepsPerEpoch() int { return s.perEpoch }

// Total returns the number of steps of the whole training.
func (s *Stepper) Total() int { return s.total }

// Steps returns the number of steps done: those whose update has been queued.
func (s *Stepper) Steps() int { return s.step }

// Close releases the recorded step. The network stays open.
func (s *Stepper) Close() error { return errors.Join(s.closeSizes(), s.group.close()) }
