package inspect_test

import (
	"fmt"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"trainer/nn"
	"trainer/nn/device"
	"trainer/nn/inspect"
	"trainer/nn/optim"
	"trainer/nn/recipe"
)

// exampleModel and exampleImage are the network and the image of the worked example in docs/backpropagation.md.
var (
	exampleModel = nn.NewSequential(
		nn.Conv2D{OutC: 1, Kernel: nn.Square(2)}, nn.ReLU{}, nn.MaxPool2D{Kernel: nn.Square(2)}, nn.Flatten{}, nn.Dense{Out: 2})
	exampleImage = []float32{
		0, 1, 2, 1, 0,
		0, 0, 1, 2, 0,
		1, 0, 0, 2, 1,
		2, 1, 0, 1, 0,
		0, 2, 1, 0, 1,
	}
)

// example opens the worked example.
func example(t *testing.T, dev device.Device) *inspect.Session {
	t.Helper()
	s := must(inspect.WorkedExample(dev)).Session
	t.Cleanup(func() { s.Close() })
	return s
}

// TestWorkedExample compares the passes and the step with the numbers that docs/backpropagation.md prints, for the image as
// bytes and as values.
func TestWorkedExample(t *testing.T) {
	x := must(inspect.WorkedExample(newCPU(t)))
	defer x.Session.Close()
	checkExample(t, x, must(x.Session.Forward(x.Pixels)))
	if _, _, err := x.Session.Reset(); err != nil {
		t.Fatal(err)
	}
	checkExample(t, x, must(x.Session.ForwardValues(exampleImage)))
}

func checkExample(t *testing.T, x *inspect.Example, pass *inspect.Pass) {
	t.Helper()
	s := x.Session
	back := must(s.Backward(x.Label))
	step := must(s.Step(s.Settings(optim.SGD{}, x.Rate)))
	weights := func(name string) []float32 { return must(s.Weights(name)) }
	printed := examples(t)
	computed := map[string][]float32{
		"image": pass.Values[0], "conv": pass.Values[1], "relu": pass.Values[2], "pool": pass.Values[3], "logits": pass.Values[5],
		"softmax": pass.Values[6], "loss": {float32(back.Loss)}, "filter": before(s, step, "conv1.weight"), "filter-bias": before(s, step, "conv1.bias"),
		"weight": before(s, step, "dense1.weight"), "weight-bias": before(s, step, "dense1.bias"),
		"d-image": back.Values[0], "d-conv": back.Values[1], "d-relu": back.Values[2], "d-pool": back.Values[3], "d-logits": back.Values[5],
		"d-filter": back.Weights["conv1.weight"], "d-filter-bias": back.Weights["conv1.bias"],
		"d-weight": back.Weights["dense1.weight"], "d-weight-bias": back.Weights["dense1.bias"],
		"new-filter": weights("conv1.weight"), "new-filter-bias": weights("conv1.bias"),
		"new-weight": weights("dense1.weight"), "new-weight-bias": weights("dense1.bias"),
		"new-softmax": step.Pass.Values[6], "new-loss": {float32(step.LossAfter)},
	}
	for name, want := range printed {
		got, ok := computed[name]
		if !ok || len(want) != len(got) {
			t.Errorf("%s: the document has %d numbers, the session %d", name, len(want), len(got))
			continue
		}
		for i := range want {
			if d := math.Abs(want[i].value - float64(got[i])); !(d <= want[i].unit/2+1e-6) {
				t.Errorf("%s: number %d is %v in the document, %v in the session", name, i, want[i].value, got[i])
			}
		}
	}
	if step.LossBefore != back.Loss || step.LossAfter != step.Gradients.Loss || step.Number != 1 {
		t.Errorf("step %d from a loss of %v to %v, want 1, %v, %v", step.Number, step.LossBefore, step.LossAfter, back.Loss, step.Gradients.Loss)
	}
}

// before returns the values of a tensor before a step.
func before(s *inspect.Session, step *inspect.Step, name string) []float32 {
	values := must(s.Weights(name))
	for i, d := range step.Changes[name] {
		values[i] -= d
	}
	return values
}

// number is a printed number and the place value of its last digit.
type number struct{ value, unit float64 }

// examples returns the numbers in the document's blocks ```text example:NAME.
func examples(t *testing.T) map[string][]number {
	t.Helper()
	text := must(os.ReadFile("../../docs/backpropagation.md"))
	blocks := map[string][]number{}
	for _, m := range regexp.MustCompile("(?ms)^```text example:(\\S+)\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		for _, field := range strings.Fields(m[2]) {
			_, decimals, _ := strings.Cut(field, ".")
			blocks[m[1]] = append(blocks[m[1]], number{must(strconv.ParseFloat(field, 64)), math.Pow(10, -float64(len(decimals)))})
		}
	}
	if len(blocks) < 20 {
		t.Fatalf("found %d blocks of numbers in the document", len(blocks))
	}
	return blocks
}

// TestExplainsWorkedExample checks what the text of the example says about single numbers.
func TestExplainsWorkedExample(t *testing.T) {
	s := example(t, newCPU(t))
	must(s.ForwardValues(exampleImage))
	must(s.Backward(0))
	for _, c := range []struct {
		q       inspect.Question
		numbers string
	}{
		{inspect.Question{Of: inspect.Value, Place: 1, Index: 0}, "0*0.5 + 1*(-0.5) + 0*(-0.25) + 0*1 - 0.5 = -1"},
		{inspect.Question{Of: inspect.Value, Place: 1, Index: 2}, "2*0.5 + 1*(-0.5) + 1*(-0.25) + 2*1 - 0.5 = 1.75"},
		{inspect.Question{Of: inspect.Value, Place: 3, Index: 0}, "max(0, 0, 0, 0) = 0"},
		{inspect.Question{Of: inspect.Value, Place: 2, Index: 0}, "f(-1) = 0"},
		{inspect.Question{Of: inspect.Value, Place: 5, Index: 0}, "0*0.2 + 1.75*0.4 + 2*(-0.3) + 1*0.1 + 0 = 0.2"},
		{inspect.Question{Of: inspect.Value, Place: 6, Index: 0}, "exp(0.2) / sum_j exp(z[j]) = 0.43823 / 1.4382 = 0.3047"},
		{inspect.Question{Of: inspect.Gradient, Place: 4, Index: 1}, "-0.6953*0.4 + 0.6953*0.3 = -0.06953"},
		{inspect.Question{Of: inspect.WeightGradient, Tensor: "conv1.bias"}, "0 + 0 - 0.06953 + 0 + 0 + 0 + 0 + 0 + 0 + 0 + 0 + 0 + 0.27812 + 0 + 0 + 0.06953 = 0.27812"},
		{inspect.Question{Of: inspect.WeightGradient, Tensor: "conv1.weight", Largest: 3}, "-0.06953*2 + 0.27812*2 + 0.06953*1 + 13 more terms = 0.48671"},
		{inspect.Question{Of: inspect.Value, Place: 7}, "1.3884 - 0.2 = 1.1884"},
		{inspect.Question{Of: inspect.Gradient, Place: 5}, "0.3047 - 1 = -0.6953"},
		{inspect.Question{Of: inspect.Gradient, Place: 2, Index: 12}, "0.27812 = 0.27812"},
		{inspect.Question{Of: inspect.Gradient, Place: 1, Index: 0}, "-0.20859*0 = 0"},
	} {
		e, err := s.Explain(c.q)
		if err != nil {
			t.Errorf("%+v: %v", c.q, err)
		} else if e.Numbers != c.numbers {
			t.Errorf("%s of %s%v: %s, want %s", e.Of, e.Name, e.At, e.Numbers, c.numbers)
		}
	}
	e := must(s.Explain(inspect.Question{Of: inspect.Value, Place: 1, Index: 2}))
	if want := (inspect.Window{Place: 0, Top: 0, Left: 2, Rows: 2, Columns: 2, DilationH: 1, DilationW: 1, Channels: 1}); e.Window == nil || *e.Window != want {
		t.Errorf("window %+v, want %+v", e.Window, want)
	}
	if got := e.Terms[3].Label; got != "x[1,3,0] w[0,1,1,0]" {
		t.Errorf("label %q", got)
	}
	e = must(s.Explain(inspect.Question{Of: inspect.Value, Place: 3, Index: 2}))
	if e.Winner == nil || e.Winner.Index != 12 || len(e.Candidates) != 4 {
		t.Errorf("winner %+v of %d, want element 12 of 4", e.Winner, len(e.Candidates))
	}
	if again := must(s.Explain(e.Question)); fmt.Sprintf("%+v", again.Sum) != fmt.Sprintf("%+v", e.Sum) {
		t.Errorf("asked again: %v, before %v", again.Sum, e.Sum)
	}
}

// TestEqualsTrainingStep compares the loss and the gradients with those of a training step of the ordinary engine with the
// same weights and picture. Normalisations are frozen there, so that their statistics are the running ones; their own
// gradients are checked by finite differences.
func TestEqualsTrainingStep(t *testing.T) {
	dev := newCPU(t)
	for name, c := range map[string]struct {
		model  nn.Layer
		in     nn.Shape
		freeze []string
	}{
		"mnist":         {must(recipe.Load("mnist")).Model(10), nn.Shape{28, 28, 1}, nil},
		"mnist-basic":   {must(recipe.Load("mnist-basic")).Model(10), nn.Shape{28, 28, 1}, nil},
		"cifar10-basic": {withoutDropout(must(recipe.Load("cifar10-basic")).Model(10)), nn.Shape{16, 16, 3}, []string{"norm*"}},
		"norms": {nn.NewSequential(nn.Conv2D{OutC: 6, Kernel: nn.Square(3)}, nn.BatchNorm{}, nn.Residual{Body: nn.NewSequential(nn.ReLU{}, nn.BatchNorm{}), Shortcut: nn.Conv2D{OutC: 6, Kernel: nn.Square(1)}},
			nn.ReLU{}, nn.GlobalAvgPool{}, nn.Dense{Out: 10}), nn.Shape{9, 9, 2}, []string{"norm*", "residual1.body.norm1"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, dev, c.model, inspect.Options{Input: c.in, Seed: 4})
			net := must(nn.Compile(dev, c.model, nn.Options{Input: c.in, Batch: 1, Seed: 4, Training: true, Loss: nn.CrossEntropy{}, Freeze: c.freeze}))
			for i, p := range net.State() {
				values := random(uint64(i), p.Value.Len())
				for k, v := range values {
					values[k] = 0.5 + v*v
				}
				if err := dev.Upload(p.Value, device.Bytes(values)); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.CopyWeights(net); err != nil {
				t.Fatal(err)
			}
			x := random(8, c.in.Len())
			pass := must(s.ForwardValues(x))
			back := must(s.Backward(3))

			images := must(dev.NewTensor(device.Float32, append([]int{1}, c.in...)...))
			labels := must(dev.NewTensor(device.Int32, 1))
			if err := dev.Upload(images, device.Bytes(x)); err != nil {
				t.Fatal(err)
			}
			if err := dev.Upload(labels, device.Bytes([]int32{3})); err != nil {
				t.Fatal(err)
			}
			logits := download(t, dev, net.Forward(images, nn.Training))
			net.Loss(labels)
			net.Backward(labels)
			same(t, "logits", pass.Values[len(pass.Values)-3], logits)
			same(t, "loss", []float32{float32(back.Loss)}, download(t, dev, net.Stats())[:1])
			for _, p := range net.Params() {
				if p.Grad != nil {
					same(t, "gradient of "+p.Name, back.Weights[p.Name], download(t, dev, p.Grad))
				}
			}
		})
	}
}

// withoutDropout takes the dropout layers out of a chain, which the ordinary engine would apply.
func withoutDropout(s *nn.Sequential) *nn.Sequential {
	out := &nn.Sequential{}
	for _, l := range s.Layers {
		if l.Kind() == "dropout" {
			l = nn.Dropout{}
		}
		out.Layers = append(out.Layers, l)
	}
	return out
}

// same compares numbers up to 2e-5 of the largest: fused and separate layers round at different places.
func same(t *testing.T, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d numbers, want %d", what, len(got), len(want))
		return
	}
	scale := 0.0
	for _, v := range want {
		scale = max(scale, math.Abs(float64(v)))
	}
	for i := range want {
		if d := math.Abs(float64(got[i]) - float64(want[i])); !(d <= 2e-5*scale) {
			t.Errorf("%s: number %d is %v, a training step has %v", what, i, got[i], want[i])
			return
		}
	}
}

func download(t *testing.T, dev device.Device, x *device.Tensor) []float32 {
	t.Helper()
	values := make([]float32, x.Len())
	if err := dev.Download(device.Bytes(values), x); err != nil {
		t.Fatal(err)
	}
	return values
}

// TestFiniteDifferences checks the gradient of a smooth network at the picture and at all weights of small tensors.
func TestFiniteDifferences(t *testing.T) {
	dev := newCPU(t)
	model := nn.NewSequential(nn.Conv2D{OutC: 3, Kernel: nn.Square(3)}, nn.BatchNorm{}, nn.Tanh{},
		nn.Concat{Branches: []nn.Layer{nil, nn.Conv2D{OutC: 2, Kernel: nn.Square(1)}}}, nn.Residual{Body: nn.NewSequential(nn.BatchNorm{}, nn.GELU{}, nn.Dropout{Rate: 0.3})},
		nn.GlobalAvgPool{}, nn.Dense{Out: 4})
	s := open(t, dev, model, inspect.Options{Input: nn.Shape{6, 6, 2}, Loss: nn.CrossEntropy{Smoothing: 0.1}})
	disturb(t, dev, s, model)
	x := random(5, 72)
	must(s.ForwardValues(x))
	back := must(s.Backward(1))
	for name, g := range back.Weights {
		for i := range g {
			c, err := s.CheckGradient(name, i, 0)
			if err != nil {
				t.Fatal(err)
			}
			// h^2/6 times the third derivative is below 1e-4 here.
			if d := math.Abs(c.Difference - c.Gradient); !(d <= c.Tolerance+1e-4) || c.Tolerance > 1e-3 {
				t.Errorf("%s[%d]: difference %v, gradient %v, tolerance %v", name, i, c.Difference, c.Gradient, c.Tolerance)
			}
		}
	}
	// The check leaves everything as it was.
	again := must(s.Backward(1))
	for name := range back.Weights {
		if fmt.Sprint(again.Weights[name]) != fmt.Sprint(back.Weights[name]) {
			t.Errorf("the gradient of %s has changed", name)
		}
	}
	const h = 1.0 / 64
	for i := 0; i < len(x); i += 7 {
		loss := func(v float32) float64 {
			moved := append([]float32(nil), x...)
			moved[i] = v
			must(s.ForwardValues(moved))
			return must(s.Backward(1)).Loss
		}
		got, want := float64(back.Values[0][i]), (loss(x[i]+h)-loss(x[i]-h))/(2*h)
		if math.Abs(got-want) > 2e-4 {
			t.Errorf("gradient at input %d is %v, the difference %v", i, got, want)
		}
	}
}
