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

// extensionListener prints the course of the learning rate in a training whose length was changed.
type extensionListener struct{ job *job }

// OnEvent prints a line at the start.
func (l extensionListener) OnEvent(e train.Event) {
	start, ok := e.(train.Start)
	if !ok || start.Extension == nil {
		return
	}
	x := start.Extension
	l.job.note("%d steps instead of %d: the learning rate was %.3g after step %d, continues with %.3g and ends with %.3g",
		x.Steps, x.Planned, x.Before, start.Step, x.Now, x.End)
}
