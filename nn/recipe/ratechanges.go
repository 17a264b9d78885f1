package recipe

import (
	"errors"
	"math"

	"trainer/nn/optim"
	"trainer/nn/setting"
)

// The key rate-changes holds the changes of the learning rate that were made while a run was training, so that a resumed or
// repeated run makes them again:
//
//	rate-changes = [[1200, 0.5], [3000, 0.1]]   # from step 1200 on half the scheduled rate, from step 3000 on a tenth of it

// setRateChanges reads the key.
func (r *Recipe) setRateChanges(v any) error {
	list, ok := v.([]any)
	if !ok {
		return errRateChanges
	}
	r.RateChanges = nil
	for _, pair := range list {
		numbers, ok := setting.Numbers(pair)
		if !ok || len(numbers) != 2 || numbers[0] != math.Trunc(numbers[0]) || math.Abs(numbers[0]) > math.MaxInt32 {
			return errRateChanges
		}
		r.RateChanges = append(r.RateChanges, optim.RateChange{Step: int(numbers[0]), Factor: numbers[1]})
	}
	return optim.CheckRateChanges(r.RateChanges)
}

var errRateChanges = errors.New("want a list of pairs of a step and a factor, such as [[1200, 0.5]]")

// WithRateChanges returns the recipe with changes of the learning rate in place of its own.
func (r *Recipe) WithRateChanges(changes []optim.RateChange) (*Recipe, error) {
	return r.with(func(d *document) {
		list := make([]any, len(changes))
		for i, c := range changes {
			list[i] = []any{int64(c.Step), c.Factor}
		}
		d.root["rate-changes"] = list
		d.noteSet("rate-changes")
	})
}
