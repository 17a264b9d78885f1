package optim

import (
	"math"

	"trainer/nn/setting"
)

// Polynomial lowers the factor from 1 to Final by a power of what is left of training, as in PyTorch's PolynomialLR
// (where Final is 0) and in Caffe's policy "poly". After t of T steps,
//
//	factor = Final + (1-Final) * (1 - t/T)^Power
type Polynomial struct {
	Power float64 // 0 means 1, a straight line
	Final float64 // factor at the end
}

func polynomialKind() ScheduleKind {
	return ScheduleKind{Name: "polynomial", Doc: "falls by a power of what is left of training", New: func() Schedule { return Polynomial{} }}
}

// Settings declares the keys of recipes.
func (s *Polynomial) Settings(l *setting.List) {
	l.Float64(&s.Power, "power", 1, setting.Positive, "the power")
	l.Float64(&s.Final, "final", 0, setting.NotNegative, "factor at the end")
}

// Factor returns the polynomial's value.
func (s Polynomial) Factor(p Progress) float64 {
	power := s.Power
	if power == 0 {
		power = 1
	}
	return s.Final + (1-s.Final)*math.Pow(1-p.Fraction(), power)
}
