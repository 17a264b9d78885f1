package command

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"trainer/cmd/trainer/internal/figure"
	"trainer/cmd/trainer/internal/report"
	"trainer/nn/tensorboard"
	"trainer/nn/train"
)

// tensorboardFolder is the folder of the event files in a run's folder.
const tensorboardFolder = "tensorboard"

// board writes a run's event files for TensorBoard.
type board struct {
	*job
	folder *report.Folder
	writer *tensorboard.Writer // nil before training begins
	err    error               // the first
}

// hooks returns hooks that write an event file if -tensorboard asks for it, or if the run that is continued has one. The
// file is made when training begins.
func (b *board) hooks() train.Hooks {
	if !b.tensorboard && !b.folder.Has(tensorboardFolder) {
		return train.Hooks{}
	}
	var h train.Hooks
	return train.Hooks{
		Start: func(t *train.Training, e train.Start) {
			if b.writer, b.err = b.create(); b.err != nil {
				return
			}
			h = tensorboard.Hooks(b.writer)
			h.Start(t, e)
		},
		Log: func(t *train.Training, m *train.StepMetrics) {
			if b.writer != nil {
				h.Log(t, m)
			}
		},
		Epoch: func(t *train.Training, m train.EpochMetrics) {
			if b.writer != nil {
				h.Epoch(t, m)
			}
		},
		Finish: func(t *train.Training, r *train.Result) {
			if b.writer != nil {
				b.err = b.pictures(r)
				h.Finish(t, r)
			}
		},
	}
}

func (b *board) create() (*tensorboard.Writer, error) {
	in, err := b.folder.Folder.Sub(tensorboardFolder)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return tensorboard.CreateIn(in)
}

// close closes the file and returns the first error.
func (b *board) close() error {
	if b.writer == nil {
		return b.err
	}
	return errors.Join(b.err, b.writer.Close())
}

// pictures writes the confusion matrix, and some test images with the network's answers.
func (b *board) pictures(r *train.Result) error {
	title := fmt.Sprintf("%s on %s", b.recipe.Name, b.dataName())
	classes, err := b.namesInFigures(b.split.Test.Classes(), "png", b.folder.Folder)
	if err != nil {
		return err
	}
	if n := len(r.Confusion); n > 0 && n <= figure.MaxConfusionClasses {
		err := b.picture("confusion matrix", r.WeightsStep, func(w io.Writer) error {
			return figure.Confusion(w, "png", title, r.Confusion, classes)
		})
		if err != nil {
			return err
		}
	}
	if len(r.TestAnswers) == 0 {
		return nil
	}
	if _, _, c := b.split.Test.ImageShape(); c != 1 && c != 3 {
		return nil
	}
	return b.picture("predictions", r.WeightsStep, func(w io.Writer) error {
		shown, err := predictions(b.split.Test, classes, r.TestAnswers)
		if err != nil {
			return err
		}
		return figure.Predictions(w, "png", title+": "+predictionsTitle, shown)
	})
}

func (b *board) picture(tag string, step int, draw func(io.Writer) error) error {
	var file bytes.Buffer
	if err := draw(&file); err != nil {
		return fmt.Errorf("drawing the %s for TensorBoard: %w", tag, err)
	}
	b.writer.Image(tag, step, file.Bytes())
	return nil
}
