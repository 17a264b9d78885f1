package nn

import "trainer/nn/device"

// ActivationLayer is a layer that applies one function to every element:
//
//	y = f(x)        dx = dy f'(x)
//
// Each function has a file of its own, with the formula and the derivative. A layer of another package that
// has this method, and calls BuildActivation, is fused like the built-in ones.
type ActivationLayer interface {
	Layer
	// Activation returns the function and its alpha; Len and DType are left open.
	Activation() device.ActivationSpec
}

// Activations returns every activation of LayerKinds, one for each function: GELU has two.
func Activations() []ActivationLayer {
	var all []ActivationLayer
	for _, k := range LayerKinds() {
		l := k.New()
		if a, ok := l.(ActivationLayer); ok {
			all = append(all, a)
		}
		if v, ok := l.(interface{ variants() []ActivationLayer }); ok {
			all = append(all, v.variants()...)
		}
	}
	return all
}

// Functions returns the function of each activation: what devices are tested with.
func Functions() []*device.Function {
	var all []*device.Function
	for _, a := range Activations() {
		all = append(all, a.Activation().Function)
	}
	return all
}

// isReLU reports whether a layer can be fused as ReLU.
func isReLU(l Layer) bool {
	a, ok := l.(ActivationLayer)
	return ok && a.Activation().Function.Name == reluFunction.Name
}

// BuildActivation makes the plan of an elementwise function of inputs of the shape, and allocates the output.
func BuildActivation(b *Builder, in Shape, spec device.ActivationSpec) (BuiltLayer, error) {
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
	needs bool // a layer before this one is trained
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
