package recipe

import (
	"strings"
	"testing"

	"trainer/nn/train"
)

// TestWeightsAndStop reads which weights are kept and when training stops.
func TestWeightsAndStop(t *testing.T) {
	plain, err := Load("mnist-basic")
	if err != nil {
		t.Fatal(err)
	}
	r, err := plain.With("weights=best", "best-by=loss", "log-every=7", "stop.patience=3", "stop.min-delta=0.01", "stop.metric=accuracy", "stop.target=0.99")
	if err != nil {
		t.Fatal(err)
	}
	want := train.Stop{Patience: 3, MinDelta: 0.01, Metric: train.ByAccuracy, Target: 0.99}
	if r.Weights != train.WeightsBest || r.BestBy != train.ByLoss || r.LogEvery != 7 || r.Stop != want {
		t.Errorf("weights %q by %q, log every %d, stop %+v", r.Weights, r.BestBy, r.LogEvery, r.Stop)
	}
	if plain.Weights != train.DefaultWeights || plain.Stop != (train.Stop{}) || plain.LogEvery != 0 {
		t.Errorf("without them: weights %q, log every %d, stop %+v", plain.Weights, plain.LogEvery, plain.Stop)
	}
	for change, want := range map[string]string{
		"weights=ema":      "ema needs the table [optimizer.ema]",
		"weights=first":    `unknown value "first" (valid: last, best, ema)`,
		"best-by=luck":     `unknown value "luck"`,
		"log-every=-1":     "want a whole number from 0, got -1",
		"stop.min-delta=1": "want patience, such as patience = 5, or target",
		"stop.target=2":    "want a number from 0 to 1, got 2",
		"stop.patients=2":  "unknown key, did you mean stop.patience?",
	} {
		if _, err := plain.With(change); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", change, err, want)
		}
	}
}
