package optim

import "trainer/nn/setting"

// EMA keeps an exponential moving average of the weights and the running statistics
// (Polyak and Juditsky 1992), updated after every step:
//
//	average = Decay*average + (1-Decay)*w
//
// The average begins at the initial weights. Training doesn't use it; evaluation does,
// between SwapIn and SwapOut.
//
// Code: nn/device/reference/average.go (the formula in loops), cpu/average.go, kernels/average.cu. Test:
// nn/device/devicetest/average.go.
type EMA struct {
	Decay float64
}

// Settings declares the keys of recipes.
func (e *EMA) Settings(s *setting.List) {
	s.Float64(&e.Decay, "decay", 0, setting.ZeroToBelowOne, "weight of the old average").Require()
}

// SwapIn exchanges the weights for their moving averages. It does nothing without EMA, or
// if they have already been exchanged.
func (o *Optimizer) SwapIn() {
	if !o.swapped {
		o.swap()
	}
}

// SwapOut undoes SwapIn.
func (o *Optimizer) SwapOut() {
	if o.swapped {
		o.swap()
	}
}

func (o *Optimizer) swap() {
	if o.cfg.EMA == nil {
		return
	}
	o.swapped = !o.swapped
	for i, average := range o.ema.averages {
		value, spare := o.averaged[i].Value, o.spare[i]
		o.dev.Copy(spare, value)
		o.dev.Copy(value, average)
		o.dev.Copy(average, spare)
	}
}
