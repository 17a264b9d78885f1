package train

import (
	"errors"
	"fmt"

	"trainer/nn/setting"
)

// Stop says when training ends before its last epoch. The zero value means never.
//
//	Patience:  since the best epoch, so many epochs have passed; an epoch is better if its loss is lower by more than
//	           MinDelta, or its accuracy higher by more than MinDelta (Prechelt, "Early Stopping - But When?", 1998)
//	Target:    the accuracy is at least Target
//
// Patience needs a validation set, because what follows results on the test set has been fitted to it. Target counts on the
// set that epochs are scored on. Epochs without an evaluation never stop training. The rule depends only on the epochs'
// results, which checkpoints keep, so that a resumed training stops after the same epoch.
type Stop struct {
	Patience int     // epochs; 0: never
	MinDelta float64 // smallest improvement that counts; accuracies are 0 to 1
	Metric   Metric  // the result that should improve; "" means ByLoss
	Target   float64 // accuracy, 0 to 1; 0: none
}

// Settings declares the keys of recipes.
func (s *Stop) Settings(l *setting.List) {
	l.Int(&s.Patience, "patience", 0, setting.AtLeast(0), "epochs without an improvement after which training stops; 0: never")
	l.Float64(&s.MinDelta, "min-delta", 0, setting.NotNegative, "smallest improvement that counts; accuracies are 0 to 1")
	setting.Choice(l, &s.Metric, "metric", setting.Names(ByLoss, ByAccuracy), "the validation set's result that should improve")
	l.Float64(&s.Target, "target", 0, setting.ZeroToOne, "accuracy, 0 to 1, at which training stops; 0: none")
}

// Check returns an error if the rule never stops training.
func (s *Stop) Check() error {
	if s.Patience == 0 && s.Target == 0 {
		return errors.New("want patience, such as patience = 5, or target, such as target = 0.99")
	}
	return nil
}

// check returns a *ConfigError if the run has no results for the rule.
func (s *Stop) check(r *run) error {
	if *s == (Stop{}) {
		return nil
	}
	bad := func(problem string) error { return &ConfigError{Setting: "stop", Problem: problem} }
	if err := setting.Check(s); err != nil {
		return bad(err.Error())
	}
	switch {
	case s.Patience > 0 && r.validator == nil:
		return bad("patience counts epochs on a validation set, and there is none: hold out some training images, such as a tenth (-val 0.1)")
	case r.validator == nil && r.evaluator == nil:
		return bad("target is an accuracy on a validation or test set, and there is none: hold out some training images, such as a tenth (-val 0.1)")
	case r.cfg.EvalEvery < 0:
		return bad("it follows the results of epochs, which are evaluated only at the end: set eval-every to 1")
	}
	return nil
}

// hooks returns the rule as hooks.
func (s Stop) hooks() Hooks {
	var w watch
	w.Stop = s
	stop := func(t *Training, reason string) {
		if reason != "" {
			t.Stop(reason)
		}
	}
	return Hooks{
		Start: func(t *Training, e Start) {
			reason := ""
			for _, m := range e.History {
				switch {
				case m.ValCount > 0:
					reason = w.reason(m.Epoch, m.ValLoss, m.ValAccuracy, "validation")
				case m.Evaluated:
					reason = w.reason(m.Epoch, m.TestLoss, m.TestAccuracy, "test")
				}
			}
			stop(t, reason)
		},
		Evaluation: func(t *Training, e *EvaluationDone) {
			set := "validation"
			if e.Test {
				set = "test"
			}
			if e.Scores {
				stop(t, w.reason(e.Epoch, e.Loss, e.Accuracy, set))
			}
		},
	}
}

// watch follows the results of epochs.
type watch struct {
	Stop
	best      float64
	bestEpoch int // 0 before the first
}

// reason takes an epoch's results and returns why training should stop, or "".
func (w *watch) reason(epoch int, loss, accuracy float64, set string) string {
	value, better := loss, loss < w.best-w.MinDelta
	if w.Metric == ByAccuracy {
		value, better = accuracy, accuracy > w.best+w.MinDelta
	}
	if w.bestEpoch == 0 || better {
		w.best, w.bestEpoch = value, epoch
	}
	switch {
	case w.Target > 0 && accuracy >= w.Target:
		return fmt.Sprintf("after epoch %d: %s accuracy %.2f%% has reached the target of %.4g%%", epoch, set, 100*accuracy, 100*w.Target)
	case w.Patience > 0 && epoch-w.bestEpoch >= w.Patience && w.Metric == ByAccuracy:
		return fmt.Sprintf("after epoch %d: %s accuracy has not improved on epoch %d's %.2f%%", epoch, set, w.bestEpoch, 100*w.best) + w.enough()
	case w.Patience > 0 && epoch-w.bestEpoch >= w.Patience:
		return fmt.Sprintf("after epoch %d: %s loss has not improved on epoch %d's %.4f", epoch, set, w.bestEpoch, w.best) + w.enough()
	}
	return ""
}

// enough says how large an improvement had to be, if not any was enough.
func (w *watch) enough() string {
	if w.MinDelta == 0 {
		return ""
	}
	return fmt.Sprintf(" by more than min-delta, %.4g", w.MinDelta)
}
