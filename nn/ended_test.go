package nn_test

import (
	"slices"
	"strings"
	"testing"

	"trainer/nn"
)

// Gradients that nothing needs are not computed, and the others keep their bits.
func TestEndTraining(t *testing.T) {
	dev := newCPU(t)
	for _, c := range []struct {
		name  string
		ended []string
		want  int // backward passes of the three layers that count them
	}{
		{"nothing", nil, 3},
		{"not all before a layer", []string{"conv1.weight", "norm1."}, 3},
		{"a parameter in the middle", []string{"norm1."}, 3},
		{"the first layer", []string{"conv1."}, 2},
		{"two layers", []string{"conv1.", "norm1."}, 1},
		{"everything", []string{"conv1.", "norm1.", "conv2.", "dense1."}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			count := 0
			model := nn.NewSequential(nn.Conv2D{OutC: 2, Kernel: nn.Square(3)}, passing{&count}, nn.BatchNorm{}, passing{&count},
				nn.Conv2D{OutC: 3, Kernel: nn.Square(2)}, passing{&count}, nn.Flatten{}, nn.Dense{Out: 3})
			n := compile(t, dev, model, nn.Options{Input: nn.Shape{5, 5, 1}, Batch: 2, Training: true, Loss: nn.CrossEntropy{}})
			x, labels := newTensor(t, dev, random(1, 50), 2, 5, 5, 1), newLabels(t, dev, 0, 1)
			step := func() map[string][]float32 {
				count = 0
				n.Forward(x, nn.Training)
				n.Backward(labels)
				grads := map[string][]float32{}
				for _, p := range n.Params() {
					grads[p.Name] = download(t, dev, p.Grad)
				}
				return grads
			}
			whole := step()
			ended := func(p *nn.Param) bool {
				return slices.ContainsFunc(c.ended, func(prefix string) bool { return strings.HasPrefix(p.Name, prefix) })
			}
			if changed := n.EndTraining(ended); changed != (c.want < 3) {
				t.Errorf("the work changed: %v", changed)
			}
			if n.EndTraining(ended) {
				t.Error("the work changed again")
			}
			shorter := step()
			if count != c.want {
				t.Errorf("%d backward passes, want %d", count, c.want)
			}
			for _, p := range n.Params() {
				got, want := shorter[p.Name], whole[p.Name]
				isZero := !slices.ContainsFunc(got, func(v float32) bool { return v != 0 })
				if !slices.Equal(got, want) && !(ended(p) && isZero) {
					t.Errorf("the gradient of %s is %v, want %v", p.Name, got, want)
				}
			}
			n.EndTraining(func(*nn.Param) bool { return false })
			again := step()
			for name, want := range whole {
				if !slices.Equal(again[name], want) {
					t.Errorf("begun again: the gradient of %s is %v, want %v", name, again[name], want)
				}
			}
		})
	}
}
