package nn

import "trainer/nn/device"

// How batch normalisation shares its passes over memory with a max pooling beside it, on a device that has that
// (device.FusedPoolBatchNorm), and with a convolution before that (device.FusedConvPoolBatchNorm). The formulas are those of the
// layers.
//
// A pooling before it stays a layer of its own, with its output, which is the normalisation's x; but in training the
// normalisation computes this output as it sums up the moments, and gives back the gradient with respect to the pooling's
// input. So does a convolution that pools; it gets the gradient that its own backward passes take. A pooling after it and an
// activation becomes one with it: the normalised images, and their gradient, then are in no memory.

// joinPooling joins the unit u, if it is a batch normalisation that is trained, with the unit before it, if that is a max pooling or a
// convolution that pools, and if the device can do that.
func joinPooling(b *Builder, before, u BuiltLayer) error {
	norm, normalizes := u.(*batchNorm)
	if !normalizes || !b.train || !norm.needs || norm.freeze != nil {
		return nil
	}
	switch last := before.(type) {
	case *pool2D:
		return joinPool(b, last, norm)
	case *conv2D:
		return joinConvPool(b, last, norm)
	}
	return nil
}

// joinPool joins a max pooling and a normalisation.
func joinPool(b *Builder, pool *pool2D, norm *batchNorm) error {
	dev, ok := b.dev.(device.FusedPoolBatchNorm)
	if !ok || !pool.max {
		return nil
	}
	joined, err := dev.NewPoolBatchNorm(pool.plan, norm.plan)
	if err != nil {
		if declined(err) {
			return nil
		}
		return err
	}
	pool.joined, norm.before, norm.joined = true, pool, joined
	return nil
}

// joinConvPool joins a convolution that pools and a normalisation.
func joinConvPool(b *Builder, conv *conv2D, norm *batchNorm) error {
	dev, ok := b.dev.(device.FusedConvPoolBatchNorm)
	if !ok || !conv.pools || conv.bias.Value != nil {
		return nil
	}
	plan, _ := conv.forward(Training)
	joined, err := dev.NewConvPoolBatchNorm(plan, norm.plan)
	if err != nil {
		if declined(err) {
			return nil
		}
		return err
	}
	conv.joined, norm.conv, norm.joinedConv = true, conv, joined
	return nil
}

// buildPooled builds the normalisation with the function f and a pooling after it. ok is false if next is no max pooling,
// or if the device doesn't support that.
func (l BatchNorm) buildPooled(b *Builder, in Shape, f *device.Function, next Layer) (u BuiltLayer, ok bool, err error) {
	dev, fuses := b.dev.(device.FusedPoolBatchNorm)
	pool, pools := next.(MaxPool2D)
	if !fuses || !pools || len(in) != 3 {
		return nil, false, nil
	}
	out, err := pool.OutputShape(in)
	if err != nil {
		return nil, false, nil // building the pooling by itself reports the error, with the pooling's name
	}
	plan, err := dev.NewBatchNormPool(l.spec(b, in), f, pool.pooling().spec(b, in))
	if err != nil {
		if declined(err) {
			return nil, false, nil
		}
		return nil, false, err
	}
	norm, err := l.unit(b, in, plan, out)
	if err != nil {
		return nil, false, err
	}
	if b.train {
		b.claim(in, &norm.dx)
	}
	return norm, true, nil
}
