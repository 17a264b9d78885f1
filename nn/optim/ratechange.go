package optim

import (
	"errors"
	"fmt"
	"math"
)

// RateChange multiplies the learning rates of all groups by Factor from a step, counted from 0, until the next change:
//
//	lr(step) = scheduled lr(step) * Factor
//
// Schedules keep their course underneath: Factor 1 returns to it.
type RateChange struct {
	Step   int     `json:"step"`
	Factor float64 `json:"factor"`
}

// CheckRateChanges returns an error unless the steps rise from 0 and the factors are finite and not negative.
func CheckRateChanges(changes []RateChange) error {
	last := -1
	for _, c := range changes {
		switch {
		case c.Step < 0 || c.Step > math.MaxInt32:
			return fmt.Errorf("a change of the learning rate at step %d, want a step from 0 to %d", c.Step, math.MaxInt32)
		case c.Step <= last:
			return errors.New("the changes of the learning rate must be in the order of their steps, one per step")
		case !(c.Factor >= 0) || math.IsInf(c.Factor, 0):
			return fmt.Errorf("a change of the learning rate by the factor %v, want a finite number from 0", c.Factor)
		}
		last = c.Step
	}
	return nil
}

// WithRateChange returns the changes with another one, which replaces an earlier one at the same step. It leaves the list
// that it is given as it is.
func WithRateChange(changes []RateChange, c RateChange) []RateChange {
	with := make([]RateChange, 0, len(changes)+1)
	for _, old := range changes {
		if old.Step < c.Step {
			with = append(with, old)
		}
	}
	with = append(with, c)
	for _, old := range changes {
		if old.Step > c.Step {
			with = append(with, old)
		}
	}
	return with
}

// SetRateChanges replaces the changes of the learning rates. They must be valid.
func (o *Optimizer) SetRateChanges(changes []RateChange) { o.rateChanges = changes }

// rateFactor returns the factor of all learning rates at a step.
func (o *Optimizer) rateFactor(step int) float64 {
	factor := 1.0
	for _, c := range o.rateChanges {
		if c.Step > step {
			break
		}
		factor = c.Factor
	}
	return factor
}
