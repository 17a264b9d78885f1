package train

import (
	"fmt"
	"strings"

	"trainer/nn"
	"trainer/nn/device"
	"trainer/nn/optim"
	"trainer/nn/train/internal/safetensors"
)

// Weights says which weights a training keeps: those that Result.Network has at the end.
type Weights string

// The choices. WeightsLast are those after the last step. WeightsEMA are their moving averages, which need
// optim.Config.EMA. WeightsBest are those of the epoch with the best results on the validation set, of the moving averages
// if there are any. The default is WeightsEMA with optim.Config.EMA, and otherwise WeightsLast. Evaluations are of the
// moving averages unless the choice is WeightsLast.
const (
	DefaultWeights Weights = ""
	WeightsLast    Weights = "last"
	WeightsEMA     Weights = "ema"
	WeightsBest    Weights = "best"
)

// Metric is a result on the validation set.
type Metric string

// The metrics. What DefaultMetric means depends on the setting.
const (
	DefaultMetric Metric = ""
	ByAccuracy    Metric = "accuracy"
	ByLoss        Metric = "loss"
)

// chooseWeights replaces the default by what it means, and returns an error if the choice is impossible.
func (c *Config) chooseWeights() error {
	averages := c.Optimizer.EMA != nil
	bad := func(problem string) error { return &ConfigError{Setting: "weights", Problem: problem} }
	switch c.Weights {
	case DefaultWeights:
		c.Weights = WeightsLast
		if averages {
			c.Weights = WeightsEMA
		}
	case WeightsEMA:
		if !averages {
			return bad("ema needs moving averages of the weights: add the table [optimizer.ema], such as decay = 0.999")
		}
	case WeightsBest:
		if c.Data.Val == nil || c.Data.Val.Len() == 0 {
			return bad("best needs results on a validation set, and there is none: hold out some training images, such as a tenth (-val 0.1), or keep the last weights (-set weights=last)")
		}
	case WeightsLast:
	default:
		return bad(fmt.Sprintf("%q, want %s, %s or %s", c.Weights, WeightsLast, WeightsBest, WeightsEMA))
	}
	if c.BestBy != DefaultMetric && c.BestBy != ByAccuracy && c.BestBy != ByLoss {
		return &ConfigError{Setting: "best by", Problem: fmt.Sprintf("%q, want %s or %s", c.BestBy, ByAccuracy, ByLoss)}
	}
	return nil
}

// weightsSetting returns the setting for checkpoints, and false for the default, which older checkpoints leave out.
func (c *Config) weightsSetting() (condition, bool) {
	switch {
	case c.Weights == WeightsBest && c.BestBy == ByLoss:
		return condition{"weights", "best by loss"}, true
	case c.Weights == WeightsBest, c.Weights == WeightsLast && c.Optimizer.EMA != nil:
		return condition{"weights", string(c.Weights)}, true
	}
	return condition{}, false
}

// Best is the epoch with the best results on the validation set so far: with the higher accuracy, or the lower loss if
// accuracies are equal; with ByLoss the other way round. Of equal epochs the first is the best.
type Best struct {
	Epoch    int     `json:"epoch"` // from 1
	Step     int     `json:"step"`  // steps done then
	Loss     float64 `json:"loss"`
	Accuracy float64 `json:"accuracy"` // 0 to 1
	Correct  int     `json:"correct"`
	Count    int     `json:"count"`
}

// bestOf returns an epoch's results on the validation set.
func bestOf(m *EpochMetrics) *Best {
	return &Best{Epoch: m.Epoch, Step: m.Step, Loss: m.ValLoss, Accuracy: m.ValAccuracy, Correct: m.ValCorrect, Count: m.ValCount}
}

// betterThan reports whether b is better than other, which may be nil.
func (b *Best) betterThan(other *Best, by Metric) bool {
	switch {
	case other == nil:
		return true
	case by == ByLoss && b.Loss != other.Loss:
		return b.Loss < other.Loss
	case b.Accuracy != other.Accuracy:
		return b.Accuracy > other.Accuracy
	}
	return b.Loss < other.Loss
}

// bestWeights keeps the weights of the best epoch in the host's memory. Copying them from the device makes it wait, but
// only after an evaluation, when it has nothing else to do.
type bestWeights struct {
	dev     device.Device
	tensors []optim.Named // the network's
	at      *Best         // nil before the first evaluation
	values  [][]float32   // of at, for each tensor; nil if they are not known
}

func newBestWeights(net *nn.Network) bestWeights {
	return bestWeights{dev: net.Device(), tensors: networkTensors(net)}
}

// take keeps the network's weights as those of the best epoch.
func (b *bestWeights) take(at *Best) error {
	if b.values == nil {
		b.values = b.allocate()
	}
	b.at = at
	return b.download(b.values)
}

func (b *bestWeights) allocate() [][]float32 {
	values := make([][]float32, len(b.tensors))
	for i, t := range b.tensors {
		values[i] = make([]float32, t.Tensor.Len())
	}
	return values
}

func (b *bestWeights) download(values [][]float32) error {
	for i, t := range b.tensors {
		if err := b.dev.Download(device.Bytes(values[i]), t.Tensor); err != nil {
			return fmt.Errorf("copying the best weights: %s: %w", t.Name, err)
		}
	}
	return nil
}

func (b *bestWeights) upload(values [][]float32) error {
	for i, t := range b.tensors {
		if err := b.dev.Upload(t.Tensor, device.Bytes(values[i])); err != nil {
			return fmt.Errorf("copying the best weights: %s: %w", t.Name, err)
		}
	}
	return nil
}

// give gives the network the best weights, if they are known.
func (b *bestWeights) give() (bool, error) {
	if b.values == nil {
		return false, nil
	}
	return true, b.upload(b.values)
}

// with calls use while the network has the best weights, if they are known.
func (b *bestWeights) with(use func() error) (bool, error) {
	if b.values == nil {
		return false, nil
	}
	current := b.allocate()
	if err := b.download(current); err != nil {
		return true, err
	}
	if err := b.upload(b.values); err != nil {
		return true, err
	}
	err := use()
	if back := b.upload(current); err == nil {
		err = back
	}
	return true, err
}

// bestPrefix is the prefix of the names of the best epoch's weights in a checkpoint.
const bestPrefix = "best/"

func isBest(name string) bool { return strings.HasPrefix(name, bestPrefix) }

// named returns the best weights as a checkpoint has them.
func (b *bestWeights) named() []NamedValues {
	var list []NamedValues
	for i, v := range b.values {
		list = append(list, NamedValues{Name: bestPrefix + b.tensors[i].Name, Shape: b.tensors[i].Tensor.Shape(), Values: v})
	}
	return list
}

// read sets the best epoch from a checkpoint. Checkpoints of older versions have none; then the epochs so far say what a
// better epoch must surpass, and the weights are not known.
func (b *bestWeights) read(path string, f *safetensors.File, p position, by Metric) error {
	if b.at = p.Best; b.at == nil {
		for i := range p.History {
			if m := bestOf(&p.History[i]); m.Count > 0 && m.betterThan(b.at, by) {
				b.at = m
			}
		}
		return nil
	}
	if b.at.Step < 1 || b.at.Step > p.Step {
		return fmt.Errorf("%s: %w: best step %d of %d", path, ErrDamaged, b.at.Step, p.Step)
	}
	list := make([]optim.Named, len(b.tensors))
	for i, t := range b.tensors {
		list[i] = optim.Named{Name: bestPrefix + t.Name, Tensor: t.Tensor}
	}
	if diff := compareTensors(f, list, isBest); len(diff) > 0 {
		return &MismatchError{Path: path, Differences: diff}
	}
	b.values = b.allocate()
	for i, t := range list {
		if err := f.Read(t.Name, device.Bytes(b.values[i])); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}
