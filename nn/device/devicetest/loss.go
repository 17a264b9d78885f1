package devicetest

import (
	"math"
	"testing"

	"trainer/nn/device"
	"trainer/nn/device/reference"
)

// lossCase is a loss on a batch.
type lossCase struct {
	name    string
	spec    device.LossSpec
	outputs []float32
	labels  []int32
}

func lossCases() []lossCase {
	var cases []lossCase
	add := func(name string, s device.LossSpec, n int, low, high float32) *lossCase {
		src := newSource("loss/" + name)
		cases = append(cases, lossCase{name, s, src.between(n*s.Classes, low, high), src.labels(n, s.Classes)})
		return &cases[len(cases)-1]
	}
	const ce, mse = device.SoftmaxCrossEntropy, device.MeanSquaredError
	add("cross-entropy", device.LossSpec{Kind: ce, N: 17, Classes: 10}, 17, -3, 3)
	add("cross-entropy-sum", device.LossSpec{Kind: ce, N: 17, Classes: 10, Sum: true}, 17, -3, 3)
	add("cross-entropy-smoothing", device.LossSpec{Kind: ce, N: 17, Classes: 10, Smoothing: 0.2}, 17, -3, 3)
	add("cross-entropy-smoothing-sum", device.LossSpec{Kind: ce, N: 17, Classes: 10, Smoothing: 0.1, Sum: true}, 17, -3, 3)
	add("cross-entropy-smaller-batch", device.LossSpec{Kind: ce, N: 64, Classes: 10}, 5, -3, 3)
	add("cross-entropy-one-example", device.LossSpec{Kind: ce, N: 1, Classes: 2}, 1, -3, 3)
	add("cross-entropy-one-class", device.LossSpec{Kind: ce, N: 3, Classes: 1}, 3, -3, 3)
	add("cross-entropy-many-classes", device.LossSpec{Kind: ce, N: 5, Classes: 1003, Smoothing: 0.1}, 5, -3, 3)
	add("cross-entropy-many-examples", device.LossSpec{Kind: ce, N: 1031, Classes: 10}, 1031, -3, 3)
	add("cross-entropy-huge-logits", device.LossSpec{Kind: ce, N: 33, Classes: 10}, 33, -1e4, 1e4)
	add("cross-entropy-huge-logits-smoothing", device.LossSpec{Kind: ce, N: 33, Classes: 10, Smoothing: 0.2}, 33, -1e4, 1e4)
	add("mse", device.LossSpec{Kind: mse, N: 17, Classes: 10}, 17, -2, 2)
	add("mse-sum", device.LossSpec{Kind: mse, N: 17, Classes: 10, Sum: true}, 17, -2, 2)
	add("mse-one-example", device.LossSpec{Kind: mse, N: 4, Classes: 3}, 1, -2, 2)

	confident := add("cross-entropy-right-and-wrong-by-1e4", device.LossSpec{Kind: ce, N: 20, Classes: 10}, 20, 0, 0)
	for i, label := range confident.labels {
		confident.outputs[i*10+(int(label)+i%2)%10] = 1e4
		confident.outputs[i*10+(int(label)+5)%10] = -1e4
	}
	ties := add("cross-entropy-ties", device.LossSpec{Kind: ce, N: 50, Classes: 7}, 50, 0, 0)
	copy(ties.outputs, newSource("loss/coarse").coarse(len(ties.outputs)))
	mseTies := add("mse-ties", device.LossSpec{Kind: mse, N: 50, Classes: 7}, 50, 0, 0)
	copy(mseTies.outputs, ties.outputs)
	for _, kind := range []device.LossKind{ce, mse} {
		for _, label := range []int32{-1, 10, 255, math.MinInt32, math.MaxInt32} {
			bad := add("label-out-of-range", device.LossSpec{Kind: kind, N: 9, Classes: 10}, 9, -3, 3)
			bad.labels[4] = label
		}
	}
	return cases
}

func testLoss(t *testing.T, dev device.Device, opt Options) {
	for _, c := range lossCases() {
		t.Run(c.name, func(t *testing.T) { runLossCase(t, dev, opt, c, nil) })
	}
}

// runLossCase runs Forward twice, so that the stats add up, then Backward. scaling is the state of a LossScaling,
// or nil.
func runLossCase(t *testing.T, dev device.Device, opt Options, c lossCase, scaling []float32) {
	n := len(c.labels)
	start := []float32{0.25, 3, 7, 42}
	r := newRig(t, dev, opt)
	if scaling != nil {
		c.spec.Scaling = r.inputFloat32("scaling", scaling, device.ScalingLen)
	}
	loss := plan(dev.NewLoss(c.spec))(t)
	outputs, labels := r.input("outputs", c.outputs, n, c.spec.Classes), r.inputInt32("labels", c.labels, n)
	stats, doutputs := r.inout("stats", start, device.StatsLen), r.output("doutputs", n, c.spec.Classes)
	r.run(func() {
		loss.Forward(stats, outputs, labels)
		loss.Forward(stats, outputs, labels)
		loss.Backward(doutputs, outputs, labels)
	})
	want, gradient := reference.Loss(c.spec, reference.Widen(c.outputs), c.labels)
	for i, s := range start {
		want.Set(i, float64(s)+2*want.Value[i], float64(s)+2*want.Magnitude[i])
	}
	if scaling != nil {
		gradient = gradient.Times(float64(scaling[device.ScalingScale]))
	}
	r.check(stats, want)
	r.check(doutputs, gradient)
	// The counts, and the element that means nothing, are exact.
	for _, i := range []int{device.StatCorrect, device.StatCount, 3} {
		if got := r.result(stats)[i]; float64(got) != want.Value[i] {
			t.Errorf("stats[%d] is %v, want %v", i, got, want.Value[i])
		}
	}
}
