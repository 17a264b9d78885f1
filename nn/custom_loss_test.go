package nn_test

import (
	"math"
	"testing"

	"trainer/nn"
	"trainer/nn/device"
)

// huber is a loss from outside the package: the squared distance from the target where it is small, its
// absolute value where it is large (Huber, "Robust Estimation of a Location Parameter", 1964). For one example with outputs
// z, target t, and d = z - t:
//
//	L = sum_k h(d[k])      h(d) = d^2/2 where |d| <= 1, otherwise |d| - 1/2
//
// With c = d, limited to [-1, 1], both cases of h are c (d - c/2), and its derivative is c:
//
//	dz[k] = c[k]
//
// divided by the sum of the weights for the mean over the batch.
type huber struct{}

func (huber) Kind() string { return "huber" }
func (huber) Summed() bool { return false }

func (huber) Build(b *nn.Builder, in nn.LossInput) (nn.BuiltLoss, error) {
	u := &builtHuber{soft: in.SoftTargets, scale: b.LossScaling()}
	var err error
	if u.counter, err = b.LossCounter(in, nn.LossWeights{}); err != nil {
		return nil, err
	}
	dev, n, k := b.Device(), b.Batch(), in.Classes
	if u.oneHot, err = dev.NewGather(device.GatherSpec{Rows: n, XRows: k, RowLen: k}); err != nil {
		return nil, err
	}
	if u.total, err = dev.NewReduce(device.ReduceSpec{Kind: device.ReduceSumProducts, Batch: n, Rows: 1, C: k}); err != nil {
		return nil, err
	}
	for plan, s := range map[*device.Map]device.MapSpec{
		&u.subtract: {Kind: device.MapAdd, B: device.AllAxes, Alpha: 1, Beta: -1},
		&u.half:     {Kind: device.MapAdd, B: device.AllAxes, Alpha: 1, Beta: -0.5},
		&u.most:     {Kind: device.MapMin, B: device.NoAxes, Alpha: 1, Beta: 1},
		&u.least:    {Kind: device.MapMax, B: device.NoAxes, Alpha: 1, Beta: -1},
		&u.weigh:    {Kind: device.MapMul, B: device.AxisBatch, Alpha: 1},
		&u.divide:   {Kind: device.MapMul, B: device.NoAxes, BIndex: device.StatWeight, Alpha: 1},
		&u.scaled:   {Kind: device.MapMul, B: device.NoAxes, BIndex: device.ScalingScale, Alpha: 1},
	} {
		s.Batch, s.Rows, s.C = n, 1, k
		if *plan, err = dev.NewMap(s); err != nil {
			return nil, err
		}
	}
	identity := make([]float32, k*k)
	for i := range k {
		identity[i*k+i] = 1
	}
	if u.rows, err = b.Constant(identity, k, k); err != nil {
		return nil, err
	}
	if u.one, err = b.Constant([]float32{1}, 1); err != nil {
		return nil, err
	}
	if u.sum, err = b.Tensor(device.Float32, 1); err != nil {
		return nil, err
	}
	for _, t := range []**device.Tensor{&u.t, &u.d, &u.c} {
		if *t, err = b.Tensor(device.Float32, n, k); err != nil {
			return nil, err
		}
	}
	return u, nil
}

type builtHuber struct {
	soft    bool
	counter *nn.LossCounter
	oneHot  device.Gather
	total   device.Reduce

	subtract, half, most, least, weigh, divide, scaled device.Map
	rows, one, scale                                   *device.Tensor
	sum                                                *device.Tensor // float32 [1]
	t, d, c                                            *device.Tensor // float32 [batch, classes]
}

// limit computes d = z - t, and c = min(max(d, -1), 1) in the tensor dst.
func (u *builtHuber) limit(dst, outputs, targets *device.Tensor) {
	u.t.SetRows(outputs.Rows())
	u.d.SetRows(outputs.Rows())
	if !u.soft {
		u.oneHot.Run(u.t, u.rows, targets)
		targets = u.t
	}
	u.subtract.Run(u.d, outputs, targets)
	u.most.Run(dst, u.d, u.one)
	u.least.Run(dst, dst, u.one)
}

func (u *builtHuber) Forward(stats, outputs, targets, weights *device.Tensor) {
	u.c.SetRows(outputs.Rows())
	u.limit(u.c, outputs, targets)
	u.half.Run(u.d, u.d, u.c)
	if weights != nil {
		u.weigh.Run(u.c, u.c, weights)
	}
	u.total.Run(u.sum, u.c, u.d)
	u.counter.Add(stats, u.sum, outputs, targets, weights)
}

func (u *builtHuber) Backward(doutputs, outputs, targets, weights *device.Tensor) {
	u.limit(doutputs, outputs, targets)
	if weights != nil {
		u.weigh.Run(doutputs, doutputs, weights)
	}
	u.divide.Run(doutputs, doutputs, u.counter.InverseWeight(outputs, targets, weights))
	if u.scale != nil {
		u.scaled.Run(doutputs, doutputs, u.scale)
	}
}

func TestCustomLoss(t *testing.T) {
	for name, targets := range map[string]lossTargets{
		"labels": {labels: []int32{0, 1, 3, 0, 1, 0}}, "soft": {soft: softRows()},
		"weights": {labels: []int32{0, 1, 3, 0, 1, 0}, weights: []float32{1, 0.5, 2, 0, 1, 0.25}},
	} {
		t.Run(name, func(t *testing.T) { checkLoss(t, huber{}, targets) })
	}
}

// Of d = -2 and 0.5 with label 1, h is 1.5 and 0.125; half of the mean's gradient is -1 and 0.5, limited. The answer is
// right.
func TestCustomLossByHand(t *testing.T) {
	dev := newCPU(t)
	n := compile(t, dev, nn.Scale{By: 1}, nn.Options{Input: nn.Shape{2}, Batch: 3, Training: true, Loss: huber{}})
	labels := newLabels(t, dev, 1, 0)
	n.Forward(newTensor(t, dev, []float32{-2, 1.5, 0, 0}, 2, 2), nn.Training)
	n.Loss(labels)
	stats := download(t, dev, n.Stats())
	want := []float32{1.5 + 0.125 + 0.5, 2, 2, 2}
	for i, v := range stats {
		if math.Abs(float64(v-want[i])) > 1e-6 {
			t.Errorf("stats are %v, want %v", stats, want)
		}
	}
	n.Backward(labels)
}
