package command

import (
	"math"

	"trainer/nn/device"
)

// A GPU has several algorithms for each pass of a convolution. Timing them takes up to 18 algorithms 16 runs each, and the
// training a run per step, so that from stepsToAutotune steps on timing takes less than 1% of the time of training.
const stepsToAutotune = 30_000

// chooseAutotune times algorithms in a long training, unless a flag says whether to. A deterministic run is left alone, and
// a run that is continued keeps what it chose.
func (j *job) chooseAutotune() {
	chooser, ok := j.dev.(device.AlgorithmChooser)
	if !ok || j.given["autotune"] || j.deterministic || j.resume != "" || j.trial != nil {
		return
	}
	batch := j.config(j.seed).Batch * max(1, j.recipe.Accumulate)
	perEpoch := math.Ceil(float64(j.split.Train.Len()) / float64(batch))
	if j.recipe.Epochs*perEpoch*float64(max(1, j.runs, j.folds)) >= stepsToAutotune {
		j.autotune = true
		chooser.Autotune()
	}
}
