package tune

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestHalving(t *testing.T) {
	for _, c := range []struct {
		trials int
		epochs float64
		eta    int
		least  float64
		want   []Rung
	}{
		{27, 9, 3, 1, []Rung{{27, 1}, {9, 3}, {3, 9}}},                             // least decides
		{9, 81, 3, 1, []Rung{{9, 9}, {3, 27}, {1, 81}}},                            // the trials decide
		{8, 3, 3, 1, []Rung{{8, 1}, {2, 3}}},                                       // 8/3 are 2
		{30, 1, 3, 1. / 9, []Rung{{30, 1. / 9}, {10, 1. / 3}, {3, 1}}},             // fractions of an epoch
		{16, 10, 2, 1, []Rung{{16, 1}, {8, 3}, {4, 5}, {2, 10}}},                   // 1.25 and 2.5 are rounded
		{1, 5, 3, 1, []Rung{{1, 5}}},                                               // nothing to choose from
		{10, 0.5, 3, 1, []Rung{{10, 0.5}}},                                         // nothing to halve
		{4, 100, 4, 0.1, []Rung{{4, 25}, {1, 100}}},                                // as many trials as eta
		{1000, 10, 10, 0.001, []Rung{{1000, 0.01}, {100, 0.1}, {10, 1}, {1, 10}}},  // four rungs
		{7, 4, 2, 1, []Rung{{7, 1}, {3, 2}, {1, 4}}},                               // odd numbers
		{5, 5, 3, math.Inf(1), []Rung{{5, 5}}},                                     // random search
		{6, math.MaxFloat64, 7, 1, []Rung{{6, math.MaxFloat64}}},                   // fewer than eta
		{3, 3 * (1 - 1e-12), 3, 1, []Rung{{3, (1 - 1e-12)}, {1, 3 * (1 - 1e-12)}}}, // up to rounding
	} {
		got := Halving(c.trials, c.epochs, c.eta, c.least)
		same := slices.EqualFunc(got, c.want, func(a, b Rung) bool { return a.Trials == b.Trials && math.Abs(a.Epochs-b.Epochs) <= 1e-9*b.Epochs })
		if !same {
			t.Errorf("%d trials of %v epochs by %d: %v, want %v", c.trials, c.epochs, c.eta, got, c.want)
		}
	}
	if got := Random(4, 2.5); !slices.Equal(got, []Rung{{4, 2.5}}) {
		t.Errorf("random %v", got)
	}
}

func TestPromote(t *testing.T) {
	scores := []Score{
		{Trial: 0, Accuracy: 0.5, Loss: 1},
		{Trial: 1, Accuracy: 0.9, Loss: 0.4},
		{Trial: 2, Accuracy: 0.9, Loss: 0.3},
		{Trial: 3, Failed: true, Accuracy: 1, Loss: 0},
		{Trial: 4, Accuracy: 0.9, Loss: 0.4},
		{Trial: 5, Accuracy: 0.1, Loss: 0.2},
	}
	for _, c := range []struct {
		n      int
		byLoss bool
		want   []int
	}{
		{1, false, []int{2}},             // equal accuracy, lower loss
		{2, false, []int{1, 2}},          // equal in both: the earlier trial
		{3, false, []int{1, 2, 4}},       //
		{1, true, []int{5}},              // by loss
		{2, true, []int{2, 5}},           //
		{6, false, []int{0, 1, 2, 4, 5}}, // a failed trial never
	} {
		if got := Promote(scores, c.n, c.byLoss); !slices.Equal(got, c.want) {
			t.Errorf("%d, by loss %v: %v, want %v", c.n, c.byLoss, got, c.want)
		}
	}
	if got := Promote([]Score{{Failed: true}}, 1, false); got != nil {
		t.Errorf("all failed: %v", got)
	}
	// The order of the scores, such as that in which devices finish, changes nothing.
	r := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		r.Shuffle(len(scores), func(i, k int) { scores[i], scores[k] = scores[k], scores[i] })
		if got := Promote(scores, 3, false); !slices.Equal(got, []int{1, 2, 4}) {
			t.Fatalf("shuffled: %v", got)
		}
	}
}

// Compare orders the results of all rungs: failed trials last, later rungs first.
func TestCompare(t *testing.T) {
	nan := math.NaN()
	inOrder := []Score{
		{Trial: 3, Rung: 2, Accuracy: 0.7, Loss: 1},
		{Trial: 1, Rung: 2, Accuracy: 0.6, Loss: 1},
		{Trial: 0, Rung: 1, Accuracy: 0.8, Loss: 1}, // was better at first, or had no longer training
		{Trial: 2, Rung: 0, Accuracy: 0.9, Loss: 1},
		{Trial: 4, Rung: 2, Failed: true},
		{Trial: 5, Rung: 2, Accuracy: nan, Loss: nan},
	}
	for i := range inOrder {
		for k := range inOrder {
			got := Compare(inOrder[i], inOrder[k], false)
			if want := i - k; (got < 0) != (want < 0) || (got > 0) != (want > 0) {
				t.Errorf("%v and %v: %d", inOrder[i], inOrder[k], got)
			}
		}
	}
}
