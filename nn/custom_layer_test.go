package nn_test

import (
	"testing"

	"trainer/nn"
	"trainer/nn/device"
)

// gain is a layer from outside the package: y = g x, with one g for all, learnt.
//
//	dg = sum_i dy[i] x[i]        dx = g dy
//
// The device can compute all three as matrix products, with x as [elements, 1] and g as [1, 1].
type gain struct{}

func (gain) Kind() string                              { return "gain" }
func (gain) OutputShape(in nn.Shape) (nn.Shape, error) { return in, nil }

func (gain) Build(b *nn.Builder, in nn.Shape) (nn.BuiltLayer, error) {
	n := b.Batch() * in.Len()
	u := &gainUnit{}
	var err error
	if u.product, err = b.Device().NewMatMul(device.MatMulSpec{M: n, N: 1, K: 1}); err != nil {
		return nil, err
	}
	if u.inner, err = b.Device().NewMatMul(device.MatMulSpec{M: 1, N: 1, K: n, TransA: true}); err != nil {
		return nil, err
	}
	b.AddFLOPs(int64(in.Len()))
	b.InputGradient(in, &u.dx)
	if u.g, err = b.Param(nn.ParamSpec{
		Name: "weight", Role: nn.Gain, Shape: []int{1, 1}, Init: nn.Constant{Value: 3}, FanIn: 1, FanOut: 1,
	}); err != nil {
		return nil, err
	}
	return u, b.Output(in, &u.y)
}

type gainUnit struct {
	product, inner device.MatMul
	g              *nn.Param
	x, y, dx       *device.Tensor
}

func column(t *device.Tensor) *device.Tensor { return t.View(t.Len(), 1) }

func (u *gainUnit) Forward(x *device.Tensor, _ nn.Mode) *device.Tensor {
	u.x = x
	u.y.SetRows(x.Rows())
	u.product.Run(column(u.y), column(x), u.g.Value, nil)
	return u.y
}

func (u *gainUnit) Backward(dy *device.Tensor) *device.Tensor {
	u.inner.Run(u.g.Grad, column(u.x), column(dy), nil)
	if u.dx == nil {
		return nil
	}
	u.dx.SetRows(dy.Rows())
	u.product.Run(column(u.dx), column(dy), u.g.Value, nil)
	return u.dx
}

func TestCustomLayer(t *testing.T) {
	dev := newCPU(t)
	checkLayer(t, dev, gain{}, nn.Shape{3, 3, 2})
	model := nn.NewSequential(gain{}, nn.Flatten{}, nn.Named("last", gain{}))
	n := compile(t, dev, model, nn.Options{Input: nn.Shape{1, 2, 1}, Batch: 1, Training: true, Loss: nn.CrossEntropy{}})
	y := download(t, dev, n.Forward(newTensor(t, dev, []float32{1, -2}, 1, 1, 2, 1), nn.Training))
	if y[0] != 9 || y[1] != -18 {
		t.Errorf("got %v, want 3*3*[1 -2]", y)
	}
	n.Backward(newLabels(t, dev, 1))
	// The softmax of [9 -18] is [1 0] up to 2^-39, so dlogits = [1 -1]; passing back
	// through the other factor 3, dg = 3*(1*1 - 1*-2) for both layers.
	for _, p := range n.Params() {
		if g := download(t, dev, p.Grad)[0]; g != 9 {
			t.Errorf("gradient of %s is %v, want 9", p.Name, g)
		}
	}
	if n.Params()[1].Name != "last.weight" || n.FLOPs() != 4 {
		t.Errorf("parameter %s, %d FLOPs", n.Params()[1].Name, n.FLOPs())
	}
}
