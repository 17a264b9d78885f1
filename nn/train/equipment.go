package train

import (
	"fmt"
	"reflect"

	"trainer/nn/data"
)

// equipment is what a training has on the device: plans, buffers, recorded steps, and downloads with their memory on the host.
// Trainings that differ only in the seed can use it one after the other (Shared). Only initial weights are then computed again.
type equipment struct {
	asked      Config // what it was made for, with defaults as the caller left them
	stepper    *Stepper
	validator  *Evaluator // of the validation set; nil without one
	evaluator  *Evaluator // of the test set; nil without one
	snapshot   *snapshot
	statistics *statistics
	saver      *saver // nil without checkpoints
}

// close releases what the garbage collector doesn't.
func (e *equipment) close() {
	for _, v := range []*Evaluator{e.validator, e.evaluator} {
		if v != nil {
			v.Close()
		}
	}
	if e.statistics != nil {
		_ = e.statistics.close() // any fault has been reported elsewhere
	}
	if e.saver != nil {
		e.saver.close()
	}
	if e.stepper != nil {
		_ = e.stepper.Close() // a failure to release a recorded step loses nothing
	}
}

// fits reports whether a training can use the equipment.
func (e *equipment) fits(c *Config) bool {
	a, b := e.asked, *c
	if c.Resume != "" || c.Ranks != nil || a.Device != b.Device || !sameData(a.Data, b.Data) {
		return false
	}
	return reflect.DeepEqual(withoutRun(a), withoutRun(b))
}

// sameData reports whether two data sets have the same images.
func sameData(a, b *data.Dataset) bool {
	same := func(a, b data.Set) bool {
		return a == nil && b == nil || isKey(a) && isKey(b) && a == b
	}
	return same(a.Train, b.Train) && same(a.Val, b.Val) && same(a.Test, b.Test) && a.Name == b.Name
}

// withoutRun returns the configuration without what may differ between trainings that use the same equipment.
func withoutRun(c Config) Config {
	c.Device, c.Data, c.Shared = nil, nil, nil
	c.Seed, c.Hooks, c.Checkpoint, c.Resume, c.Extend = 0, nil, Checkpoint{}, "", false
	c.RateChanges, c.Initialize = nil, nil
	return c
}

// restarts reports whether another training can use the stepper.
func (s *Stepper) restarts() bool {
	for _, z := range s.sizes {
		if !z.net.Restarts() {
			return false
		}
	}
	return s.group == nil
}

// restart gives the stepper the state in which NewStepper leaves one for a configuration that fits.
func (s *Stepper) restart(c Config) error {
	// What is left as it is has the defaults' values already.
	s.cfg.Seed, s.cfg.Hooks, s.cfg.Checkpoint, s.cfg.Resume, s.cfg.Extend = c.Seed, c.Hooks, c.Checkpoint, c.Resume, c.Extend
	s.cfg.RateChanges, s.cfg.Initialize = c.RateChanges, c.Initialize
	if err := s.cfg.check(); err != nil {
		return err
	}
	if err := s.net.Restart(c.Seed); err != nil {
		return err
	}
	for _, z := range s.sizes {
		if z.net != s.net {
			if err := z.net.Restart(c.Seed); err != nil {
				return err
			}
		}
		z.input.reseed(c.Seed)
	}
	if c.Initialize != nil {
		if err := c.Initialize(s.net); err != nil {
			return err
		}
	}
	s.opt.Restart()
	s.opt.SetRateChanges(c.RateChanges)
	s.step, s.part, s.ended, s.epochThere = 0, 0, 0, -1
	s.now = s.sizeIn(0)
	return nil
}

// equip makes the equipment for a training, or takes what an earlier one has left.
func (r *run) equip() error {
	asked := r.cfg
	if e := r.cfg.Shared.take(&r.cfg); e != nil {
		r.equipment = *e
		r.asked = asked
		if err := r.stepper.restart(r.cfg); err != nil {
			return err
		}
		r.cfg = r.stepper.cfg
		return nil
	}
	r.asked = asked
	var err error
	if r.stepper, err = NewStepper(r.cfg); err != nil {
		return err
	}
	r.cfg = r.stepper.cfg
	if r.snapshot, err = newSnapshot(r.stepper.net); err != nil {
		return err
	}
	if r.validator, err = r.newEvaluator(r.cfg.Data.Val, nil); err != nil {
		return err
	}
	r.evaluator, err = r.newEvaluator(r.cfg.Data.Test, r.cfg.TTA)
	return err
}

// equipSaver makes what checkpoints need on the device, unless it is there.
func (r *run) equipSaver() (err error) {
	if r.saver == nil {
		r.saver, err = newSaver(r.stepper.dev, wholeTensors(checkpointTensors(r.stepper)))
	}
	return err
}

// equipStatistics makes the downloads of statistics, unless they are there.
func (r *run) equipStatistics() (err error) {
	step, requests := r.stepper.step, r.requests()
	if s := r.statistics; s != nil && len(s.fetches) == requests {
		s.restart(step)
		return nil
	}
	if r.statistics != nil {
		if err := r.statistics.close(); err != nil {
			return fmt.Errorf("statistics: %w", err)
		}
	}
	r.statistics, err = newStatistics(r.stepper.net, step, requests)
	return err
}
