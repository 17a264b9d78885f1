package optim

import (
	"errors"
	"math"

	"trainer/nn/setting"
)

// Lookahead keeps slow weights in addition to the trained weights, and every few steps
// moves the slow weights towards the trained ones and sets the trained weights to the
// result (Zhang et al., "Lookahead Optimizer: k steps forward, 1 step back", NeurIPS 2019):
//
//	slow = decay*slow + (1-decay)*w          w = slow
//
// In the paper the decay is constant, 1-alpha. With Base, decay grows over training, as in
// airbench94 (Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", 2024, section 3.4,
// adopted from hlb-cifar10): after t of T steps it is
//
//	decay = Base^Every * (t/T)^Power
//
// so that early steps count little. After the last step w = slow in any case. Running
// statistics are averaged with the weights.
//
// Code: nn/device/reference/average.go (the formula in loops), cpu/average.go, kernels/average.cu. Test:
// nn/device/devicetest/average.go.
type Lookahead struct {
	Every       int     // steps from one update to the next
	Decay       float64 // weight of the slow weights in an update; 0 with Base
	Base, Power float64 // airbench94: 0.95 and 3, with Every 5
}

// Settings declares the keys of recipes.
func (l *Lookahead) Settings(s *setting.List) {
	s.Int(&l.Every, "every", 0, setting.AtLeast(1), "steps from one update to the next").Require()
	s.Float64(&l.Decay, "decay", 0, setting.ZeroToOne, "weight of the slow weights in an update")
	s.Float64(&l.Base, "base", 0, setting.ZeroToOne, "base of a decay that grows over training, instead of decay")
	s.Float64(&l.Power, "power", 0, setting.NotNegative, "exponent with which that decay grows")
}

// Check returns an error if both Decay and Base are set.
func (l *Lookahead) Check() error {
	if l.Base != 0 && l.Decay != 0 {
		return errors.New("want one of decay (constant) and base (growing over training)")
	}
	return nil
}

// decay returns the decay of the update after the step, and whether there is an update. If a
// regular update is due after the last step, it is used: w equals slow after it anyway.
func (l *Lookahead) decay(step, total int) (decay float64, due bool) {
	t := step + 1
	switch {
	case t%l.Every == 0 && l.Base != 0:
		return math.Pow(l.Base, float64(l.Every)) * math.Pow(float64(t)/float64(total), l.Power), true
	case t%l.Every == 0:
		return l.Decay, true
	}
	return 1, t == total
}
