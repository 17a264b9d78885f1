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
// z needs no memory: the backward pass computes it again from x.
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
}

// Forward computes y.
func (u *activatedConv2D) Forward(x *device.Tensor, _ Mode) *device.Tensor {
	u.x = x
	u.y.SetRows(x.Rows())
	u.plan.Forward(u.y, x, u.w.ComputeCopy, u.bias.Value)
	return u.y
}

// Backward computes dbias.
func (u *activatedConv2D) Backward(dy *device.Tensor) *device.Tensor {
	if u.bias.Grad != nil {
		u.plan.BackwardBias(u.bias.Grad, dy, u.x, u.w.ComputeCopy, u.bias.Value)
	}
	return nil
}

// joinActivated joins the unit u, if it is a convolution, with such a convolution at the end of the units before it, if the device can
// compute the gradient of that one's bias in this one's backward pass.
func joinActivated(b *Builder, before []BuiltLayer, u BuiltLayer) error {
	dev, ok := b.dev.(device.FusedConvActivationGradient)
	conv, convolves := u.(*conv2D)
	if !ok || !convolves || !b.train || len(before) == 0 {
		return nil
	}
	first, activated := before[len(before)-1].(*activatedConv2D)
	if !activated || first.bias.Grad == nil {
		return nil
	}
	joined, err := dev.NewConvActivationGradient(first.plan, conv.plan)
	if err != nil {
		if declined(err) {
			return nil
		}
		return err
	}
	conv.before, conv.beforeBias = first, joined
	return nil
}
