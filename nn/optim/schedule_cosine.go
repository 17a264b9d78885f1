package optim

import (
	"math"

	"trainer/nn/setting"
)

// Cosine lowers the factor along half a cosine wave from 1 to Final (Loshchilov and Hutter,
// "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017, equation 5, without
// restarts). After t of T steps,
//
//	factor = Final + (1-Final)/2 * (1 + cos(pi*t/T))
type Cosine struct {
	Final float64 // factor at the end
}

func cosineKind() ScheduleKind {
	return ScheduleKind{Name: "cosine", Doc: "falls along half a cosine wave (Loshchilov and Hutter 2017)", New: func() Schedule { return Cosine{} }}
}

// Settings declares the keys of recipes.
func (c *Cosine) Settings(s *setting.List) {
	s.Float64(&c.Final, "final", 0, setting.NotNegative, "factor at the end")
}

// Factor returns the factor at this point of the wave.
func (c Cosine) Factor(p Progress) float64 { return cosine(1, c.Final, p.Fraction()) }

// cosine goes from a to b along half a cosine wave as x goes from 0 to 1.
func cosine(a, b, x float64) float64 { return b + (a-b)/2*(1+math.Cos(math.Pi*x)) }
