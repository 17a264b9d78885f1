package nn

import (
	"fmt"

	"trainer/nn/device"
	"trainer/nn/explain"
	"trainer/nn/graph"
	"trainer/nn/setting"
)

// Dense connects every input with every output: a matrix product.
//
// Shapes: x [n, in], weights w [in, out], bias [out], y [n, out].
//
// Forward:
//
//	y = x w + bias        y[n,o] = sum_i x[n,i] w[i,o] + bias[o]
//
// Backward. From the sum, dL/dw[i,o] = sum_n dy[n,o] x[n,i] and dL/dx[n,i] = sum_o dy[n,o] w[i,o]:
//
//	dw = x^T dy        dbias = sum_n dy[n]        dx = dy w^T
//
// Code: nn/device/reference/matmul.go (the formula in loops), cpu/matmul.go, gpu/matmul.go (cuBLAS), kernels/dense.cu (few
// outputs, the last layer with the loss). Test: nn/device/devicetest/matmul.go and dense.go.
type Dense struct {
	Out      int
	NoBias   bool
	Init     Initializer // of the weights; nil means PyTorchDefault
	BiasInit Initializer // nil means PyTorchDefault
}

func denseKind() LayerKind {
	return LayerKind{Name: "dense", Doc: "fully connected layer", Family: WithWeights, New: func() Layer { return Dense{} }}
}

// Settings declares the keys of recipes.
func (d *Dense) Settings(s *setting.List) {
	s.Int(&d.Out, "out", 0, setting.AtLeast(1), "number of outputs").OrConstant("classes").Require()
	s.Unless(&d.NoBias, "bias", "add a bias to each output")
	s.Nested(&d.Init, "init", "pytorch", "initial weights, see initialisers")
	s.Nested(&d.BiasInit, "bias-init", "pytorch", "initial bias, see initialisers")
}

// Kind returns "dense".
func (d Dense) Kind() string { return "dense" }

// OutputShape returns [out].
func (d Dense) OutputShape(in Shape) (Shape, error) {
	if err := setting.Check(&d); err != nil {
		return nil, err
	}
	if len(in) != 1 {
		return nil, fmt.Errorf("got %v, needs a vector, [features]: put flatten before it", in)
	}
	return Shape{d.Out}, checkElements("the weights", in[0], d.Out)
}

func (d Dense) spec(b *Builder, in Shape) device.MatMulSpec {
	return device.MatMulSpec{M: b.batch, N: d.Out, K: in[0], Bias: !d.NoBias, DType: b.dtype}
}

// Build allocates weight, bias and output.
func (d Dense) Build(b *Builder, in Shape) (BuiltLayer, error) {
	plan, err := b.dev.NewMatMul(d.spec(b, in))
	if err != nil {
		return nil, err
	}
	return d.unit(b, in, plan, nil, 1)
}

// product makes the plan of a product that is multiplied by alpha, which needs a device.FusedScale unless it is 1.
func product(b *Builder, s device.MatMulSpec, alpha float32) (device.MatMul, error) {
	if alpha == 1 {
		return b.dev.NewMatMul(s)
	}
	return b.dev.(device.FusedScale).NewMatMulScaled(s, alpha)
}

// buildFused fuses the product with a following ReLU, or if it has no bias with a following Scale.
func (d Dense) buildFused(b *Builder, in Shape, next []Layer) (BuiltLayer, int, error) {
	if s, ok := next[0].(Scale); ok && d.NoBias {
		return d.buildScaled(b, in, s)
	}
	dev, ok := b.dev.(device.FusedEpilogue)
	if !ok || !isReLU(next[0]) {
		return nil, 0, nil
	}
	plan, err := dev.NewMatMulReLU(d.spec(b, in))
	if err != nil {
		if declined(err) {
			return nil, 0, nil
		}
		return nil, 0, err
	}
	relu, err := b.dev.NewActivation(device.ActivationSpec{Function: reluFunction, Len: b.batch * d.Out, DType: b.dtype})
	if err != nil {
		return nil, 0, err
	}
	u, err := d.unit(b, in, plan, relu, 1)
	return u, 1, err
}

// buildScaled fuses the product with a following Scale: y = a x w, so that dw = a x^T dy and dx = a dy w^T.
func (d Dense) buildScaled(b *Builder, in Shape, s Scale) (BuiltLayer, int, error) {
	if _, ok := b.dev.(device.FusedScale); !ok {
		return nil, 0, nil
	}
	if err := setting.Check(&s); err != nil {
		return nil, 0, nil // building it by itself reports the error, with its name
	}
	plan, err := product(b, d.spec(b, in), s.By)
	if err != nil {
		return nil, 0, err
	}
	u, err := d.unit(b, in, plan, nil, s.By)
	return u, 1, err
}

// unit completes the forward plan with the backward plans and the tensors. relu is nil
// unless the plan applies ReLU, and the plan multiplies by alpha.
func (d Dense) unit(b *Builder, in Shape, plan device.MatMul, relu device.Activation, alpha float32) (BuiltLayer, error) {
	u := &dense{forward: plan, relu: relu, alpha: alpha}
	b.AddFLOPs(2 * int64(in[0]) * int64(d.Out))
	if err := d.planBackward(b, in, u); err != nil {
		return nil, err
	}
	b.InputGradient(in, &u.dx)
	var err error
	if u.w, err = b.Param(ParamSpec{
		Name: "weight", Role: Weight, Shape: []int{in[0], d.Out},
		Init: orDefault(d.Init), FanIn: in[0], FanOut: d.Out, HasComputeCopy: true,
	}); err != nil {
		return nil, err
	}
	u.bias = &Param{}
	if !d.NoBias {
		if u.bias, err = b.Param(ParamSpec{
			Name: "bias", Role: Bias, Shape: []int{d.Out},
			Init: orDefault(d.BiasInit), FanIn: in[0], FanOut: d.Out,
		}); err != nil {
			return nil, err
		}
	}
	return u, b.Output(Shape{d.Out}, &u.y)
}

// fusedSpec describes the layer times alpha to a device.FusedDense.
func (d Dense) fusedSpec(b *Builder, in Shape, alpha float32) device.DenseSpec {
	return device.DenseSpec{Rows: b.batch, In: in[0], Out: d.Out, Alpha: alpha, Bias: !d.NoBias, DType: b.dtype}
}

// planBackward makes the plans for dw = x^T dy, dbias and dx = dy w^T, dw and dx times alpha: one plan for all three if the
// device has it.
func (d Dense) planBackward(b *Builder, in Shape, u *dense) (err error) {
	if !b.train {
		return nil
	}
	if fused, ok := b.dev.(device.FusedDense); ok && u.relu == nil {
		u.fused = d.fusedSpec(b, in, u.alpha)
		if u.gradients, err = fused.NewDenseGradients(u.fused); !declined(err) {
			return err
		}
		u.gradients = nil
	}
	return d.planProducts(b, in, u)
}

// planProducts makes planBackward's plans one by one.
func (d Dense) planProducts(b *Builder, in Shape, u *dense) (err error) {
	alpha := u.alpha
	if u.filter, err = product(b, device.MatMulSpec{
		M: in[0], N: d.Out, K: b.batch, TransA: true, DType: b.dtype, Out: device.Float32,
	}, alpha); err != nil {
		return err
	}
	if !d.NoBias {
		if u.sum, err = b.dev.NewReduce(device.ReduceSpec{Kind: device.ReduceSum, Batch: b.batch, Rows: 1, C: d.Out, Keep: device.AxisC, DType: b.dtype}); err != nil {
			return err
		}
	}
	if fused, ok := b.dev.(device.FusedBiasGradient); ok && u.relu != nil && !d.NoBias {
		if u.reluAndSum, err = fused.NewBiasReLUGradient(device.BiasGradientSpec{Rows: b.batch, C: d.Out, DType: b.dtype}); err != nil {
			return err
		}
	}
	if b.NeedsInputGradient() {
		u.data, err = product(b, device.MatMulSpec{M: b.batch, N: in[0], K: d.Out, TransB: true, DType: b.dtype}, alpha)
	}
	return err
}

type dense struct {
	forward, filter, data device.MatMul // y = x w + bias, dw = x^T dy, dx = dy w^T
	sum                   device.Reduce // dbias; nil without bias
	relu                  device.Activation
	reluAndSum            device.BiasGradient   // relu's derivative and sum in one pass, or nil
	gradients             device.DenseGradients // filter, sum and data in one pass, or nil
	w, bias               *Param                // bias has no tensors if the layer has no bias
	x, y, dx              *device.Tensor        // dx nil if nothing before this layer is trained

	alpha        float32          // the products are multiplied by it
	fused        device.DenseSpec // of gradients
	withLoss     bool             // the next Forward leaves y to the plan of head
	endsBackward bool             // nothing before this layer needs a gradient any more
}

func (u *dense) setInputGradient(on bool) { u.endsBackward = !on }

// Forward computes y, with ReLU if it is fused.
func (u *dense) Forward(x *device.Tensor, _ Mode) *device.Tensor {
	u.x = x
	u.y.SetRows(x.Rows())
	if !u.withLoss {
		u.forward.Run(u.y, x, u.w.ComputeCopy, u.bias.Value)
	}
	return u.y
}

// Backward computes dw, dbias and dx. If ReLU is fused, its derivative follows from the
// output: 1 where y > 0.
func (u *dense) Backward(dy *device.Tensor) *device.Tensor {
	if u.gradients != nil {
		return u.backwardFused(dy)
	}
	summed := u.reluAndSum != nil && u.bias.Grad != nil
	switch {
	case summed:
		u.reluAndSum.Run(dy, u.bias.Grad, dy, u.y)
	case u.relu != nil:
		u.relu.Backward(dy, dy, u.y, u.y)
	}
	if u.w.Grad != nil {
		u.filter.Run(u.w.Grad, u.x, dy, nil)
	}
	if u.bias.Grad != nil && !summed {
		u.sum.Run(u.bias.Grad, dy, nil)
	}
	if u.dx == nil || u.endsBackward {
		return nil
	}
	u.dx.SetRows(dy.Rows())
	u.data.Run(u.dx, dy, u.w.ComputeCopy, nil)
	return u.dx
}

// backwardFused is Backward in one pass.
func (u *dense) backwardFused(dy *device.Tensor) (dx *device.Tensor) {
	if u.dx != nil && !u.endsBackward {
		dx = u.dx
		dx.SetRows(dy.Rows())
	}
	u.gradients.Run(dx, u.w.Grad, u.bias.Grad, dy, u.x, u.w.ComputeCopy)
	return dx
}

// Graph describes the product and the sum.
func (d Dense) Graph(g *graph.Builder, x graph.Value, _ Shape) (graph.Value, error) {
	return g.Linear(x, d.Out, !d.NoBias), nil
}

// Explain returns the products of each output.
func (d Dense) Explain(in Shape) explain.Rule {
	inputs, outputs := in[0], d.Out
	return explain.Linear{
		Formula: explain.Formula{
			Forward:  "y[n,o] = sum_i x[n,i] w[i,o] + bias[o]",
			Backward: "dL/dx[n,i] = sum_o dy[n,o] w[i,o]",
			Weights:  "dL/dw[i,o] = sum_n dy[n,o] x[n,i]",
		},
		Weight: "weight", Bias: explainIf(!d.NoBias, "bias"),
		Products: func(at explain.Product, yield func(explain.Product)) {
			if at.Weight != explain.Any {
				at.Input, at.Output = at.Weight/outputs, at.Weight%outputs
			}
			explain.Each(at.Input, inputs, func(i int) {
				explain.Each(at.Output, outputs, func(o int) {
					yield(explain.Product{Output: o, Input: i, Weight: i*outputs + o})
				})
			})
		},
	}
}
