package tune

import (
	"cmp"
	"math"
	"slices"
)

// Rung is a round of a search: so many trials train until so many epochs.
type Rung struct {
	Trials int
	Epochs float64
}

// Random returns the only rung of a random search: all trials train to their end.
func Random(trials int, epochs float64) []Rung { return []Rung{{trials, epochs}} }

// Halving returns the rungs of successive halving (Jamieson and Talwalkar, "Non-stochastic Best Arm Identification and
// Hyperparameter Optimization", AISTATS 2016; one bracket of Hyperband, Li et al., JMLR 2018). With n trials, a training of
// R epochs and the factor eta, of K rungs
//
//	trials in rung k = floor(n / eta^k)
//	epochs of rung k = R / eta^(K-1-k),   k = 0 ... K-1
//
// so that every rung takes about the same time. K is as large as leaves one trial in the last rung and at least the given
// number of epochs, least, for the first; there is always one rung. Epochs of 1 or more are rounded to whole ones.
func Halving(trials int, epochs float64, eta int, least float64) []Rung {
	rungs := Random(trials, epochs)
	for factor := eta; factor <= trials; factor *= eta {
		first := epochs / float64(factor)
		if first < least*(1-1e-9) {
			break
		}
		if first >= 1 {
			first = math.Round(first)
		}
		rungs = append([]Rung{{trials, first}}, rungs...)
	}
	left := trials
	for k := range rungs {
		rungs[k].Trials = left
		left /= eta
	}
	return rungs
}

// Score is the result of a trial so far, on validation images.
type Score struct {
	Trial          int
	Rung           int  // that it has done, from 0
	Failed         bool // the loss diverged, or the training could not begin
	Accuracy, Loss float64
}

// Compare returns a negative number if a is better than b. A failed trial is the worst; then a later rung is better, because
// it was trained longer, and had been better before; then the higher accuracy and the lower loss, or with byLoss the other way
// round. Of equal trials the earlier is the better one.
func Compare(a, b Score, byLoss bool) int {
	failed := func(s Score) int {
		if s.Failed || math.IsNaN(s.Accuracy) || math.IsNaN(s.Loss) {
			return 1
		}
		return 0
	}
	if failed(a)+failed(b) > 0 {
		return cmp.Or(failed(a)-failed(b), a.Trial-b.Trial)
	}
	accuracy, loss := cmp.Compare(b.Accuracy, a.Accuracy), cmp.Compare(a.Loss, b.Loss)
	first, second := accuracy, loss
	if byLoss {
		first, second = loss, accuracy
	}
	return cmp.Or(b.Rung-a.Rung, first, second, a.Trial-b.Trial)
}

// Promote returns the numbers of the n best trials, in the trials' order. Failed trials are not promoted, so that there may
// be fewer than n.
func Promote(scores []Score, n int, byLoss bool) []int {
	scores = slices.DeleteFunc(slices.Clone(scores), func(s Score) bool { return s.Failed })
	slices.SortFunc(scores, func(a, b Score) int { return Compare(a, b, byLoss) })
	var on []int
	for _, s := range scores[:min(n, len(scores))] {
		on = append(on, s.Trial)
	}
	slices.Sort(on)
	return on
}
