package command

import (
	"fmt"
	"io"
	"math"

	"trainer/cmd/trainer/internal/figure"
	"trainer/nn/folder"
	"trainer/nn/train"
)

// drawSeeds draws the curves of several runs that differ in the seed together, if the folder is that of several.
func (p *program) drawSeeds(dir *folder.Folder, o *runOptions) (drawn bool, err error) {
	r := p.rowOf(dir, dir.Path())
	if len(r.Seeds) < 2 {
		return false, nil // any problem is reported when the run is opened
	}
	seeds, err := seedMetrics(dir, r.Seeds)
	if err != nil {
		return true, &dataError{err}
	}
	if len(seeds) == 0 {
		return true, usageErrorf("%s: no run has finished an epoch", dir.Path())
	}
	out, err := figuresFolder(dir, o.out)
	if err != nil {
		return true, fmt.Errorf("making the folder for pictures: %w", err)
	}
	defer out.Close()
	subtitle := fmt.Sprintf("%d seeds: mean, and standard deviation as a band", len(seeds))
	if !math.IsNaN(float64(r.Test)) {
		subtitle += "; test accuracy " + percent(r.Test, r.TestStd)
	}
	return true, p.writePictureIn(out, "curves."+o.format, func(w io.Writer) error {
		return figure.Compared(w, o.format, r.Recipe+" on "+r.Data, subtitle, seedSeries(seeds))
	})
}

// seedSeries returns the results of several seeds on the validation images if there are any, on the test images if those
// were evaluated, and on the training images.
func seedSeries(seeds [][]train.EpochMetrics) []figure.Series {
	training, validation, test := figure.Series{Name: "training"}, figure.Series{Name: "validation"}, figure.Series{Name: "test"}
	for _, epochs := range seeds {
		var points []figure.Point
		for _, e := range epochs {
			points = append(points, figure.Point{Epoch: float64(e.Epoch), Loss: e.TrainLoss, Accuracy: e.TrainAccuracy})
		}
		training.Seeds = append(training.Seeds, points)
		validation.Seeds = append(validation.Seeds, scoredPoints(epochs, true))
		test.Seeds = append(test.Seeds, scoredPoints(epochs, false))
	}
	list := []figure.Series{test, training}
	if seeds[0][0].ValCount > 0 {
		list = append(list, validation)
	}
	return list
}
