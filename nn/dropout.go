package nn

import (
	"trainer/nn/device"
	"trainer/nn/explain"
	"trainer/nn/graph"
	"trainer/nn/setting"
)

// Dropout switches off elements at random during training, so that no unit can rely on
// another one (Srivastava et al., "Dropout", 2014). The remaining elements are scaled up so
// that the mean stays the same ("inverted" dropout), and inference needs no change at all.
//
// x and y have the same shape, which may be any. With m an element of the mask, 0 with
// probability rate, else 1:
//
//	y = x m / (1 - rate)        dx = dy m / (1 - rate)
//
// The mask is a function of the seed, the layer and the step, so Backward computes the same
// mask again and nothing is stored.
//
// Code: nn/device/reference/dropout.go (the formula in loops), cpu/dropout.go, kernels/dropout.cu. Test:
// nn/device/devicetest/dropout.go.
type Dropout struct {
	Rate float32 // 0 to below 1
}

func dropoutKind() LayerKind {
	return LayerKind{
		Name: "dropout", Doc: "zeroes a random share of the values in training",
		Family: Regulariser, New: func() Layer { return Dropout{} },
	}
}

// Settings declares the keys of recipes.
func (d *Dropout) Settings(s *setting.List) {
	s.Float32(&d.Rate, "rate", 0, setting.ZeroToBelowOne, "the share, 0 to below 1").Require().ShowPercent()
}

// Kind returns "dropout".
func (d Dropout) Kind() string { return "dropout" }

// OutputShape returns the input's shape.
func (d Dropout) OutputShape(in Shape) (Shape, error) {
	return in, setting.Check(&d)
}

// Build allocates the output in training.
func (d Dropout) Build(b *Builder, in Shape) (BuiltLayer, error) {
	u := &dropout{needs: b.NeedsInputGradient(), step: b.step}
	stream := b.DropoutStream()
	if !b.train || d.Rate == 0 {
		return u, nil
	}
	var err error
	if u.plan, err = b.dev.NewDropout(device.DropoutSpec{
		Len: b.batch * in.Len(), Rate: d.Rate, Seed: b.seed, Stream: stream, DType: b.dtype,
	}); err != nil {
		return nil, err
	}
	b.restart.seeded = append(b.restart.seeded, u.plan)
	return u, b.Output(in, &u.y)
}

type dropout struct {
	plan    device.Dropout // nil if dropout is the identity
	step, y *device.Tensor
	needs   bool // something before this layer is trained
}

// Forward returns x itself in inference.
func (u *dropout) Forward(x *device.Tensor, mode Mode) *device.Tensor {
	if u.plan == nil || mode == Inference {
		return x
	}
	u.y.SetRows(x.Rows())
	u.plan.Forward(u.y, x, u.step)
	return u.y
}

// Backward applies the step's mask to dy, in place.
func (u *dropout) Backward(dy *device.Tensor) *device.Tensor {
	if !u.needs {
		return nil
	}
	if u.plan != nil {
		u.plan.Backward(dy, dy, u.step)
	}
	return dy
}

// Graph returns x itself, as in inference.
func (d Dropout) Graph(_ *graph.Builder, x graph.Value, _ Shape) (graph.Value, error) { return x, nil }

// Explain describes inference, in which y is x.
func (Dropout) Explain(Shape) explain.Rule {
	return explain.Linear{
		Formula:  explain.Formula{Forward: "y = x m / (1 - rate)", Backward: "dx = dy m / (1 - rate)"},
		Products: explain.Scaled(1),
	}
}
