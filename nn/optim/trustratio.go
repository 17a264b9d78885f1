package optim

import "trainer/nn/device"

// A large batch wants a large learning rate, with which the first steps of some layers are larger than their weights, and of
// others much smaller. LARS and LAMB therefore make the length of a layer's step follow the length of its weights:
//
//	ratio = scale |w| / |d|                1 if either norm is 0
//
// |.| is the Euclidean norm of a whole parameter, and d the direction of the step. Biases, and the scales and shifts of
// normalisation, are left out, as usual: a bias may well begin at zero. They are the parameters of one dimension.

// adapts reports whether a layer-wise rule adapts the parameter's steps.
func adapts(p Param) bool { return len(p.Value.Shape()) > 1 }

// trustRatio adds the computation of scale*|w|/(|d| + decay*|w|), or 1 if |w| or |d| is 0, and returns its one-element tensor. one
// holds the number 1.
func (u *Update) trustRatio(p Param, d, one *device.Tensor, scale, decay float64) *device.Tensor {
	weights, length, ratio := u.Scratch(1), u.Scratch(1), u.Scratch(1)
	u.Norm(weights, p.Value)
	u.Norm(length, d)
	u.Map(ratio, device.MapSpec{Kind: device.MapAdd, B: device.AllAxes, Alpha: 1, Beta: float32(decay)}, length, weights)
	u.Map(ratio, device.MapSpec{Kind: device.MapDiv, B: device.AllAxes, Alpha: float32(scale)}, weights, ratio)
	for _, norm := range []*device.Tensor{weights, length} {
		u.Map(ratio, device.MapSpec{Kind: device.MapSelect, B: device.NoAxes}, one, norm) // 1 if the norm is 0
	}
	return ratio
}

// constant returns a tensor of one element.
func (u *Update) constant(value float32) *device.Tensor {
	if u.err != nil {
		return nil
	}
	t, err := u.o.tensor(1)
	if err != nil {
		u.fail(err)
		return nil
	}
	u.Fill(t, value)
	return t
}
