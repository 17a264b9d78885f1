//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"math"
	"testing"

	"trainer/nn"
	"trainer/nn/inspect"
	"trainer/nn/optim"
)

// TestInspect compares explanations with the device's numbers, and undoes a step: package inspect uses a device in ways that
// training doesn't, one picture at a time and without fused layers.
func TestInspect(t *testing.T) {
	dev := anyDevice(t)
	model := nn.NewSequential(
		nn.Conv2D{OutC: 3, Kernel: nn.Square(3)}, nn.BatchNorm{}, nn.ReLU{}, nn.Residual{Body: nn.Conv2D{OutC: 3, Kernel: nn.Square(3), Same: true}},
		nn.MaxPool2D{Kernel: nn.Square(2)}, nn.Dropout{Rate: 0.5}, nn.Flatten{}, nn.Dense{Out: 3})
	s, err := inspect.New(dev, model, inspect.Options{Input: nn.Shape{6, 6, 2}, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	pixels := make([]byte, 72)
	for i := range pixels {
		pixels[i] = byte(37 * i)
	}
	if _, err := s.Forward(pixels); err != nil {
		t.Fatal(err)
	}
	back, err := s.Backward(1)
	if err != nil {
		t.Fatal(err)
	}
	questions := []inspect.Question{}
	for k, p := range s.Places() {
		questions = append(questions, inspect.Question{Of: inspect.Value, Place: k, Index: p.Shape.Len() / 2})
		if p.Kind != inspect.KindSoftmax {
			questions = append(questions, inspect.Question{Of: inspect.Gradient, Place: k, Index: p.Shape.Len() / 2})
		}
	}
	for name, g := range back.Weights {
		questions = append(questions, inspect.Question{Of: inspect.WeightGradient, Tensor: name, Index: len(g) / 2})
	}
	for _, q := range questions {
		e, err := s.Explain(q)
		if err != nil {
			t.Fatal(err)
		}
		if d := math.Abs(e.Result - e.Engine); !(d <= e.Tolerance) {
			t.Errorf("%s of %s%v: %s, the device has %v: off by %.2g, want at most %.2g", e.Of, e.Name, e.At, e.Numbers, e.Engine, d, e.Tolerance)
		}
	}
	step, err := s.Step(optim.Config{Algorithm: "adam", LR: 0.01})
	if err != nil {
		t.Fatal(err)
	}
	if !(step.LossAfter < step.LossBefore) {
		t.Errorf("a step took the loss from %v to %v", step.LossBefore, step.LossAfter)
	}
	_, again, err := s.Undo()
	if err != nil || again.Loss != back.Loss {
		t.Errorf("undone: %v, a loss of %v, before %v", err, again.Loss, back.Loss)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
