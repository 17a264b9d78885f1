package train

// At the end of training the network gets the weights that are kept (Config.Weights), also when training was interrupted.
// A result speaks only of these: an evaluation of other weights, such as those of the last epoch when training was
// interrupted some steps later, stays in the history.

// held says which weights the network has or had.
type held struct {
	step     int  // steps done with them
	averaged bool // they are moving averages
}

// evaluated returns the weights that evaluations are of.
func (r *run) evaluated() held {
	return held{r.stepper.step, r.cfg.Weights != WeightsLast && r.cfg.Optimizer.EMA != nil}
}

// swapIn gives the network the weights that evaluations are of. SwapOut undoes it.
func (r *run) swapIn() {
	if r.evaluated().averaged {
		r.stepper.opt.SwapIn()
	}
}

// keep gives the network the weights that are kept. After a diverged loss these are the last good ones, which it has, or
// those of the best epoch.
func (r *run) keep() error {
	r.ended = true
	if r.keptAs == "" {
		r.swapIn()
		r.kept, r.keptAs = r.evaluated(), WeightsLast
		if r.kept.averaged {
			r.keptAs = WeightsEMA
		}
	}
	if r.cfg.Weights != WeightsBest {
		return nil
	}
	ok, err := r.best.give()
	if ok && err == nil {
		r.kept, r.keptAs = held{r.best.at.Step, r.evaluated().averaged}, WeightsBest
	}
	return err
}

// keepGood notes that the network has the last good weights after a diverged loss.
func (r *run) keepGood() { r.kept, r.keptAs = held{r.snapshot.goodStep, false}, WeightsLast }

// scored is an evaluation with the weights that it is of.
type scored struct {
	*Evaluation
	of    held
	final bool // with all views and all answers
}

// ofKept returns the evaluation if it is of the weights that are kept, otherwise nil.
func (r *run) ofKept(s scored) *Evaluation {
	if s.Evaluation == nil || s.of != r.kept {
		return nil
	}
	return s.Evaluation
}

// addScores adds the results of the kept weights to the result.
func (r *run) addScores(result *Result) {
	result.Weights, result.WeightsStep = r.keptAs, r.kept.step
	if e := r.ofKept(r.last); e != nil {
		result.TestLoss, result.TestAccuracy, result.Confusion = e.Loss, e.Accuracy, e.Confusion
		result.TestCorrect, result.TestCount, result.TestAnswers = e.Correct, e.Count, e.Answers
	}
	if e := r.ofKept(r.lastVal); e != nil {
		result.ValLoss, result.ValAccuracy, result.ValCorrect, result.ValCount = e.Loss, e.Accuracy, e.Correct, e.Count
	}
	if b := r.best.at; b != nil {
		result.Best = b
		if r.keptAs == WeightsBest {
			result.ValLoss, result.ValAccuracy, result.ValCorrect, result.ValCount = b.Loss, b.Accuracy, b.Correct, b.Count
		}
	}
}
