package nn

import (
	"trainer/nn/device"
	"trainer/nn/setting"
)

// buildActivated builds the convolution fused with an activation, on a device that has that, where neither the filters nor the
// input need a gradient: in airbench's first layer, whose filters whiten the images and stay. ok is false if the device or
// the layers don't fit.
//
//	z = conv2d(x, w) + bias        y = f(z)        dbias = sum over images and pixels of dy f'(z)
//
// z needs no memory: the backward pass computes it again from x. Nor does y, if a convolution follows for which the device computes it as
// it is needed: see buildOfActivated.
func (c Conv2D) buildActivated(b *Builder, in Shape, next Layer) (u BuiltLayer, ok bool, err error) {
	setting.Complete(&c)
	dev, ok := b.dev.(device.FusedConvActivation)
	a, active := next.(ActivationLayer)
	if !ok || !active || a.Activation().Alpha != 0 || c.NoBias || b.train && (!c.Frozen || b.NeedsInputGradient()) {
		return nil, false, nil
	}
	spec := c.spec(b, in)
	plan, err := dev.NewConv2DActivation(spec, a.Activation().Function)
	if err != nil {
		if declined(err) {
			return nil, false, nil
		}
		return nil, false, err
	}
	activated := &activatedConv2D{plan: plan}
	b.AddFLOPs(spec.FLOPs(1))
	if activated.w, activated.bias, err = c.params(b, in); err != nil {
		return nil, false, err
	}
	return activated, true, b.Output(Shape{spec.OutH(), spec.OutW(), c.OutC}, &activated.y)
}

type activatedConv2D struct {
	plan    device.ConvActivation
	w, bias *Param
	x, y    *device.Tensor
	joined  bool // the convolution after this layer does its work in training: see buildOfActivated
	hidden  bool // y of the last Forward is in no memory
}

// Forward computes y.
func (u *activatedConv2D) Forward(x *device.Tensor, mode Mode) *device.Tensor {
	u.x = x
	u.y.SetRows(x.Rows())
	if u.hidden = u.joined && mode == Training; !u.hidden {
		u.plan.Forward(u.y, x, u.w.ComputeCopy, u.bias.Value)
	}
	return u.y
}

// Backward computes dbias.
func (u *activatedConv2D) Backward(dy *device.Tensor) *device.Tensor {
	if u.bias.Grad != nil {
		u.plan.BackwardBias(u.bias.Grad, dy, u.x, u.w.ComputeCopy, u.bias.Value)
	}
	return nil
}

// buildOfActivated builds the convolution c with a pooling, joined with such a convolution before it, if the device can compute both in
// one: then in training the output of the first, and the gradient with respect to it, are in no memory. ok is false if the device or the
// layers don't fit.
func (c Conv2D) buildOfActivated(b *Builder, in Shape, spec device.Conv2DSpec, pool device.Pool2DSpec, relu bool, out Shape) (u BuiltLayer, ok bool, err error) {
	dev, joins := b.dev.(device.FusedConvOfActivation)
	pooling, pools := b.dev.(device.FusedConvPool)
	first, activated := b.previous.(*activatedConv2D)
	if !joins || !pools || !activated || !b.train || relu || spec.Bias {
		return nil, false, nil
	}
	spec.NoBackwardData = true
	plan, err := pooling.NewConv2DMaxPool(spec, pool, false)
	if declined(err) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	of, err := dev.NewConvOfActivation(first.plan, first.w.ComputeCopy, first.bias.Value, plan)
	if declined(err) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	conv, err := c.unit(b, in, spec, plan, out, nil)
	if err != nil {
		return nil, false, err
	}
	first.joined, conv.pools, conv.before, conv.of = true, true, first, of
	return conv, true, nil
}
