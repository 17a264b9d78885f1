package train

import (
	"fmt"
	"slices"
	"strconv"
)

// A resumed training may be longer than it was planned (Config.Extend), or end earlier.

// Extension describes a training whose length was changed when it was resumed.
type Extension struct {
	Planned, Steps int // in the whole training, before and now
	// The learning rates of the last step before the change, of the next step, and of the last one. They are those of
	// parameters that are in no group.
	Before, Now, End float64
}

// epochsSetting and stepsSetting are the names of the settings for the length of the training.
const (
	epochsSetting = "epochs"
	stepsSetting  = "steps"
)

// withoutLength returns the settings without the length of the training.
func withoutLength(list []condition) []condition {
	return slices.DeleteFunc(slices.Clone(list), func(s condition) bool { return s.Name == epochsSetting || s.Name == stepsSetting })
}

// checkLength returns an error if the training has fewer steps than are done.
func (s *Stepper) checkLength(done int) error {
	if s.total >= done {
		return nil
	}
	return &ConfigError{Setting: "epochs", Problem: fmt.Sprintf("%g, and the run has done %.4g already: want as many, or more", s.cfg.Epochs, float64(done)/float64(s.perEpoch))}
}

// extension compares the length of the training with that in a checkpoint. It returns nil if they are the same.
func (s *Stepper) extension(p position) *Extension {
	for _, other := range p.Settings {
		if other.Name != stepsSetting {
			continue
		}
		planned, err := strconv.Atoi(other.Value)
		if err != nil || planned == s.total || planned < 1 {
			return nil
		}
		return &Extension{
			Planned: planned, Steps: s.total,
			Before: s.opt.LROf(max(p.Step-1, 0), planned), Now: s.opt.LR(min(p.Step, s.total-1)), End: s.opt.LR(s.total - 1),
		}
	}
	return nil
}

// withoutShortEpoch returns the history without a last epoch that the end of a shorter training cut short: the epoch is
// recorded again when it is complete.
func withoutShortEpoch(history []EpochMetrics, perEpoch int) []EpochMetrics {
	if n := len(history); n > 0 && history[n-1].Step%perEpoch != 0 {
		return history[:n-1]
	}
	return history
}
