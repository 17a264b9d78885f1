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
	Epoch                       float64 // epochs done, from 1
	TrainLoss, TestLoss         float64
	TrainAccuracy, TestAccuracy float64 // 0 to 1
}

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
			*m.Epoch, orNaN(m.TrainLoss), orNaN(m.TestLoss), orNaN(m.TrainAccuracy), orNaN(m.TestAccuracy),
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
		steps = append(steps, Epoch{*m.Epoch, orNaN(m.TrainLoss), math.NaN(), orNaN(m.TrainAccuracy), math.NaN()})
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
		p.TrainLoss, p.TrainAccuracy = 0, 0
		for _, s := range group {
			p.TrainLoss += s.TrainLoss / float64(len(group))
			p.TrainAccuracy += s.TrainAccuracy / float64(len(group))
		}
		points[i] = p
	}
	return points
}

func orNaN(v *float64) float64 {
	if v == nil {
		return math.NaN()
	}
	return *v
}
