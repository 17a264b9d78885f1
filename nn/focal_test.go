package nn_test

import (
	"math"
	"testing"

	"trainer/nn"
	"trainer/nn/device"
)

func TestFocalLossGradients(t *testing.T) {
	labels := []int32{0, 1, 3, 0, 1, 0}
	v := []float32{1, 0.5, 2, 0, 1, 0.25}
	w := nn.LossWeights{ClassWeights: []float32{0.5, 2, 1, 0.25}}
	for name, c := range map[string]struct {
		loss    nn.FocalLoss
		targets lossTargets
	}{
		"labels":        {nn.FocalLoss{}, lossTargets{labels: labels}},
		"gamma-1":       {nn.FocalLoss{Gamma: 1}, lossTargets{labels: labels}},
		"gamma-below-1": {nn.FocalLoss{Gamma: 0.5, Sum: true}, lossTargets{labels: labels}},
		"weights":       {nn.FocalLoss{LossWeights: w}, lossTargets{labels: labels, weights: v}},
		"balanced":      {nn.FocalLoss{LossWeights: nn.LossWeights{Balanced: true}}, lossTargets{labels: labels}},
		"ignored":       {nn.FocalLoss{LossWeights: nn.LossWeights{IgnoreIndex: new(int32(1))}}, lossTargets{labels: labels}},
		"soft":          {nn.FocalLoss{Gamma: 3}, lossTargets{soft: softRows()}},
		"soft-weights":  {nn.FocalLoss{LossWeights: w}, lossTargets{soft: softRows(), weights: v}},
	} {
		t.Run(name, func(t *testing.T) { checkLoss(t, c.loss, c.targets) })
	}
}

// The statistics are those of the formula, in float64.
func TestFocalLoss(t *testing.T) {
	labels, v, w := []int32{0, 1, 3, -1, 1, 0}, []float32{1, 0.5, 2, 0, 1, 0.25}, []float32{0.5, 2, 1, 0.25}
	loss := nn.FocalLoss{Gamma: 1.5, LossWeights: nn.LossWeights{ClassWeights: w, IgnoreIndex: new(int32(-1))}}
	r := newLossRig(t, loss, lossTargets{labels: labels, weights: v})
	got := r.stats()
	outputs := download(t, r.dev, r.net.Forward(r.x, nn.Training))
	var want [device.StatsLen]float64
	for i, label := range labels {
		if label < 0 {
			continue
		}
		z, sum, best := outputs[4*i:4*i+4], 0.0, 0
		for k, x := range z {
			sum += math.Exp(float64(x))
			if x > z[best] {
				best = k
			}
		}
		p, weight := math.Exp(float64(z[label]))/sum, float64(v[i])*float64(w[label])
		want[device.StatLoss] -= weight * math.Pow(1-p, 1.5) * math.Log(p)
		want[device.StatWeight] += weight
		want[device.StatCount]++
		if best == int(label) {
			want[device.StatCorrect]++
		}
	}
	for i, x := range got {
		if math.Abs(float64(x)-want[i]) > 1e-5 {
			t.Errorf("stats are %v, want %v", got, want)
			break
		}
	}
}

// A network that is certain and right, and one that is certain and wrong: nothing overflows, and the second still
// learns.
func TestFocalLossOfLargeLogits(t *testing.T) {
	dev := newCPU(t)
	n := compile(t, dev, nn.NewSequential(nn.Dense{Out: 2, NoBias: true, Init: nn.Constant{Value: 1}}), nn.Options{
		Input: nn.Shape{2}, Batch: 2, Training: true, Loss: nn.FocalLoss{Sum: true},
	})
	upload(t, dev, n.Params()[0].Value, []float32{1, 0, 0, 1})
	labels := newLabels(t, dev, 0, 1)
	n.Forward(newTensor(t, dev, []float32{1000, 0, 1000, 0}, 2, 2), nn.Training)
	n.Loss(labels)
	n.Backward(labels)
	if stats := download(t, dev, n.Stats()); math.Abs(float64(stats[0])-1000) > 1e-2 || stats[1] != 1 {
		t.Errorf("stats are %v, want a loss of 1000 and one correct answer", stats)
	}
	// dw = x dz: -log p is taken of a p that has underflowed, so that the factor (1-p)^2 - 2 p (1-p) log p is 1.
	for i, g := range download(t, dev, n.Params()[0].Grad) {
		if want := []float32{1000, -1000, 0, 0}[i]; math.Abs(float64(g-want)) > 1e-2 {
			t.Errorf("gradient %d is %v, want %v", i, g, want)
		}
	}
}
