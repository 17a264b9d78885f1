package command

import (
	"fmt"
	"slices"
	"strings"
)

// chooseBatch makes the batch that the recipe leaves to the data a number, and lowers one that is larger than the training
// set, unless the user asked for that number. The learning rate stays.
func (j *job) chooseBatch() error {
	images := j.split.Train.Len()
	batch := j.recipe.BatchFor(images)
	isGiven := slices.ContainsFunc(j.changes, func(change string) bool {
		key, _, _ := strings.Cut(change, "=")
		return strings.TrimSpace(key) == "batch"
	})
	if !j.recipe.AutoBatch && (isGiven || batch == j.recipe.Batch) {
		return nil
	}
	if !j.recipe.AutoBatch && j.trial == nil {
		j.note("batch %d instead of the recipe's %d, because there are only %d training images (to choose one: -batch)",
			batch, j.recipe.Batch, images)
	}
	var err error
	j.recipe, err = j.recipe.With(fmt.Sprintf("batch=%d", batch))
	return err
}
