package recipe

import (
	"testing"

	"trainer/nn/train"
)

func TestLastBatch(t *testing.T) {
	for change, want := range map[string]train.LastBatch{
		"": train.DefaultLastBatch, "last-batch=keep": train.KeepLastBatch, "last-batch=drop": train.DropLastBatch,
		"drop-last=true": train.DropLastBatch, "drop-last=false": train.KeepLastBatch,
	} {
		var changes []string
		if change != "" {
			changes = append(changes, change)
		}
		r, err := LoadWith("mnist-basic", changes)
		if err != nil || r.LastBatch != want {
			t.Errorf("%s: %+v, %v, want %q", change, r, err, want)
		}
	}
	for want, changes := range map[string][]string{
		"-set drop-last: want only one of last-batch and its older form, drop-last":     {"last-batch=drop", "drop-last=true"},
		`-set last-batch: unknown value "dorp", did you mean drop? (valid: keep, drop)`: {"last-batch=dorp"},
		"-set drop-last: want true or false, got 1":                                     {"drop-last=1"},
	} {
		if _, err := LoadWith("mnist-basic", changes); err == nil || err.Error() != want {
			t.Errorf("%v: %v, want %s", changes, err, want)
		}
	}
}
