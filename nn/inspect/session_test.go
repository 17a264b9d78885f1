package inspect_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"trainer/nn"
	"trainer/nn/device"
	"trainer/nn/inspect"
	"trainer/nn/model"
	"trainer/nn/optim"
	"trainer/nn/recipe"
)

// weightsOf returns the bits of all trained parameters.
func weightsOf(s *inspect.Session) string {
	var b strings.Builder
	for _, p := range s.Places() {
		for _, w := range p.Tensors {
			for _, v := range must(s.Weights(w.Name)) {
				fmt.Fprintf(&b, "%x ", math.Float32bits(v))
			}
		}
	}
	return b.String()
}

// TestUndoEveryRule makes steps with every rule, undoes and repeats them: all bits must come back.
func TestUndoEveryRule(t *testing.T) {
	dev := newCPU(t)
	for _, kind := range optim.RuleKinds() {
		t.Run(kind.Name, func(t *testing.T) {
			s := example(t, dev)
			first := must(s.ForwardValues(exampleImage)).Values[5][0]
			must(s.Backward(0))
			settings := s.Settings(kind.New(), 0.05)
			bits, losses := []string{weightsOf(s)}, []float64{}
			for k := range 4 {
				step := must(s.Step(settings))
				if step.Number != k+1 {
					t.Errorf("step %d, want %d", step.Number, k+1)
				}
				bits, losses = append(bits, weightsOf(s)), append(losses, step.LossAfter)
				if bits[k] == bits[k+1] {
					t.Error("a step changed nothing")
				}
			}
			if !(losses[3] < 1.1884) {
				t.Errorf("losses %v, want them to fall", losses)
			}
			for k := 3; k >= 1; k-- {
				if _, _, err := s.Undo(); err != nil {
					t.Fatal(err)
				}
				if weightsOf(s) != bits[k] {
					t.Errorf("undoing step %d gave other bits", k+1)
				}
			}
			for k := 1; k < 4; k++ {
				if step := must(s.Step(settings)); step.LossAfter != losses[k] || weightsOf(s) != bits[k+1] {
					t.Errorf("step %d again: a loss of %v and other bits, before %v", k+1, step.LossAfter, losses[k])
				}
			}
			pass, _, err := s.Reset()
			if err != nil || weightsOf(s) != bits[0] || pass.Values[5][0] != first {
				t.Errorf("reset: %v, logits %v", err, pass.Values[5])
			}
			if _, _, err := s.Undo(); !errors.Is(err, inspect.ErrNoStep) {
				t.Errorf("undo after reset: %v", err)
			}
		})
	}
}

// TestUndoAcrossRules changes the rule between steps: the state of the first goes on after the second is undone.
func TestUndoAcrossRules(t *testing.T) {
	s := example(t, newCPU(t))
	must(s.ForwardValues(exampleImage))
	must(s.Backward(0))
	adam, sgd := optim.Config{Rule: optim.Adam{}, LR: 0.01}, optim.Config{Rule: optim.SGD{Momentum: 0.9}, LR: 0.1}
	must(s.Step(adam))
	want := must(s.Step(adam)).LossAfter
	if _, _, err := s.Undo(); err != nil {
		t.Fatal(err)
	}
	must(s.Step(sgd))
	must(s.ForwardValues(random(1, 25))) // another picture, without gradients
	if _, back, err := s.Undo(); err != nil || back == nil || back.Label != 0 {
		t.Fatalf("undo: %v, gradients %v", err, back)
	}
	must(s.ForwardValues(exampleImage))
	must(s.Backward(0))
	if got := must(s.Step(adam)).LossAfter; got != want {
		t.Errorf("the second step of adam again: a loss of %v, want %v", got, want)
	}
	step := must(s.Step(sgd))
	for _, c := range step.Tensors {
		change := step.Changes[c.Tensor]
		if d := math.Abs(float64(change[c.Index])); d != c.Largest || c.Largest == 0 || c.Changed < c.Largest {
			t.Errorf("%s: change %+v, element %v", c.Tensor, c, change[c.Index])
		}
	}
	var mistake *optim.ConfigError
	if _, err := s.Step(optim.Config{Algorithm: "adam", LR: -1}); !errors.As(err, &mistake) {
		t.Errorf("a negative rate: %v", err)
	}
	for range 20 {
		must(s.Step(sgd))
	}
	undone := 0
	for ; ; undone++ {
		if _, _, err := s.Undo(); err != nil {
			break
		}
	}
	if undone != 16 {
		t.Errorf("%d steps could be undone, want 16", undone)
	}
}

// TestOpensModel compares a model's session with the model's own answers.
func TestOpensModel(t *testing.T) {
	dev := newCPU(t)
	r := must(recipe.Load("cifar10-basic"))
	text := must(r.TOML())
	net := must(nn.Compile(dev, r.Model(10), nn.Options{Input: nn.Shape{32, 32, 3}, Batch: 2, Seed: 7}))
	for i, p := range net.State() {
		values := random(uint64(i), p.Value.Len())
		for k, v := range values {
			values[k] = 0.2 + v*v
		}
		if err := dev.Upload(p.Value, device.Bytes(values)); err != nil {
			t.Fatal(err)
		}
	}
	info := model.Info{
		Recipe: string(text), Classes: strings.Split("a b c d e f g h i j", " "), Temperature: 1.5,
		Images: model.Images{Height: 32, Width: 32, Channels: 3, Resize: "crop", Background: "#ffffff", Orientation: "exif",
			Mean: []float32{0.4, 0.5, 0.6}, Std: []float32{0.2, 0.3, 0.25}},
	}
	path := filepath.Join(t.TempDir(), "model.safetensors")
	if err := model.Save(path, net, info); err != nil {
		t.Fatal(err)
	}
	m := must(model.Open(path, dev))
	s, err := inspect.Open(path, dev, recipe.BuiltIn())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	p := pixels(3, 32*32*3)
	pass, want := must(s.Forward(p)), must(m.Probabilities(p))
	for k, v := range pass.Answer {
		if math.Abs(v-want[k]) > 1e-6 {
			t.Errorf("class %d has the probability %v, the model says %v", k, v, want[k])
		}
	}
	e := must(s.Explain(inspect.Question{Of: inspect.Value, Place: 0, Index: 7}))
	checkExplanation(t, e)
	if len(e.Facts) != 3 || e.Facts[0].Value != float64(p[7]) {
		t.Errorf("facts of a pixel: %+v", e.Facts)
	}
}

// TestMaps checks saliency, Grad-CAM and occlusion on a network whose answer depends on one corner of the picture.
func TestMaps(t *testing.T) {
	dev := newCPU(t)
	m := nn.NewSequential(nn.Conv2D{OutC: 1, Kernel: nn.Square(1), NoBias: true}, nn.ReLU{}, nn.Flatten{}, nn.Dense{Out: 2, NoBias: true})
	s := open(t, dev, m, inspect.Options{Input: nn.Shape{4, 4, 1}})
	net := must(nn.Compile(dev, m, nn.Options{Input: nn.Shape{4, 4, 1}, Batch: 1}))
	dense := make([]float32, 32)
	dense[2*5+1] = 3 // pixel (1,1) speaks for class 1
	for k, values := range [][]float32{{2}, dense} {
		if err := dev.Upload(net.Params()[k].Value, device.Bytes(values)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.CopyWeights(net); err != nil {
		t.Fatal(err)
	}
	x := make([]float32, 16)
	x[5], x[9] = 1, 1
	before := must(s.ForwardValues(x))
	only := func(name string, m *inspect.Map, err error, at int, want float32) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		for k, v := range m.Values {
			if k != at && v != 0 || k == at && math.Abs(float64(v-want)) > 1e-6 {
				t.Errorf("%s: %v, want %v at %d only", name, m.Values, want, at)
				return
			}
		}
	}
	saliency, err := s.Saliency(1)
	only("saliency", saliency, err, 5, 6)
	if s.LastConvolution() != 2 {
		t.Errorf("last convolution at place %d, want 2, with its ReLU", s.LastConvolution())
	}
	pooled := open(t, dev, nn.NewSequential(nn.Conv2D{OutC: 2, Kernel: nn.Square(1)}, nn.MaxPool2D{Kernel: nn.Square(2)}, nn.ReLU{}, nn.MaxPool2D{Kernel: nn.Square(2)}, nn.Flatten{}, nn.Dense{Out: 2}), inspect.Options{Input: nn.Shape{4, 4, 1}})
	if pooled.LastConvolution() != 3 {
		t.Errorf("last convolution at place %d, want 3, with the ReLU after its pooling", pooled.LastConvolution())
	}
	cam := must(s.GradCAM(1, -1))
	for k, v := range cam.Values { // alpha = 3/16, A = 2 at pixels 5 and 9
		want := 0.0
		if k == 5 || k == 9 {
			want = 2 * 3.0 / 16
		}
		if math.Abs(float64(v)-want) > 1e-6 {
			t.Errorf("Grad-CAM at %d is %v, want %v", k, v, want)
		}
	}
	occlusion := must(s.Occlusion(1, 2, 2))
	sigma := func(z float64) float64 { return 1 / (1 + math.Exp(-z)) }
	if want := sigma(6) - sigma(6*2./16); math.Abs(float64(occlusion.Values[0])-want) > 1e-6 || occlusion.Values[1] != 0 || len(occlusion.Values) != 4 {
		t.Errorf("occlusion %v, want %v first and 0 then", occlusion.Values, want)
	}
	must(s.Backward(0))
	e := must(s.Explain(inspect.Question{Of: inspect.Value, Place: 1, Index: 5}))
	if e.Engine != float64(before.Values[1][5]) {
		t.Errorf("the pass has changed: %v, before %v", e.Engine, before.Values[1][5])
	}
	checkExplanation(t, e)
}

// TestMaximize: the channel's mean grows, and the pass is the same afterwards.
func TestMaximize(t *testing.T) {
	s := open(t, newCPU(t), must(recipe.Load("mnist")).Model(10), inspect.Options{Input: nn.Shape{28, 28, 1}, Seed: 2, Mean: []float32{0.13}, Std: []float32{0.3}})
	p := pixels(1, 784)
	before := must(s.Forward(p))
	must(s.Backward(1))
	for _, place := range []int{1, 4, len(before.Values) - 3} {
		m := must(s.Maximize(place, 3, inspect.Maximization{Steps: 8}))
		if !(m.After > m.Before+0.01) || len(m.Pixels) != 784 || len(m.Picture) != 784 {
			t.Errorf("place %d: the channel's mean went from %v to %v", place, m.Before, m.After)
		}
	}
	c := must(s.CheckGradient("dense2.bias", 1, 0))
	if math.Abs(c.Gradient-c.Difference) > 1e-3 {
		t.Errorf("the pass has changed: gradient %v, difference %v", c.Gradient, c.Difference)
	}
}

// TestFeatures compares features with the values of a pass, and projects points that lie in a plane.
func TestFeatures(t *testing.T) {
	s := open(t, newCPU(t), must(recipe.Load("mnist")).Model(10), inspect.Options{Input: nn.Shape{28, 28, 1}, Seed: 2})
	pictures := [][]byte{pixels(1, 784), pixels(2, 784), pixels(3, 784)}
	features := must(s.Features(context.Background(), pictures, nil))
	width := features.Width
	pass := must(s.Forward(pictures[1]))
	if width != 256 || !slices.Equal(features.Values[width:2*width], pass.Values[s.FeaturePlace()]) {
		t.Errorf("features of %d numbers, which are not those of the pass", width)
	}
	if len(features.Answers) != 30 || !slices.Equal(features.Answers[10:20], pass.Answer) {
		t.Errorf("answers %v, the pass has %v", features.Answers, pass.Answer)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Features(ctx, pictures, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestPCA(t *testing.T) {
	u, v := []float64{0.6, 0, 0.8, 0, 0}, []float64{0, 1, 0, 0, 0}
	for _, n := range []int{4, 50} { // fewer points than dimensions, and more
		var points []float32
		a, b := random(1, n), random(2, n)
		var meanA, meanB float64
		for i := range n {
			meanA, meanB = meanA+float64(a[i])/float64(n), meanB+float64(b[i])/float64(n)
			for k := range u {
				points = append(points, float32(7+10*float64(a[i])*u[k]+0.1*float64(b[i])*v[k]))
			}
		}
		p := must(inspect.PCA(points, 5))
		for i := range n {
			if d := math.Abs(float64(p.X[i]) - 10*(float64(a[i])-meanA)); d > 0.05 {
				t.Fatalf("point %d is at %v, want %v", i, p.X[i], 10*(float64(a[i])-meanA))
			}
		}
		if p.Explained[0] < 0.99 || math.Abs(p.Explained[0]+p.Explained[1]-1) > 1e-6 {
			t.Errorf("explained %v, want nearly 1 and the rest", p.Explained)
		}
	}
	if _, err := inspect.PCA(make([]float32, 7), 3); err == nil {
		t.Error("7 numbers are no points of 3 dimensions")
	}
	if _, err := inspect.PCA([]float32{1, 2, float32(math.NaN()), 3, 4, 5}, 2); err == nil {
		t.Error("NaN has no principal components")
	}
}

// TestMisuse: wrong arguments are errors that say what is right, and never panics.
func TestMisuse(t *testing.T) {
	dev := newCPU(t)
	s := example(t, dev)
	_, early := s.Backward(0)
	if !errors.Is(early, inspect.ErrNoForward) {
		t.Errorf("backward first: %v", early)
	}
	must(s.ForwardValues(exampleImage))
	if _, err := s.Explain(inspect.Question{Of: inspect.Gradient}); !errors.Is(err, inspect.ErrNoBackward) {
		t.Errorf("a gradient before Backward: %v", err)
	}
	if _, err := s.Step(optim.Config{Algorithm: "sgd", LR: 0.1}); !errors.Is(err, inspect.ErrNoBackward) {
		t.Errorf("a step before Backward: %v", err)
	}
	must(s.Backward(1))
	for name, err := range map[string]error{
		"few bytes":        second(s.Forward(make([]byte, 3))),
		"few values":       second(s.ForwardValues(nil)),
		"label":            second(s.Backward(2)),
		"negative label":   second(s.Backward(-1)),
		"place":            second(s.Explain(inspect.Question{Of: inspect.Value, Place: 99})),
		"element":          second(s.Explain(inspect.Question{Of: inspect.Gradient, Place: 1, Index: 16})),
		"softmax gradient": second(s.Explain(inspect.Question{Of: inspect.Gradient, Place: 6})),
		"quantity":         second(s.Explain(inspect.Question{Of: "colour"})),
		"tensor":           second(s.Explain(inspect.Question{Of: inspect.WeightGradient, Tensor: "conv9.weight"})),
		"weight":           second(s.Explain(inspect.Question{Of: inspect.WeightGradient, Tensor: "conv1.weight", Index: 4})),
		"weights":          second(s.Weights("")),
		"check":            second(s.CheckGradient("conv1.weight", 0, -1)),
		"check element":    second(s.CheckGradient("conv1.weight", -1, 0)),
		"saliency":         second(s.Saliency(5)),
		"vector":           second(s.GradCAM(0, 4)),
		"GradCAM place":    second(s.GradCAM(0, -2)),
		"square":           second(s.Occlusion(0, 6, 1)),
		"channel":          second(s.Maximize(1, 1, inspect.Maximization{})),
		"input":            second(s.Maximize(0, 0, inspect.Maximization{})),
		"steps":            second(s.Maximize(1, 0, inspect.Maximization{Steps: 1e9})),
		"shape":            second(inspect.New(dev, exampleModel, inspect.Options{Input: nn.Shape{5, 5}})),
		"means":            second(inspect.New(dev, exampleModel, inspect.Options{Input: nn.Shape{5, 5, 1}, Mean: []float32{1, 2}})),
		"other network":    s.CopyWeights(must(nn.Compile(dev, nn.Dense{Out: 2}, nn.Options{Input: nn.Shape{3}, Batch: 1}))),
	} {
		var mistake *inspect.ArgumentError
		if !errors.As(err, &mistake) {
			t.Errorf("%s: %v, want an ArgumentError", name, err)
		}
	}
	var layer *nn.LayerError
	if _, err := inspect.New(dev, exampleModel, inspect.Options{Input: nn.Shape{1, 1, 1}}); !errors.As(err, &layer) {
		t.Errorf("a picture that is too small: %v", err)
	}
	explainAll(t, s, 1) // everything still works
	if m := s.Memory(); m.Device < 1000 || m.Host < 500 {
		t.Errorf("memory %+v", m)
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Error(err)
	}
	for name, err := range map[string]error{
		"forward": second(s.Forward(make([]byte, 25))), "backward": second(s.Backward(0)), "explain": second(s.Explain(inspect.Question{})),
		"weights": second(s.Weights("conv1.bias")), "saliency": second(s.Saliency(0)), "maximize": second(s.Maximize(1, 0, inspect.Maximization{})),
		"GradCAM": second(s.GradCAM(0, -1)), "check": second(s.CheckGradient("", 0, 0)), "step": second(s.Step(optim.Config{})),
	} {
		if !errors.Is(err, inspect.ErrClosed) {
			t.Errorf("%s after Close: %v", name, err)
		}
	}
	if s.Memory() != (inspect.Memory{}) || len(s.Places()) != 8 || s.Classes() != 2 {
		t.Error("a closed session has memory or lost its places")
	}
}

func second[T any](_ T, err error) error { return err }

// TestManyGoroutines uses a session from several goroutines; run it with -race.
func TestManyGoroutines(t *testing.T) {
	s := example(t, newCPU(t))
	must(s.ForwardValues(exampleImage))
	must(s.Backward(0))
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range 10 {
				_, _ = s.ForwardValues(exampleImage)
				_, _ = s.Backward(i % 2)
				_, _ = s.Explain(inspect.Question{Of: inspect.Value, Place: 1, Index: i})
				_, _ = s.GradCAM(0, -1)
				_ = s.Memory()
				_ = s.FeaturePlace()
			}
		})
	}
	all.Go(func() { s.Close() })
	all.Wait()
}

// TestIgnoredLabel: a loss that ignores a label has no gradient for it.
func TestIgnoredLabel(t *testing.T) {
	ignored := int32(1)
	s := open(t, newCPU(t), exampleModel, inspect.Options{Input: nn.Shape{5, 5, 1}, Loss: nn.CrossEntropy{LossWeights: nn.LossWeights{IgnoreIndex: &ignored}}})
	must(s.ForwardValues(exampleImage))
	if _, err := s.Backward(1); err == nil {
		t.Error("want an error for the label that the loss ignores")
	}
	must(s.Backward(0))
}

// TestLosses explains all losses with all their settings.
func TestLosses(t *testing.T) {
	dev := newCPU(t)
	weights := nn.LossWeights{ClassWeights: []float32{0.5, 2, 1}}
	for k, l := range []nn.Loss{
		nn.CrossEntropy{}, nn.CrossEntropy{Smoothing: 0.2}, nn.CrossEntropy{Sum: true, LossWeights: weights}, nn.CrossEntropy{Smoothing: 0.1, LossWeights: weights},
		nn.CrossEntropy{LossWeights: nn.LossWeights{Balanced: true}}, nn.MeanSquaredError{}, nn.MeanSquaredError{Sum: true, LossWeights: weights},
		nn.FocalLoss{}, nn.FocalLoss{Gamma: 0.7, Sum: true, LossWeights: weights}, unexplained{nn.CrossEntropy{}},
	} {
		s := open(t, dev, nn.NewSequential(nn.Flatten{}, nn.Dense{Out: 3}), inspect.Options{Input: nn.Shape{2, 2, 1}, Loss: l, ClassCounts: func() ([]int, error) { return []int{2, 5, 3}, nil }})
		for label := range 3 {
			must(s.ForwardValues(random(uint64(k), 4)))
			must(s.Backward(label))
			explainAll(t, s, 1)
		}
	}
	for _, k := range nn.LossKinds() {
		if _, ok := k.New().(nn.ExplainedLoss); !ok {
			t.Errorf("the loss %s doesn't describe itself", k.Name)
		}
	}
}

// unexplained hides a loss's explanation.
type unexplained struct{ nn.Loss }

// TestFormulasAreDocumented: a rule's formula stands in the documentation of its layer, so that page and source say the same.
func TestFormulasAreDocumented(t *testing.T) {
	docs := sources(t)
	has := func(what, formula string) {
		for line := range strings.SplitSeq(formula, "\n") {
			if !strings.Contains(docs, squeeze(line)) {
				t.Errorf("%s: the formula %q stands in no comment of package nn", what, line)
			}
		}
	}
	for _, k := range nn.LayerKinds() {
		if _, ok := k.New().(nn.ExplainedLayer); !ok {
			t.Errorf("the layer %s doesn't describe itself", k.Name)
		}
	}
	dev := newCPU(t)
	for _, model := range layers() {
		for _, p := range open(t, dev, model, inspect.Options{Input: nn.Shape{6, 5, 4}}).Places() {
			if p.Kind != inspect.KindInput && p.Kind != inspect.KindSoftmax {
				has(p.Kind, p.Formula.Forward)
				has(p.Kind, p.Formula.Backward)
				has(p.Kind, p.Formula.Weights)
			}
		}
	}
	for _, k := range nn.LossKinds() {
		rule, err := k.New().(nn.ExplainedLoss).Explain(3, nil)
		if err != nil {
			t.Fatal(err)
		}
		has(k.Name, rule.Forward)
		has(k.Name, rule.Backward)
	}
}

// BenchmarkForward is a frame of the page: both numbers for the network mnist.
func BenchmarkForward(b *testing.B) {
	s := open(b, newCPU(b), must(recipe.Load("mnist")).Model(10), inspect.Options{Input: nn.Shape{28, 28, 1}})
	p := pixels(1, 784)
	for b.Loop() {
		must(s.Forward(p))
	}
}

func BenchmarkBackward(b *testing.B) {
	s := open(b, newCPU(b), must(recipe.Load("mnist")).Model(10), inspect.Options{Input: nn.Shape{28, 28, 1}})
	must(s.Forward(pixels(1, 784)))
	for b.Loop() {
		must(s.Backward(3))
	}
}
