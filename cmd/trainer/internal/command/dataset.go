package command

import (
	"context"
	"fmt"

	"github.com/dustin/go-humanize"

	"trainer/nn/data"
)

// Opening the data set of a job.

// openData opens the data set, and computes mean and standard deviation if the recipe has none for it.
func (j *job) openData(ctx context.Context) error {
	split, err := data.OpenFrom(ctx, j.Kinds.DataSets, j.data, data.Options{
		Dir:          j.dataDir,
		Download:     !j.offline,
		Progress:     j.downloadProgress(),
		TestFraction: j.val,
		Seed:         j.seed,
		ImageSize:    [2]int{j.recipe.ImageSize.H, j.recipe.ImageSize.W},
		Grayscale:    j.recipe.Grayscale,
		Workers:      j.threads,
	})
	if err != nil {
		return &dataError{err}
	}
	split.Name = j.data // a folder may have the name of a data set
	j.split = split
	j.warnSkipped()
	mean, std, ok := j.recipe.MeanStd(j.data)
	if !ok {
		if mean, std, err = data.MeanStd(split.Train); err != nil {
			return &dataError{err}
		}
		for c, s := range std {
			if s == 0 { // a constant channel becomes zero
				std[c] = 1
			}
		}
	}
	j.recipe, err = j.recipe.WithMeanStd(mean, std)
	return err
}

// dataError is an invalid data set.
type dataError struct{ err error }

func (e *dataError) Error() string { return e.err.Error() }

func (e *dataError) Unwrap() error { return e.err }

// warnSkipped names images that could not be read.
func (j *job) warnSkipped() {
	const maxNames = 2
	for i, s := range j.split.Skipped {
		if i == maxNames {
			fmt.Fprintf(j.stderr, "trainer: %d more images skipped\n", len(j.split.Skipped)-maxNames)
			return
		}
		fmt.Fprintf(j.stderr, "trainer: skipped %s\n", s)
	}
}

// downloadProgress returns a function that prints the progress of downloads, one line per tenth.
func (j *job) downloadProgress() func(file string, done, total int64) {
	printed := map[string]int64{}
	return func(file string, done, total int64) {
		if total <= 0 || j.quiet {
			return
		}
		tenth := 10 * done / total
		if last, ok := printed[file]; ok && last >= tenth {
			return
		}
		printed[file] = tenth
		fmt.Fprintf(j.stderr, "downloading %s: %d%% of %s\n", file, 10*tenth, humanize.Bytes(uint64(total)))
	}
}
