package figure

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math"
)

// Epoch is the result of one epoch of training. A value that was not measured, or not finite, is NaN.
type Epoch struct {
	Epoch      float64 // epochs done, from 1
	Train      Result
	Validation Result
	Test       Result
}

// Result is the result on one set of images.
type Result struct {
	Loss     float64
	Accuracy float64 // 0 to 1
}

// notMeasured is the result on a set that was not evaluated.
func notMeasured() Result { return Result{math.NaN(), math.NaN()} }

// maxEpochs bounds the points of a curve.
const maxEpochs = 100_000

// ReadMetrics reads a run's metrics.jsonl: one JSON object per line, one line per epoch.
func ReadMetrics(r io.Reader) ([]Epoch, error) {
	var epochs []Epoch
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		if n > maxEpochs {
			return nil, fmt.Errorf("metrics: more than %d epochs", maxEpochs)
		}
		var m struct {
			Epoch         *float64 `json:"epoch"`
			TrainLoss     *float64 `json:"train_loss"`
			TrainAccuracy *float64 `json:"train_accuracy"`
			ValLoss       *float64 `json:"val_loss"`
			ValAccuracy   *float64 `json:"val_accuracy"`
			TestLoss      *float64 `json:"test_loss"`
			Evaluated     *bool    `json:"evaluated"`
			TestAccuracy  *float64 `json:"test_accuracy"`
		}
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			return nil, fmt.Errorf("metrics, line %d: %w", n, err)
		}
		if m.Epoch == nil {
			return nil, fmt.Errorf("metrics, line %d: missing epoch", n)
		}
		if m.Evaluated != nil && !*m.Evaluated {
			m.TestLoss, m.TestAccuracy = nil, nil
		}
		epochs = append(epochs, Epoch{
			*m.Epoch, result(m.TrainLoss, m.TrainAccuracy), result(m.ValLoss, m.ValAccuracy), result(m.TestLoss, m.TestAccuracy),
		})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	return epochs, nil
}

// maxSteps bounds the points that are kept of steps.jsonl.
const maxSteps = 1 << 14

// ReadSteps reads a run's steps.jsonl: one JSON object per line, of a few training steps each. Of a long file it returns
// means of successive lines.
func ReadSteps(r io.Reader) ([]Epoch, error) {
	var steps []Epoch
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		var m struct {
			Epoch         *float64 `json:"epoch"`
			TrainLoss     *float64 `json:"train_loss"`
			TrainAccuracy *float64 `json:"train_accuracy"`
		}
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			return nil, fmt.Errorf("steps, line %d: %w", n, err)
		}
		if m.Epoch == nil {
			return nil, fmt.Errorf("steps, line %d: missing epoch", n)
		}
		if len(steps) == maxSteps {
			steps = thin(steps, maxSteps/2)
		}
		steps = append(steps, Epoch{*m.Epoch, result(m.TrainLoss, m.TrainAccuracy), notMeasured(), notMeasured()})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("steps: %w", err)
	}
	return steps, nil
}

// thin returns at most n points of a curve: means of successive ones, at the end of each group.
func thin(steps []Epoch, n int) []Epoch {
	if len(steps) <= n {
		return steps
	}
	points := make([]Epoch, n)
	for i := range points {
		group := steps[i*len(steps)/n : (i+1)*len(steps)/n]
		p := group[len(group)-1]
		p.Train = Result{}
		for _, s := range group {
			p.Train.Loss += s.Train.Loss / float64(len(group))
			p.Train.Accuracy += s.Train.Accuracy / float64(len(group))
		}
		points[i] = p
	}
	return points
}

// result is NaN for what a line lacks.
func result(loss, accuracy *float64) Result {
	r := notMeasured()
	if loss != nil {
		r.Loss = *loss
	}
	if accuracy != nil {
		r.Accuracy = *accuracy
	}
	return r
}
