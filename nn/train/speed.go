package train

import "time"

// Times and speeds. On an emulated device they are meaningless, so events and results report zero: nobody should take
// them for the speed of the device that is emulated.

// seconds returns a time as events report it.
func (r *run) seconds(d time.Duration) float64 {
	if r.stepper.dev.Info().Emulated {
		return 0
	}
	return d.Seconds()
}

// perSecond returns a rate, or 0 if the time is not known.
func perSecond(n int, seconds float64) float64 {
	if seconds == 0 {
		return 0
	}
	return float64(n) / seconds
}

// timeLeft estimates the time to the end of training. It is 0 if the speed is not known.
func (r *run) timeLeft() time.Duration {
	if r.progress.rate == 0 {
		return 0
	}
	steps := r.stepper.stepsLike(r.progress.step)
	seconds := steps*float64(r.cfg.batchesPerStep()*r.cfg.Batch)/r.progress.rate + float64(r.viewsLeft())*r.viewSeconds
	return time.Duration(seconds * float64(time.Second))
}
