package nn

import "trainer/nn/device"

// activationLayer is a layer that applies one function to every element:
//
//	y = f(x)        dx = dy f'(x)
//
// Each function has a file of its own, with formula and derivative.
type activationLayer interface {
	Layer
	activation() device.ActivationSpec
}

// isReLU reports whether a layer can be fused as ReLU.
func isReLU(l Layer) bool {
	a, ok := l.(activationLayer)
	return ok && a.activation().Kind == device.ReLU
}

// buildActivation allocates the output of an elementwise function.
func buildActivation(b *Builder, in Shape, spec device.ActivationSpec) (BuiltLayer, error) {
	spec.Len, spec.DType = b.batch*in.Len(), b.dtype
	plan, err := b.dev.NewActivation(spec)
	if err != nil {
		return nil, err
	}
	u := &activation{plan: plan, needs: b.NeedsInputGradient()}
	return u, b.Output(in, &u.y)
}

type activation struct {
	plan  device.Activation
	x, y  *device.Tensor
	needs bool // something before is trained
}

// Forward computes y = f(x).
func (u *activation) Forward(x *device.Tensor, _ Mode) *device.Tensor {
	u.x = x
	u.y.SetRows(x.Rows())
	u.plan.Forward(u.y, x)
	return u.y
}

// Backward computes dx = dy f'(x) in place of dy.
func (u *activation) Backward(dy *device.Tensor) *device.Tensor {
	if !u.needs {
		return nil
	}
	u.plan.Backward(dy, dy, u.x, u.y)
	return dy
}
