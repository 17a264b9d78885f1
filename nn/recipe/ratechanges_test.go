package recipe

import (
	"reflect"
	"strings"
	"testing"

	"trainer/nn/optim"
)

func TestRateChanges(t *testing.T) {
	plain, err := Load("mnist")
	if err != nil {
		t.Fatal(err)
	}
	want := []optim.RateChange{{Step: 12, Factor: 0.5}, {Step: 40, Factor: 1}}
	r, err := plain.WithRateChanges(want)
	if err != nil {
		t.Fatal(err)
	}
	text, err := r.TOML()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse("config.toml", text)
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range []*Recipe{r, again} {
		if !reflect.DeepEqual(got.RateChanges, want) {
			t.Errorf("got %v, want %v, from\n%s", got.RateChanges, want, text)
		}
	}
	for change, want := range map[string]string{
		"rate-changes=0.5":                    "want a list of pairs",
		"rate-changes=[0.5]":                  "want a list of pairs",
		"rate-changes=[[1, 0.5, 2]]":          "want a list of pairs",
		"rate-changes=[[1.5, 0.5]]":           "want a list of pairs",
		"rate-changes=[[1e300, 0.5]]":         "want a list of pairs",
		"rate-changes=[[-1, 0.5]]":            "want a step from 0",
		"rate-changes=[[1, -0.5]]":            "want a finite number from 0",
		"rate-changes=[[1, nan]]":             "want a finite number from 0",
		"rate-changes=[[2, 0.5], [2, 0.25]]":  "one per step",
		"rate-changes=[[20, 0.5], [2, 0.25]]": "in the order of their steps",
	} {
		if _, err := plain.With(change); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", change, err, want)
		}
	}
}
