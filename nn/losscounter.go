package nn

import "trainer/nn/device"

// LossCounter keeps the statistics of a loss that is composed of small plans: the number of correct answers, the number
// of examples, and the sum of their weights. A loss that is one plan of the device needs no LossCounter.
type LossCounter struct {
	dev     device.Device
	counts  device.Loss    // only its counts are used, not its loss
	batch   *device.Tensor // stats of the batch, float32 [device.StatsLen]
	inverse *device.Tensor // 1/batch

	addCounts, addLoss, invert device.Map
	allButLoss, onlyLoss       *device.Tensor // float32 [device.StatsLen], masks of zeros and ones
}

// LossCounter returns a counter for a loss with these weights.
func (b *Builder) LossCounter(in LossInput, w LossWeights) (*LossCounter, error) {
	c := &LossCounter{dev: b.dev}
	spec, err := w.spec(b, in, device.LossSpec{Kind: device.SoftmaxCrossEntropy, Sum: true})
	if err != nil {
		return nil, err
	}
	if c.counts, err = b.dev.NewLoss(spec); err != nil {
		return nil, err
	}
	for _, t := range []struct {
		dst    **device.Tensor
		values [device.StatsLen]float32
	}{
		{&c.batch, [device.StatsLen]float32{}}, {&c.inverse, [device.StatsLen]float32{}},
		{&c.allButLoss, [device.StatsLen]float32{device.StatCorrect: 1, device.StatCount: 1, device.StatWeight: 1}},
		{&c.onlyLoss, [device.StatsLen]float32{device.StatLoss: 1}},
	} {
		if *t.dst, err = b.Constant(t.values[:], device.StatsLen); err != nil {
			return nil, err
		}
	}
	return c, c.maps(b)
}

func (c *LossCounter) maps(b *Builder) (err error) {
	shape := device.MapSpec{Batch: 1, Rows: 1, C: device.StatsLen}
	add := shape
	add.Kind, add.B, add.Alpha, add.Accumulate = device.MapMul, device.AllAxes, 1, true
	if c.addCounts, err = b.dev.NewMap(add); err != nil {
		return err
	}
	add.B = device.NoAxes
	if c.addLoss, err = b.dev.NewMap(add); err != nil {
		return err
	}
	shape.Kind, shape.Alpha, shape.Beta = device.MapReciprocal, 1, 1e-30
	c.invert, err = b.dev.NewMap(shape)
	return err
}

// Add adds the batch to stats: the counts, and the first element of loss, float32, which is the sum of the examples'
// losses times their weights. A loss calls it at the end of Forward.
func (c *LossCounter) Add(stats, loss, outputs, targets, weights *device.Tensor) {
	c.count(outputs, targets, weights)
	c.addCounts.Run(stats, c.batch, c.allButLoss)
	c.addLoss.Run(stats, c.onlyLoss, loss)
}

// InverseWeight returns a tensor whose element device.StatWeight is 1/W, where W is the sum of the weights by which the
// mean over the batch is divided. Backward multiplies the gradient by this element. If every example has weight 0 the
// element is a large finite number, and 0 times it is still 0. The next call overwrites the tensor.
func (c *LossCounter) InverseWeight(outputs, targets, weights *device.Tensor) *device.Tensor {
	c.count(outputs, targets, weights)
	c.invert.Run(c.inverse, c.batch, nil)
	return c.inverse
}

func (c *LossCounter) count(outputs, targets, weights *device.Tensor) {
	c.dev.Zero(c.batch)
	c.counts.Forward(c.batch, outputs, targets, weights)
}
