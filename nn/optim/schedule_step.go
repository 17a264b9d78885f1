package optim

import (
	"fmt"
	"math"
)

// Step multiplies the learning rate by Gamma at each milestone, or every so many epochs:
//
//	factor = Gamma^(milestones that are past)         or Gamma^floor(epoch/Every)
type Step struct {
	Gamma      float64
	Milestones []float64 // in epochs
	Every      float64   // in epochs; 0 with Milestones
}

// Factor returns Gamma to the power of the milestones that are past.
func (s Step) Factor(p Progress) float64 {
	if s.Every > 0 {
		return math.Pow(s.Gamma, math.Floor(p.Epoch()/s.Every))
	}
	factor := 1.0
	for _, m := range s.Milestones {
		if p.Epoch() >= m {
			factor *= s.Gamma
		}
	}
	return factor
}

func (s Step) check() error {
	switch {
	case !(s.Gamma > 0):
		return fmt.Errorf("step's gamma is %v, need a positive number", s.Gamma)
	case !(s.Every >= 0):
		return fmt.Errorf("step every %v epochs, need a positive number", s.Every)
	case (s.Every > 0) == (len(s.Milestones) > 0):
		return fmt.Errorf("step needs milestones, or a number of epochs from one to the next, and not both")
	}
	return nil
}
