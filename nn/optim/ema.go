package optim

import "fmt"

// EMA keeps an exponential moving average of the weights and the running statistics
// (Polyak and Juditsky 1992), updated after every step:
//
//	average = Decay*average + (1-Decay)*w
//
// It begins at the initial weights. Training doesn't see it; evaluation uses it, between
// SwapIn and SwapOut.
//
// Code: nn/device/reference/average.go (the formula in loops), cpu/average.go, kernels/average.cu. Test: nn/device/devicetest/average.go.
type EMA struct {
	Decay float64
}

func (e *EMA) check() error {
	if !(e.Decay >= 0 && e.Decay < 1) {
		return fmt.Errorf("the moving average's decay is %v, need 0 or more, and less than 1", e.Decay)
	}
	return nil
}

// SwapIn exchanges the weights for their moving averages. It does nothing without EMA, or
// when they are exchanged already.
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
