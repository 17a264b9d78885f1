package nn

import (
	"fmt"

	"trainer/nn/device"
)

// mixedPrecision is what a network with 16-bit activations needs in addition (Micikevicius et al.,
// "Mixed Precision Training", ICLR 2018). It halves memory traffic and uses the faster 16-bit
// matrix units, at the price of three precautions:
//
//	w16 = round(w)               the weights themselves stay float32: lr*dw is often less than half a
//	                             unit in the last place of w16, and would be lost
//	y16 = round(sum x16 w16)     sums, normalisation's statistics and the loss are float32
//	dL' = scale dL/dlogits       float16 has nothing below 2^-24: the loss is multiplied by a scale before
//	dw  = dw'/scale              the backward pass, and the gradients by its inverse in the update rule
//
// The scale follows the gradients: if one overflows, the scale is halved and the step is skipped;
// after growthInterval steps without an overflow, the scale is doubled. bfloat16 has the range of
// float32 and needs no scale.
//
// Updates may write w16 themselves (device.OptimizerParam.Copy), and the check of the gradients may convert them: see
// KeepOperands and LossScalingSpec.Sources.
//
// Code: nn/device/reference/lossscaling.go (the formula in loops), kernels/scaling.cu, kernels/cast.cu. Test:
// nn/device/devicetest/scaling.go.
type mixedPrecision struct {
	operands  device.CastList // w16 = round(w), of all layers
	gradients device.CastList // dw = float32(dw16); nil in inference, and if scaling does that
	logits    *device.Tensor  // float32 [batch, classes]
	toFloat32 device.Cast     // converts the logits
	dlogits   *device.Tensor  // 16 bits [batch, classes]; nil in inference
	toHalf    device.Cast     // converts their gradient

	scaling device.LossScaling // nil without loss scaling
	state   *device.Tensor     // float32 [device.ScalingLen]; nil without loss scaling
	first   float32            // the initial scale

	kept    bool // updates write w16, see KeepOperands
	current bool // w16 is round(w); matters only if kept
}

// growthInterval is the number of good steps after which the scale is doubled.
const growthInterval = 2000

// checkDType returns an error unless the device supports activations of this type. It is called before any layer is
// built, because no layer is at fault.
func checkDType(dev device.Device, dtype device.DType) error {
	switch dtype {
	case device.Float32:
		return nil
	case device.Float16, device.BFloat16:
		if _, ok := dev.(device.MixedPrecision); !ok {
			return fmt.Errorf("activations in %v: %s has only %v: %w", dtype, dev.Name(), device.Float32, device.ErrNotSupported)
		}
		return nil
	}
	return fmt.Errorf("activations in %v: want %v, %v or %v", dtype, device.Float32, device.Float16, device.BFloat16)
}

// buildMixed allocates what 16-bit storage needs, once all layers are built.
func (n *Network) buildMixed(b *Builder) (err error) {
	if b.dtype == device.Float32 {
		return nil
	}
	dev := n.dev.(device.MixedPrecision) // see checkDType
	m := &mixedPrecision{}
	n.mixed = m
	scales := b.train && b.dtype == device.Float16
	// The check of the gradients converts them, unless something comes between the two.
	widens := scales && !n.opt.Accumulate && !n.opt.Thaws && n.opt.Shards == 0
	if err := m.buildOperands(dev, b.params, !widens); err != nil {
		return err
	}
	if m.logits, err = b.Tensor(device.Float32, b.batch, n.classes); err != nil {
		return err
	}
	if m.toFloat32, err = n.dev.NewCast(device.CastSpec{From: b.dtype, To: device.Float32, Len: m.logits.Len()}); err != nil || !b.train {
		return err
	}
	if m.dlogits, err = b.Tensor(b.dtype, b.batch, n.classes); err != nil {
		return err
	}
	if m.toHalf, err = n.dev.NewCast(device.CastSpec{From: device.Float32, To: b.dtype, Len: m.logits.Len()}); err != nil {
		return err
	}
	if !scales {
		return nil
	}
	return m.buildScaling(b, dev, n.opt.Loss, widens)
}

// buildOperands makes the conversions between parameters and the copies that products read, and those of gradients if wanted.
func (m *mixedPrecision) buildOperands(dev device.MixedPrecision, params []*Param, widen bool) (err error) {
	var operands, gradients device.CastListSpec
	for _, p := range params {
		if p.ComputeCopy != p.Value {
			operands.Dst, operands.Src = append(operands.Dst, p.ComputeCopy), append(operands.Src, p.Value)
		}
		if p.LowPrecisionGrad != p.Grad {
			gradients.Dst, gradients.Src = append(gradients.Dst, p.Grad), append(gradients.Src, p.LowPrecisionGrad)
		}
	}
	if m.operands, err = dev.NewCastList(operands); err != nil || len(gradients.Dst) == 0 || !widen {
		return err
	}
	m.gradients, err = dev.NewCastList(gradients)
	return err
}

// buildScaling makes the loss scaling for all trained parameters, which converts their gradients if widen is set.
func (m *mixedPrecision) buildScaling(b *Builder, dev device.MixedPrecision, loss Loss, widen bool) (err error) {
	if m.state, err = b.Tensor(device.Float32, device.ScalingLen); err != nil {
		return err
	}
	m.first = firstScale(loss.Summed(), b.batch)
	if err := m.restart(b.dev); err != nil {
		return err
	}
	spec := device.LossScalingSpec{State: m.state, Interval: growthInterval}
	for _, p := range b.params {
		if p.Grad != nil {
			p.Scaling = m.state
			spec.Grads = append(spec.Grads, p.StepGrad())
			var source *device.Tensor
			if widen && p.LowPrecisionGrad != p.Grad {
				source = p.LowPrecisionGrad
			}
			spec.Sources = append(spec.Sources, source)
		}
	}
	m.scaling, err = dev.NewLossScaling(spec)
	return err
}

// restart sets the loss scale to its initial value, if there is one, and has the weights rounded again.
func (m *mixedPrecision) restart(dev device.Device) error {
	if m == nil {
		return nil
	}
	m.current = false
	if m.state == nil {
		return nil
	}
	state := [device.ScalingLen]float32{device.ScalingScale: m.first, device.ScalingInverse: 1 / m.first}
	if err := dev.Upload(m.state, device.Bytes(state[:])); err != nil {
		return fmt.Errorf("initialising the loss scale: %w", err)
	}
	return nil
}

// firstScale returns the initial scale. If the loss is a sum, the gradient of an example's loss with respect to its
// logits is about 1, which float16 represents well; if the loss is a mean, the gradient is about 1/batch, and the scale
// makes up for that. The scale is a power of two, so that scaling rounds nothing. With a larger initial scale the first
// steps might overflow and be skipped.
func firstScale(summed bool, batch int) float32 {
	scale := float32(1)
	if !summed {
		for int(scale) < batch {
			scale *= 2
		}
	}
	return scale
}

// prepare queues w16 = round(w) before a forward pass, unless updates do that.
func (m *mixedPrecision) prepare(mode Mode) {
	if mode == Training && m.kept {
		return
	}
	m.operands.Run()
	m.current = false // the weights may be others for an evaluation only
}

// KeepOperands says that every update writes the copies of the weights that products read, Param.ComputeCopy, where these are not
// the weights themselves. RefreshOperands must then be called before each training batch, and before the work of a batch is
// recorded; forward passes in Training don't round the weights any more.
func (n *Network) KeepOperands() {
	if n.mixed != nil {
		n.mixed.kept = true
	}
}

// RefreshOperands rounds the weights for KeepOperands, if they may have been changed by something else than an update since:
// before the first batch, after a forward pass in Inference, and after WeightsChanged.
func (n *Network) RefreshOperands() {
	if m := n.mixed; m != nil && m.kept && !m.current {
		m.operands.Run()
		m.current = true
	}
}

// WeightsChanged must be called during a training with KeepOperands when something else than an update has changed weights.
func (n *Network) WeightsChanged() {
	if n.mixed != nil {
		n.mixed.current = false
	}
}

// widen queues the conversion of the last layer's output to float32, and returns the float32 tensor.
func (m *mixedPrecision) widen(y *device.Tensor) *device.Tensor {
	m.logits.SetRows(y.Rows())
	m.toFloat32.Run(m.logits, y)
	return m.logits
}

// narrow queues the conversion of the loss's gradient to 16 bits, and returns the 16-bit tensor.
func (m *mixedPrecision) narrow(dlogits *device.Tensor) *device.Tensor {
	m.dlogits.SetRows(dlogits.Rows())
	m.toHalf.Run(m.dlogits, dlogits)
	return m.dlogits
}

// widenGradients queues dw = float32(dw16).
func (m *mixedPrecision) widenGradients() {
	if m.gradients != nil {
		m.gradients.Run()
	}
}
