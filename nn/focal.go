package nn

import (
	"fmt"
	"math"

	"trainer/nn/device"
	"trainer/nn/explain"
	"trainer/nn/setting"
)

// FocalLoss is a cross-entropy in which an example counts less the better it is predicted, so that many easy examples
// don't outweigh a few hard ones (Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017, equation 4, there
// with a sigmoid).
//
// Shapes: outputs z [n, classes], labels [n] or probabilities [n, classes]. For one example with the target t, 1 at the
// label and 0 elsewhere, p = softmax(z) and the focusing parameter g:
//
//	L = -sum_k t[k] (1-p[k])^g log p[k]
//
// That is the cross-entropy of the target a[k] = t[k] (1-p[k])^g, if a is held fixed.
//
// Backward. With h(p) = -(1-p)^g log p and dp[k]/dz[j] = p[k] ([k = j] - p[j]),
//
//	dz[j] = sum_k t[k] h'(p[k]) p[k] ([k = j] - p[j]) = (sum_k c[k]) p[j] - c[j]
//
// with c[k] = -t[k] h'(p[k]) p[k] = t[k] ((1-p[k])^g - g p[k] (1-p[k])^(g-1) log p[k]): the gradient of the
// cross-entropy of the target c. So both passes are those of the cross-entropy, with different targets. Class weights
// multiply t.
type FocalLoss struct {
	Gamma float32 // g, above 0; 0 means 2
	Sum   bool    // the batch's total is the sum instead of the mean
	LossWeights
}

func focalKind() LossKind {
	return LossKind{Name: "focal", Doc: "cross-entropy that counts well predicted examples less", New: func() Loss { return FocalLoss{} }}
}

// Settings declares the keys of recipes.
func (l *FocalLoss) Settings(s *setting.List) {
	s.Float32(&l.Gamma, "gamma", 2, setting.Positive, "focusing parameter: how much less well predicted examples count")
	s.Bool(&l.Sum, "sum", "add up the batch's losses instead of taking their mean")
	l.declare(s)
}

// Kind returns "focal".
func (FocalLoss) Kind() string { return "focal" }

// Summed reports whether the batch's total is the sum.
func (l FocalLoss) Summed() bool { return l.Sum }

// focal is a focal loss that has been built.
type focal struct {
	spec       FocalLoss
	counter    *LossCounter
	entropy    device.Loss // of soft targets, summed
	softmax    device.Softmax
	oneHot     device.Gather // nil with soft targets
	weigh      device.Map    // t = w*targets; nil with labels, or without class weights
	rest       device.Map    // 1 - p
	log        device.Map
	power      device.Map // (1-p)^g
	lower      device.Map // (1-p)^(g-1)
	multiply   device.Map
	difference device.Map // a - g b
	divide     device.Map // by W

	rows    *device.Tensor // with labels: float32 [classes, classes], the weighted one-hot row of each class
	columns *device.Tensor // with soft targets: float32 [classes], the class weights; or nil
	sum     *device.Tensor // float32 [device.StatsLen], whose first element is the batch's loss

	// float32 [batch, classes]
	p, target, q, f, g *device.Tensor
}

// Build makes the plans.
func (l FocalLoss) Build(b *Builder, in LossInput) (BuiltLoss, error) {
	if err := setting.Check(&l); err != nil {
		return nil, err
	}
	u := &focal{spec: setting.Completed(l)}
	var err error
	if u.counter, err = b.LossCounter(in, l.LossWeights); err != nil {
		return nil, err
	}
	if u.entropy, err = b.Device().NewLoss(device.LossSpec{
		Kind: device.SoftmaxCrossEntropy, N: b.Batch(), Classes: in.Classes, SoftTargets: true, Weights: in.Weights, Sum: true, Scaling: b.LossScaling(),
	}); err != nil {
		return nil, err
	}
	if err := u.tensors(b, in); err != nil {
		return nil, err
	}
	return u, u.plans(b, in)
}

// tensors allocates the buffers.
func (u *focal) tensors(b *Builder, in LossInput) error {
	for _, t := range []**device.Tensor{&u.p, &u.target, &u.q, &u.f, &u.g} {
		var err error
		if *t, err = b.Tensor(device.Float32, b.Batch(), in.Classes); err != nil {
			return err
		}
	}
	w, err := u.spec.classWeights(b, in.Classes)
	if err != nil {
		return err
	}
	if u.sum, err = b.Tensor(device.Float32, device.StatsLen); err != nil {
		return err
	}
	if in.SoftTargets {
		if w != nil {
			u.columns, err = b.Constant(w, in.Classes)
		}
		return err
	}
	rows := make([]float32, in.Classes*in.Classes)
	for k := range in.Classes {
		switch {
		case u.spec.Ignores(int32(k)):
		case w == nil:
			rows[k*in.Classes+k] = 1
		default:
			rows[k*in.Classes+k] = w[k]
		}
	}
	u.rows, err = b.Constant(rows, in.Classes, in.Classes)
	return err
}

// plans makes the small plans.
func (u *focal) plans(b *Builder, in LossInput) (err error) {
	dev, n, classes, g := b.Device(), b.Batch(), in.Classes, u.spec.Gamma
	if u.softmax, err = dev.NewSoftmax(device.SoftmaxSpec{N: n, Classes: classes}); err != nil {
		return err
	}
	if !in.SoftTargets {
		if u.oneHot, err = dev.NewGather(device.GatherSpec{Rows: n, XRows: classes, RowLen: classes}); err != nil {
			return err
		}
	}
	const tiny = 0x1p-126 // the smallest normal float32: p may underflow to 0, whose logarithm is infinite
	const unit = 0x1p-23  // keeps 1-p above 0 if p rounds to 1
	maps := []struct {
		plan *device.Map
		spec device.MapSpec
	}{
		{&u.rest, device.MapSpec{Kind: device.MapAffine, Alpha: -1, Beta: 1 + unit}},
		{&u.log, device.MapSpec{Kind: device.MapLog, Alpha: 1, Beta: tiny}},
		{&u.power, device.MapSpec{Kind: device.MapExp, Alpha: g}},
		{&u.lower, device.MapSpec{Kind: device.MapExp, Alpha: g - 1}},
		{&u.multiply, device.MapSpec{Kind: device.MapMul, B: device.AllAxes, Alpha: 1}},
		{&u.difference, device.MapSpec{Kind: device.MapAdd, B: device.AllAxes, Alpha: 1, Beta: -g}},
		{&u.divide, device.MapSpec{Kind: device.MapMul, B: device.NoAxes, BIndex: device.StatWeight, Alpha: 1}},
		{&u.weigh, device.MapSpec{Kind: device.MapMul, B: device.AxisC, Alpha: 1}},
	}
	for _, m := range maps {
		m.spec.Batch, m.spec.Rows, m.spec.C = n, 1, classes
		if *m.plan, err = dev.NewMap(m.spec); err != nil {
			return err
		}
	}
	return nil
}

// prepare computes p, the weighted target in target, log(1-p) in q, and (1-p)^g in f.
func (u *focal) prepare(outputs, targets *device.Tensor) {
	for _, t := range []*device.Tensor{u.p, u.target, u.q, u.f, u.g} {
		t.SetRows(outputs.Rows())
	}
	u.softmax.Forward(u.p, outputs)
	u.rest.Run(u.q, u.p, nil)
	u.log.Run(u.q, u.q, nil)
	u.power.Run(u.f, u.q, nil)
	switch {
	case u.oneHot != nil:
		u.oneHot.Run(u.target, u.rows, targets)
	case u.columns != nil:
		u.weigh.Run(u.target, targets, u.columns)
	default:
		u.counter.dev.Copy(u.target, targets)
	}
}

func (u *focal) Forward(stats, outputs, targets, weights *device.Tensor) {
	u.prepare(outputs, targets)
	u.multiply.Run(u.f, u.f, u.target)
	u.counter.dev.Zero(u.sum)
	u.entropy.Forward(u.sum, outputs, u.f, weights)
	u.counter.Add(stats, u.sum, outputs, targets, weights)
}

func (u *focal) Backward(doutputs, outputs, targets, weights *device.Tensor) {
	u.prepare(outputs, targets)
	u.lower.Run(u.g, u.q, nil)
	u.multiply.Run(u.g, u.g, u.p)
	u.log.Run(u.p, u.p, nil)
	u.multiply.Run(u.g, u.g, u.p)
	u.difference.Run(u.f, u.f, u.g)
	u.multiply.Run(u.f, u.f, u.target)
	if !u.spec.Sum {
		u.divide.Run(u.f, u.f, u.counter.InverseWeight(outputs, targets, weights))
	}
	u.entropy.Backward(doutputs, outputs, u.f, weights)
}

// Explain describes the loss of one example, divided by its target's weight unless the batch's total is a sum. With a
// label t, a and c have one element that is not 0.
func (l FocalLoss) Explain(classes int, counts []int) (explain.Loss, error) {
	setting.Complete(&l)
	w, err := l.explainedWeights(classes, counts)
	if err != nil {
		return explain.Loss{}, err
	}
	g := float64(l.Gamma)
	target := func(z []float64, label int) (log, p, weight float64) {
		log = z[label] - logSumExp(z)
		weight = 1
		if l.Sum {
			weight = w[label]
		}
		return log, math.Exp(log), weight
	}
	return explain.Loss{
		Softmax: true,
		Formula: explain.Formula{Forward: "L = -sum_k t[k] (1-p[k])^g log p[k]", Backward: "dz[j] = sum_k t[k] h'(p[k]) p[k] ([k = j] - p[j]) = (sum_k c[k]) p[j] - c[j]"},
		Terms: func(z []float64, label int) []explain.Summand {
			log, p, weight := target(z, label)
			return []explain.Summand{{Label: fmt.Sprintf("-(1-p[%d])^g log p[%d]", label, label), Value: -weight * math.Pow(1-p, g) * log, Output: label}}
		},
		Gradient: func(z []float64, label, k int) []explain.Summand {
			log, p, weight := target(z, label)
			c := weight * (math.Pow(1-p, g) - g*p*math.Pow(1-p, g-1)*log)
			terms := []explain.Summand{{Label: fmt.Sprintf("c[%d] p[%d]", label, k), Value: c * math.Exp(z[k]-logSumExp(z)), Output: k}}
			if k == label {
				terms = append(terms, explain.Summand{Label: fmt.Sprintf("-c[%d]", k), Value: -c, Output: k})
			}
			return terms
		},
	}, nil
}
