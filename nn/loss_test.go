package nn_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"trainer/nn"
	"trainer/nn/device"
)

// lossTargets is a batch of six examples in four classes.
type lossTargets struct {
	labels  []int32   // nil with soft targets
	soft    []float32 // [6, 4]; nil with labels
	weights []float32 // or nil
}

// softRows returns six rows of probabilities over four classes.
func softRows() []float32 {
	rows := make([]float32, 6*4)
	for i := range 6 {
		rows[4*i+i%4] += 0.625
		rows[4*i+(i*i+1)%4] += 0.375
	}
	return rows
}

// lossRig is a small network with a loss, and a batch.
type lossRig struct {
	t                *testing.T
	dev              device.Device
	net              *nn.Network
	x                *device.Tensor
	targets, weights *device.Tensor
}

func newLossRig(t *testing.T, loss nn.Loss, b lossTargets) *lossRig {
	r := &lossRig{t: t, dev: newCPU(t)}
	r.net = compile(t, r.dev, nn.NewSequential(nn.Flatten{}, nn.Dense{Out: 4}), nn.Options{
		Input: nn.Shape{2, 3, 1}, Batch: 8, Training: true, Seed: 3, Loss: loss, SoftTargets: b.soft != nil, ExampleWeights: b.weights != nil,
		ClassCounts: func() ([]int, error) { return []int{4, 2, 0, 1}, nil },
	})
	r.x = newTensor(t, r.dev, random(4, 6*6), 6, 2, 3, 1)
	if b.soft != nil {
		r.targets = newTensor(t, r.dev, b.soft, 6, 4)
	} else {
		r.targets = newLabels(t, r.dev, b.labels...)
	}
	if b.weights != nil {
		r.weights = newTensor(t, r.dev, b.weights, 6)
	}
	return r
}

// stats returns what a batch adds to the statistics.
func (r *lossRig) stats() []float32 {
	r.dev.Zero(r.net.Stats())
	r.net.Forward(r.x, nn.Training)
	r.net.LossWeighted(r.targets, r.weights)
	return download(r.t, r.dev, r.net.Stats())
}

// total returns the loss of the batch as training minimises it.
func (r *lossRig) total(summed bool) float64 {
	stats := r.stats()
	if summed {
		return float64(stats[device.StatLoss])
	}
	return float64(stats[device.StatLoss]) / float64(stats[device.StatWeight])
}

// gradients returns the gradients of all parameters, one after the other.
func (r *lossRig) gradients() []float32 {
	r.net.Forward(r.x, nn.Training)
	r.net.BackwardWeighted(r.targets, r.weights)
	var all []float32
	for _, p := range r.net.Params() {
		all = append(all, download(r.t, r.dev, p.Grad)...)
	}
	return all
}

// Backward computes the gradient of the loss that Forward adds to stats, divided by the weight that Forward adds.
func TestLossGradients(t *testing.T) {
	labels := []int32{0, 1, 3, 0, 1, 0}
	v := []float32{1, 0.5, 2, 0, 1, 0.25}
	w := []float32{0.5, 2, 1, 0.25}
	for _, c := range []struct {
		name    string
		weights nn.LossWeights
		targets lossTargets
	}{
		{"labels", nn.LossWeights{}, lossTargets{labels: labels}},
		{"class-weights", nn.LossWeights{ClassWeights: w}, lossTargets{labels: labels}},
		{"balanced", nn.LossWeights{Balanced: true}, lossTargets{labels: labels}},
		{"ignored", nn.LossWeights{IgnoreIndex: new(int32(1))}, lossTargets{labels: labels}},
		{"example-weights", nn.LossWeights{}, lossTargets{labels: labels, weights: v}},
		{"soft", nn.LossWeights{}, lossTargets{soft: softRows()}},
		{"everything-for-labels", nn.LossWeights{ClassWeights: w, IgnoreIndex: new(int32(3))}, lossTargets{labels: labels, weights: v}},
		{"everything-for-soft", nn.LossWeights{ClassWeights: w}, lossTargets{soft: softRows(), weights: v}},
	} {
		for _, loss := range []nn.Loss{
			nn.CrossEntropy{LossWeights: c.weights}, nn.CrossEntropy{LossWeights: c.weights, Smoothing: 0.25},
			nn.CrossEntropy{LossWeights: c.weights, Sum: true}, nn.MeanSquaredError{LossWeights: c.weights},
		} {
			t.Run(c.name+"/"+loss.Kind(), func(t *testing.T) { checkLoss(t, loss, c.targets) })
		}
	}
}

func checkLoss(t *testing.T, loss nn.Loss, targets lossTargets) {
	r := newLossRig(t, loss, targets)
	r.gradients()
	for _, p := range r.net.Params() {
		compare(t, r.dev, "d"+p.Name, p.Value, download(t, r.dev, p.Grad), func() float64 { return r.total(loss.Summed()) })
	}
}

// Target rows with a single 1 give the same loss as labels, with class weights too; a network with soft targets also
// evaluates labels.
func TestSoftTargetsAreLabels(t *testing.T) {
	labels := []int32{0, 1, 3, 0, 2, 0}
	rows := make([]float32, 6*4)
	for i, label := range labels {
		rows[4*i+int(label)] = 1
	}
	loss := nn.CrossEntropy{Smoothing: 0.2, LossWeights: nn.LossWeights{ClassWeights: []float32{0.5, 2, 1, 0.25}}}
	hard, soft := newLossRig(t, loss, lossTargets{labels: labels}), newLossRig(t, loss, lossTargets{soft: rows})
	if a, b := hard.stats(), soft.stats(); !slices.Equal(a, b) {
		t.Errorf("stats of labels %v, of rows %v", a, b)
	}
	if a, b := hard.gradients(), soft.gradients(); !slices.Equal(a, b) {
		t.Errorf("gradients of labels %v, of rows %v", a, b)
	}
	soft.targets = newLabels(t, soft.dev, labels...)
	if a, b := hard.stats(), soft.stats(); !slices.Equal(a, b) {
		t.Errorf("stats of labels %v, on a network with soft targets %v", a, b)
	}
}

// n/(classes n[k]) for 4, 2, 0 and 1 of 7 examples.
func TestBalancedWeights(t *testing.T) {
	balanced := nn.CrossEntropy{LossWeights: nn.LossWeights{Balanced: true}}
	given := nn.CrossEntropy{LossWeights: nn.LossWeights{ClassWeights: []float32{7.0 / 16, 7.0 / 8, 0, 7.0 / 4}}}
	labels := lossTargets{labels: []int32{0, 1, 3, 0, 1, 0}}
	if a, b := newLossRig(t, balanced, labels).stats(), newLossRig(t, given, labels).stats(); !slices.Equal(a, b) {
		t.Errorf("balanced weights give %v, their numbers %v", a, b)
	}
}

func TestLossErrors(t *testing.T) {
	weights := func(w ...float32) nn.LossWeights { return nn.LossWeights{ClassWeights: w} }
	for _, c := range []struct {
		loss nn.Loss
		soft bool
		want string
	}{
		{nn.CrossEntropy{Smoothing: 1}, false, "loss cross-entropy: smoothing is 1, needs a number from 0 to below 1"},
		{nn.CrossEntropy{LossWeights: weights(1, 2)}, false, "loss cross-entropy: 2 class weights for 4 classes, want one per class"},
		{nn.MeanSquaredError{LossWeights: weights(1, 2, -1, 1)}, false, "loss mse: class-weights has -1 at 2, needs a number from 0"},
		{nn.CrossEntropy{LossWeights: weights(1, 2, float32(math.NaN()), 1)}, false, "loss cross-entropy: class-weights has NaN at 2, needs a number from 0"},
		{nn.CrossEntropy{LossWeights: weights(0, 0, 0, 0)}, false, "loss cross-entropy: all class weights are 0, want at least one above it"},
		{nn.CrossEntropy{LossWeights: nn.LossWeights{Balanced: true, ClassWeights: []float32{1, 1, 1, 1}}}, false, "loss cross-entropy: want either class weights or balanced ones, got both"},
		{nn.CrossEntropy{LossWeights: nn.LossWeights{Balanced: true}}, false, "loss cross-entropy: balanced class weights: the network was compiled without nn.Options.ClassCounts, the number of training examples in each class"},
		{nn.CrossEntropy{LossWeights: nn.LossWeights{IgnoreIndex: new(int32(0))}}, true, "loss cross-entropy: ignore-index needs targets that are labels; mixup and cutmix make probabilities of them"},
	} {
		_, err := nn.Compile(newCPU(t), nn.Dense{Out: 4}, nn.Options{Input: nn.Shape{3}, Batch: 2, Training: true, Loss: c.loss, SoftTargets: c.soft})
		if e, ok := errors.AsType[*nn.LossError](err); !ok || err.Error() != c.want || e.Loss != c.loss.Kind() {
			t.Errorf("%+v: the error is\n%v, want\n%s", c.loss, err, c.want)
		}
	}
	_, err := nn.Compile(newCPU(t), nn.Dense{Out: 4}, nn.Options{
		Input: nn.Shape{3}, Batch: 2, Training: true, Loss: nn.CrossEntropy{LossWeights: nn.LossWeights{Balanced: true}},
		ClassCounts: func() ([]int, error) { return []int{1, 2}, nil },
	})
	if err == nil || !strings.Contains(err.Error(), "the data has 2 classes, the network 4 outputs") {
		t.Errorf("counts of too few classes: %v", err)
	}
}

func TestLossMisuse(t *testing.T) {
	r := newLossRig(t, nn.CrossEntropy{}, lossTargets{labels: make([]int32, 6)})
	r.net.Forward(r.x, nn.Training)
	for name, c := range map[string]struct {
		words string
		run   func()
	}{
		"probabilities": {"without SoftTargets", func() { r.net.Loss(newTensor(t, r.dev, softRows(), 6, 4)) }},
		"weights":       {"LossSpec.Weights", func() { r.net.BackwardWeighted(r.targets, newTensor(t, r.dev, make([]float32, 6), 6)) }},
	} {
		func() {
			defer func() {
				if p, ok := recover().(string); !ok || !strings.Contains(p, c.words) {
					t.Errorf("%s: panic %q, want one with %q", name, p, c.words)
				}
			}()
			c.run()
		}()
	}
}

// A step with every option allocates nothing.
func TestLossAllocatesNothing(t *testing.T) {
	r := newLossRig(t, nn.CrossEntropy{LossWeights: nn.LossWeights{Balanced: true}}, lossTargets{soft: softRows(), weights: make([]float32, 6)})
	n := testing.AllocsPerRun(10, func() {
		r.net.Forward(r.x, nn.Training)
		r.net.LossWeighted(r.targets, r.weights)
		r.net.BackwardWeighted(r.targets, r.weights)
	})
	if n != 0 {
		t.Errorf("a step allocates %v times", n)
	}
}
