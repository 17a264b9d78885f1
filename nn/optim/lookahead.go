package optim

import (
	"fmt"
	"math"
)

// Lookahead keeps slow weights beside those that are trained, and every few steps draws the
// one to the other (Zhang et al., "Lookahead Optimizer: k steps forward, 1 step back",
// NeurIPS 2019):
//
//	slow = decay*slow + (1-decay)*w          w = slow
//
// The paper's decay is constant, its 1-alpha. With Base, decay grows over training, as in
// airbench94 (Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", 2024, section 3.4,
// which has it from hlb-cifar10): after t of T steps it is
//
//	decay = Base^Every * (t/T)^Power
//
// so that early steps count little. After the last step w = slow in any case. Running
// statistics are averaged with the weights.
//
// Code: nn/device/reference/average.go (the formula in loops), cpu/average.go, kernels/average.cu. Test: nn/device/devicetest/average.go.
type Lookahead struct {
	Every       int     // steps from one update to the next
	Decay       float64 // weight of the slow weights in an update; 0 with Base
	Base, Power float64 // airbench94: 0.95 and 3, with Every 5
}

func (l *Lookahead) check() error {
	switch {
	case l.Every < 1:
		return fmt.Errorf("lookahead every %d steps, need at least 1", l.Every)
	case l.Base != 0 && l.Decay != 0:
		return fmt.Errorf("lookahead has a decay (%v) and a base (%v), need one of them", l.Decay, l.Base)
	case !(l.Decay >= 0 && l.Decay <= 1):
		return fmt.Errorf("lookahead's decay is %v, need 0 to 1", l.Decay)
	case !(l.Base >= 0 && l.Base <= 1):
		return fmt.Errorf("lookahead's base is %v, need 0 to 1", l.Base)
	case !(l.Power >= 0):
		return fmt.Errorf("lookahead's power is %v, need 0 or more", l.Power)
	}
	return nil
}

// decay returns the decay of the update after the step, and whether there is one. When the
// last step is one of every few it has the update that is due, after which w is slow anyway.
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
