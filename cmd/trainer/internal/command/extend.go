package command

import (
	"trainer/cmd/trainer/internal/report"
	"trainer/nn/train"
)

// Runs that are longer than they were planned: -resume with -epochs.

// planEpochs remembers how many epochs the run had first, if they are changed.
func (j *job) planEpochs() {
	if j.given["epochs"] && j.plannedEpochs == 0 && j.recipe.Epochs != j.epochsBefore {
		j.plannedEpochs = j.epochsBefore
	}
}

// enough reports whether a run that came to its end is as long as it is to be now.
func (j *job) enough(done *report.Summary) bool {
	const rounding = 1e-6
	return done.Epochs >= j.recipe.Epochs-rounding
}

// extensionHooks print the course of the learning rate in a training whose length was changed.
func (j *job) extensionHooks() train.Hooks {
	return train.Hooks{Start: func(_ *train.Training, start train.Start) {
		if x := start.Extension; x != nil {
			j.note("%d steps instead of %d: the learning rate was %.3g after step %d, continues with %.3g and ends with %.3g",
				x.Steps, x.Planned, x.Before, start.Step, x.Now, x.End)
		}
	}}
}
