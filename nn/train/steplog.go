package train

// Between two evaluations the loss of single steps tells how training goes. The device adds up losses and correct answers
// over an epoch (statistics.go); a line of the log is the difference of two such sums. So logging needs no work on the
// device but the copies of the sums, and the lines don't depend on when these arrive.

// StepMetrics are means over some successive steps. In JSON they are a line of steps.jsonl.
type StepMetrics struct {
	Step          int     `json:"step"`           // steps done, the last of those that count
	Epoch         float64 `json:"epoch"`          // epochs done
	TrainLoss     float64 `json:"train_loss"`     // mean over the steps since the last line
	TrainAccuracy float64 `json:"train_accuracy"` // the same, 0 to 1, on augmented images
	LR            float64 `json:"learning_rate"`  // of the step
}

// defaultLogs is the number of lines per epoch without Config.LogEvery, if the statistics are downloaded often enough.
const defaultLogs = 50

// logEvery returns the number of steps from one line to the next. Without Config.LogEvery, a line needs no download of its
// own.
func (c *Config) logEvery() int {
	if c.LogEvery != 0 {
		return max(0, c.LogEvery)
	}
	lines := defaultLogs * c.MetricsEvery
	return (c.stepsPerEpoch() + lines - 1) / lines * c.MetricsEvery
}

// logsAt reports whether there is a line after the step.
func (r *run) logsAt(step int) bool {
	return r.logEvery > 0 && (step%r.logEvery == 0 || step%r.stepper.perEpoch == 0 || step == r.stepper.total)
}

// requests returns the number of downloads of statistics that may be pending: as many as are requested in twice
// MetricsEvery steps. More lines in the log therefore don't make the host wait for the device earlier.
func (r *run) requests() int {
	every := r.cfg.MetricsEvery
	if r.logEvery == 0 || r.logEvery%every == 0 {
		return maxRequests
	}
	return maxRequests + (2*every+r.logEvery-1)/r.logEvery
}

// log tells the hooks the means over the steps since the last line.
func (r *run) log(step int) {
	now, then := r.epoch, r.logged
	r.logged = now
	if now.Weight <= then.Weight { // no example counted
		return
	}
	m := &r.progress.logged
	*m = StepMetrics{
		Step: step, Epoch: float64(step) / float64(r.stepper.perEpoch),
		TrainLoss:     (now.Loss - then.Loss) / (now.Weight - then.Weight),
		TrainAccuracy: mean(float64(now.Correct-then.Correct), float64(now.Count-then.Count)),
		LR:            r.stepper.opt.LR(step - 1),
	}
	for i := range r.hooks {
		if h := r.hooks[i].Log; h != nil {
			h(&r.training, m)
		}
	}
}
