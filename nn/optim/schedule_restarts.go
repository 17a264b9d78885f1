package optim

import (
	"math"

	"trainer/nn/setting"
)

// CosineRestarts lowers the factor along half a cosine wave from 1 to Final, again and again: a warm restart lets the
// weights leave the valley that they have settled in (Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with
// Warm Restarts", ICLR 2017, equation 5; PyTorch's CosineAnnealingWarmRestarts). The wave i, counted from 0, takes
//
//	T_i = First * Growth^i epochs,         factor = Final + (1-Final)/2 * (1 + cos(pi*t/T_i))
//
// with t the epochs since the wave began. Training may end within a wave.
type CosineRestarts struct {
	First  float64 // length of the first wave in epochs
	Growth float64 // length of a wave divided by that of the wave before it; 0 means 1
	Final  float64 // factor at the end of a wave
}

func cosineRestartsKind() ScheduleKind {
	return ScheduleKind{
		Name: "cosine-restarts", Doc: "falls along half a cosine wave, again and again (Loshchilov and Hutter 2017)",
		New: func() Schedule { return CosineRestarts{} },
	}
}

// Settings declares the keys of recipes.
func (s *CosineRestarts) Settings(l *setting.List) {
	l.Float64(&s.First, "first", 0, setting.Positive, "epochs of the first wave").Require()
	l.Float64(&s.Growth, "growth", 1, setting.AtLeast(1), "length of a wave divided by that of the wave before it")
	l.Float64(&s.Final, "final", 0, setting.NotNegative, "factor at the end of a wave")
}

// Factor returns the factor at this point of the present wave.
func (s CosineRestarts) Factor(p Progress) float64 {
	first := s.First * float64(p.StepsPerEpoch) // length of the first wave in steps
	if s.Growth <= 1 {
		_, steps := p.periods(s.First)
		return cosine(1, s.Final, steps/first)
	}
	begin := func(wave float64) float64 { // the sum of the lengths of the waves before it
		return first * (math.Pow(s.Growth, wave) - 1) / (s.Growth - 1)
	}
	step := float64(p.Step)
	wave := math.Floor(math.Log1p(step*(s.Growth-1)/first) / math.Log(s.Growth))
	switch { // the logarithm may be rounded to the other side of a whole number
	case step >= begin(wave+1)-rounding:
		wave++
	case step < begin(wave)-rounding:
		wave--
	}
	return cosine(1, s.Final, max(0, step-begin(wave))/(first*math.Pow(s.Growth, wave)))
}
