package inspect_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"trainer/cpu"
	"trainer/nn"
	"trainer/nn/device"
	"trainer/nn/inspect"
	"trainer/nn/recipe"
)

func newCPU(t testing.TB) device.Device {
	t.Helper()
	dev, err := cpu.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	return dev
}

func open(t testing.TB, dev device.Device, model nn.Layer, opt inspect.Options) *inspect.Session {
	t.Helper()
	s, err := inspect.New(dev, model, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// must returns a value unless there is an error.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// random returns n numbers that are normally distributed.
func random(seed uint64, n int) []float32 {
	x := make([]float32, n)
	nn.InitContext{Seed: seed, Stream: device.StreamInit}.Normal(x, 1)
	return x
}

// pixels returns a picture of n random bytes.
func pixels(seed uint64, n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(device.RandomWord(seed, device.StreamShuffle, 3, uint64(i)))
	}
	return p
}

// layers has networks that together contain every kind of layer, small enough to explain every number.
func layers() map[string]nn.Layer {
	small := nn.Conv2D{OutC: 3, Kernel: nn.Square(3), Padding: nn.Square(1)}
	head := []nn.Layer{nn.Flatten{}, nn.Dense{Out: 3}}
	with := func(l ...nn.Layer) nn.Layer { return nn.NewSequential(append(l, head...)...) }
	return map[string]nn.Layer{
		"plain":    with(small, nn.MaxPool2D{Kernel: nn.Square(3), Stride: nn.Square(2), Padding: nn.Square(1)}, nn.ReLU{}),
		"windows":  with(nn.Conv2D{OutC: 4, Kernel: nn.Pair{H: 3, W: 2}, Stride: nn.Pair{H: 2, W: 1}, Dilation: nn.Pair{H: 1, W: 2}, Groups: 2, SameUpper: true}, nn.AvgPool2D{Kernel: nn.Square(2), Padding: nn.Square(1), CeilMode: true}, nn.AvgPool2D{Kernel: nn.Square(2), Padding: nn.Square(1), ExcludePadding: true}),
		"dilated":  with(nn.MaxPool2D{Kernel: nn.Square(2), Stride: nn.Square(1), Dilation: nn.Square(2), CeilMode: true}, nn.Conv2D{OutC: 2, Kernel: nn.Square(1), NoBias: true}),
		"larger":   with(nn.ConvTranspose2D{OutC: 2, Kernel: nn.Square(3), Stride: nn.Square(2), Padding: nn.Square(1), OutputPadding: nn.Square(1)}, nn.UpSample{Factor: 2}, nn.AvgPool2D{Kernel: nn.Square(4)}),
		"turned":   with(nn.ConvTranspose2D{OutC: 4, Kernel: nn.Square(3), Groups: 2, NoBias: true}),
		"norms":    with(small, nn.BatchNorm{}, nn.LeakyReLU{}, nn.LayerNorm{}, nn.PReLU{}, nn.GroupNorm{Groups: 3}, nn.PReLU{Shared: true}, nn.Dropout{Rate: 0.5}),
		"smooth":   with(small, nn.GELU{}, nn.GELU{Tanh: true}, nn.Sigmoid{}, nn.Tanh{}, nn.SiLU{}, nn.HardSwish{}, nn.ELU{}, nn.Softplus{}, nn.Mish{}, nn.Scale{By: 0.3}),
		"gate":     with(nn.Conv2D{OutC: 4, Kernel: nn.Square(1)}, nn.ChannelScale{Reduction: 2}, nn.ReLU{}),
		"branches": with(nn.Residual{Body: nn.NewSequential(nn.Conv2D{OutC: 4, Kernel: nn.Square(3), Same: true}, nn.BatchNorm{}, nn.ReLU{}), Shortcut: nn.Conv2D{OutC: 4, Kernel: nn.Square(1)}}, nn.Concat{Branches: []nn.Layer{nil, nn.Conv2D{OutC: 2, Kernel: nn.Square(1)}, nn.NewSequential(nn.ReLU{}, nn.Residual{Body: nn.ReLU{}})}}, nn.NewSequential(nn.GlobalAvgPool{}, nn.LayerNorm{})),
		"maximum":  nn.NewSequential(small, nn.GlobalMaxPool{}, nn.Dense{Out: 3}),
		"vector":   nn.NewSequential(nn.Flatten{}, nn.BatchNorm{FrozenScale: true}, nn.Dense{Out: 5, NoBias: true}, nn.GroupNorm{Groups: 1}, nn.Residual{Body: nn.Dense{Out: 5}}, nn.Dense{Out: 3}),
		"custom":   with(small, square{}, gain{}),
	}
}

// TestEveryKindIsExplained makes sure that the networks of layers contain all kinds of layers.
func TestEveryKindIsExplained(t *testing.T) {
	dev := newCPU(t)
	seen := map[string]bool{"sequential": true}
	for _, model := range layers() {
		for _, p := range open(t, dev, model, inspect.Options{Input: nn.Shape{6, 5, 4}}).Places() {
			seen[p.Kind] = true
			if p.Formula.Forward == "" && p.Kind != "gain" && p.Kind != "square" {
				t.Errorf("%s has no formula", p.Kind)
			}
		}
	}
	for _, k := range nn.LayerKinds() {
		if !seen[k.Name] {
			t.Errorf("no network of this test has a layer %s", k.Name)
		}
	}
}

// TestExplanations compares the sums of terms, in float64, with the engine's numbers, for every value, gradient and gradient
// of a weight.
func TestExplanations(t *testing.T) {
	dev := newCPU(t)
	for name, model := range layers() {
		t.Run(name, func(t *testing.T) {
			s := open(t, dev, model, inspect.Options{Input: nn.Shape{6, 5, 4}, Mean: []float32{0.4, 0.5, 0.6, 0.5}, Std: []float32{0.2, 0.25, 0.3, 0.2}, Seed: 3})
			disturb(t, dev, s, model)
			must(s.Forward(pixels(1, 120)))
			must(s.Backward(2))
			explainAll(t, s, 1)
		})
	}
}

// disturb gives the session weights and statistics that are far from their initial values, which are often 0 and 1.
func disturb(t *testing.T, dev device.Device, s *inspect.Session, model nn.Layer) {
	t.Helper()
	net := must(nn.Compile(dev, model, nn.Options{Input: s.Input(), Batch: 2, Seed: 3}))
	for i, p := range net.Tensors() {
		values := random(uint64(i), p.Value.Len())
		for k := range values {
			values[k] *= 0.5
			if strings.HasSuffix(p.Name, "running_var") || p.Role == nn.Gain {
				values[k] = 0.5 + values[k]*values[k]
			}
		}
		if err := dev.Upload(p.Value, device.Bytes(values)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.CopyWeights(net); err != nil {
		t.Fatal(err)
	}
}

// explainAll checks the explanation of every number, or of every step-th number of a place or a tensor.
func explainAll(t *testing.T, s *inspect.Session, step int) {
	t.Helper()
	var questions []inspect.Question
	places := s.Places()
	for k, p := range places {
		for i := 0; i < p.Shape.Len(); i += step {
			questions = append(questions, inspect.Question{Of: inspect.Value, Place: k, Index: i})
			if p.Kind != inspect.KindSoftmax {
				questions = append(questions, inspect.Question{Of: inspect.Gradient, Place: k, Index: i})
			}
		}
		for _, w := range p.Tensors {
			if !w.Trained {
				continue
			}
			for i := 0; i < nn.Shape(w.Shape).Len(); i += step {
				questions = append(questions, inspect.Question{Of: inspect.WeightGradient, Tensor: w.Name, Index: i})
			}
		}
	}
	for _, q := range questions {
		e, err := s.Explain(q)
		if err != nil {
			t.Errorf("%+v: %v", q, err)
			continue
		}
		checkExplanation(t, e)
	}
}

func checkExplanation(t *testing.T, e *inspect.Explanation) {
	t.Helper()
	what := fmt.Sprintf("%s of %s%v (%s)", e.Of, e.Name, e.At, e.Kind)
	sum, largest := e.Rest, 0.0
	for _, term := range e.Terms {
		sum += term.Value
		largest = max(largest, math.Abs(term.Value))
		product := term.Factor
		if term.Source != nil && term.Weight == nil && term.Other == nil && e.Kind != inspect.KindSoftmax && e.Kind != inspect.KindLoss {
			product *= term.Source.Value
			if math.Abs(product-term.Value) > 1e-12*math.Abs(term.Value) {
				t.Errorf("%s: the term %s is %v, its factors make %v", what, term.Label, term.Value, product)
			}
		}
		if term.Label == "" {
			t.Errorf("%s: a term has no label", what)
		}
	}
	if math.Abs(sum-e.Sum) > 1e-10*(math.Abs(sum)+1) {
		t.Errorf("%s: the terms add up to %v, the sum says %v", what, sum, e.Sum)
	}
	if d := math.Abs(e.Result - e.Engine); !(d <= e.Tolerance) {
		t.Errorf("%s: explained as %v = %s, the engine has %v: off by %.2g, want at most %.2g", what, e.Result, e.Numbers, e.Engine, d, e.Tolerance)
	}
	if largest > 0.01 && e.Tolerance > largest/10 { // a term that is missing or wrong must be noticed
		t.Errorf("%s: a tolerance of %.2g for terms up to %v", what, e.Tolerance, largest)
	}
	if e.Numbers == "" {
		t.Errorf("%s: no numbers", what)
	}
	if isCustom := e.Kind == "gain" || e.Kind == "square" || e.Kind == inspect.KindLoss; !e.Exact && !isCustom {
		t.Errorf("%s: not explained: %+v", what, e.Note)
	}
}

// TestRecipes explains some numbers of every built-in recipe's network.
func TestRecipes(t *testing.T) {
	dev := newCPU(t)
	for _, name := range recipe.Names() {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && (name == "airbench95" || name == "airbench96") {
				t.Skip("the largest networks, of the same layers as airbench94 and resnet18")
			}
			r := must(recipe.Load(name))
			in := r.ImageShape()
			if in == nil || name == "resnet18" || name == "photos" {
				in = nn.Shape{48, 48, 3}
			}
			s := open(t, dev, r.Model(10), inspect.Options{Input: in, Loss: r.Loss, Seed: 1})
			must(s.Forward(pixels(1, in.Len())))
			must(s.Backward(3))
			places := s.Places()
			for k, p := range places {
				for _, of := range []inspect.Quantity{inspect.Value, inspect.Gradient} {
					if of == inspect.Gradient && p.Kind == inspect.KindSoftmax {
						continue
					}
					e, err := s.Explain(inspect.Question{Of: of, Place: k, Index: p.Shape.Len() / 3})
					if err != nil {
						t.Fatal(err)
					}
					checkExplanation(t, e)
				}
				for _, w := range p.Tensors {
					if w.Trained {
						e, err := s.Explain(inspect.Question{Of: inspect.WeightGradient, Tensor: w.Name, Index: nn.Shape(w.Shape).Len() / 2})
						if err != nil {
							t.Fatal(err)
						}
						checkExplanation(t, e)
					}
				}
			}
		})
	}
}

// square is a layer of another package without an explanation: y = x^2.
type square struct{}

func (square) Kind() string                              { return "square" }
func (square) OutputShape(in nn.Shape) (nn.Shape, error) { return in, nil }
func (square) Build(b *nn.Builder, in nn.Shape) (nn.BuiltLayer, error) {
	u := &squareUnit{}
	var err error
	spec := device.MapSpec{Kind: device.MapMul, Batch: b.Batch(), Rows: 1, C: in.Len(), B: device.AllAxes, Alpha: 1}
	if u.forward, err = b.Device().NewMap(spec); err != nil {
		return nil, err
	}
	spec.Alpha = 2
	if u.backward, err = b.Device().NewMap(spec); err != nil {
		return nil, err
	}
	return u, b.Output(in, &u.y)
}

type squareUnit struct {
	forward, backward device.Map
	x, y              *device.Tensor
}

func (u *squareUnit) Forward(x *device.Tensor, _ nn.Mode) *device.Tensor {
	u.x = x
	u.forward.Run(u.y, x, x)
	return u.y
}

func (u *squareUnit) Backward(dy *device.Tensor) *device.Tensor {
	u.backward.Run(dy, dy, u.x)
	return dy
}

// gain is a layer of another package with a weight: y = g x.
type gain struct{}

func (gain) Kind() string                              { return "gain" }
func (gain) OutputShape(in nn.Shape) (nn.Shape, error) { return in, nil }
func (gain) Build(b *nn.Builder, in nn.Shape) (nn.BuiltLayer, error) {
	u := &gainUnit{}
	var err error
	if u.product, err = b.Device().NewMap(device.MapSpec{Kind: device.MapMul, Batch: b.Batch(), Rows: 1, C: in.Len(), B: device.NoAxes, Alpha: 1}); err != nil {
		return nil, err
	}
	if b.Training() {
		if u.inner, err = b.Device().NewReduce(device.ReduceSpec{Kind: device.ReduceSumProducts, Batch: b.Batch(), Rows: 1, C: in.Len(), Keep: device.NoAxes}); err != nil {
			return nil, err
		}
	}
	if u.g, err = b.Param(nn.ParamSpec{Name: "weight", Role: nn.Gain, Shape: []int{1}, Init: nn.Constant{Value: 3}, FanIn: 1, FanOut: 1}); err != nil {
		return nil, err
	}
	return u, b.Output(in, &u.y)
}

type gainUnit struct {
	product device.Map
	inner   device.Reduce
	g       *nn.Param
	x, y    *device.Tensor
}

func (u *gainUnit) Forward(x *device.Tensor, _ nn.Mode) *device.Tensor {
	u.x = x
	u.product.Run(u.y, x, u.g.Value)
	return u.y
}

func (u *gainUnit) Backward(dy *device.Tensor) *device.Tensor {
	u.inner.Run(u.g.Grad, dy, u.x)
	u.product.Run(dy, dy, u.g.Value)
	return dy
}
