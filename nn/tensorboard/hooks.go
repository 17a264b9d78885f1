package tensorboard

import (
	"fmt"

	"trainer/nn/device"
	"trainer/nn/train"
)

// Hooks write a training to an event file: loss, accuracy and learning rate of the steps that Config.LogEvery asks for,
// the results of every epoch, and after each epoch histograms of the weights and of their gradients in the last step. The
// file is flushed after every epoch. The weights are those that training continues with, without moving averages.
func Hooks(w *Writer) train.Hooks {
	var values []float32
	return train.Hooks{
		Start: func(_ *train.Training, s train.Start) {
			if s.Step > 0 {
				w.Begin(s.Step + 1)
			}
		},
		Log: func(_ *train.Training, m *train.StepMetrics) {
			w.Scalar("loss/steps", m.Step, m.TrainLoss)
			w.Scalar("accuracy/steps", m.Step, m.TrainAccuracy)
			w.Scalar("learning rate", m.Step, m.LR)
		},
		Epoch: func(t *train.Training, m train.EpochMetrics) {
			w.epoch(m)
			for _, p := range t.Network().Params() {
				values = w.histogramOf(values, t.Network().Device(), "weights/"+p.Name, m.Step, p.Value)
				if p.Grad != nil {
					values = w.histogramOf(values, t.Network().Device(), "gradients/"+p.Name, m.Step, p.Grad)
				}
			}
			_ = w.Flush() // which keeps its error
		},
		Finish: func(_ *train.Training, r *train.Result) {
			if r.TestCount > 0 {
				w.Scalar("kept weights/test accuracy", r.WeightsStep, r.TestAccuracy)
			}
			_ = w.Flush()
		},
	}
}

// epoch writes an epoch's results.
func (w *Writer) epoch(m train.EpochMetrics) {
	w.Scalar("loss/training", m.Step, m.TrainLoss)
	w.Scalar("accuracy/training", m.Step, m.TrainAccuracy)
	if m.ValCount > 0 {
		w.Scalar("loss/validation", m.Step, m.ValLoss)
		w.Scalar("accuracy/validation", m.Step, m.ValAccuracy)
	}
	if m.Evaluated {
		w.Scalar("loss/test", m.Step, m.TestLoss)
		w.Scalar("accuracy/test", m.Step, m.TestAccuracy)
	}
	if m.ImagesPerSecond > 0 {
		w.Scalar("images per second", m.Step, m.ImagesPerSecond)
	}
}

// histogramOf writes a tensor's histogram. values are used for the download, and returned for the next one.
func (w *Writer) histogramOf(values []float32, dev device.Device, tag string, step int, t *device.Tensor) []float32 {
	if t.DType() != device.Float32 {
		return values
	}
	if len(values) < t.Len() {
		values = make([]float32, t.Len())
	}
	if err := dev.Download(device.Bytes(values[:t.Len()]), t); err != nil {
		w.fail(fmt.Errorf("tensorboard: %s: %w", tag, err))
		return values
	}
	w.Histogram(tag, step, values[:t.Len()])
	return values
}
