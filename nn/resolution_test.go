package nn_test

import (
	"slices"
	"strings"
	"testing"

	"trainer/nn"
)

// anySize is a network for images of any size.
func anySize() nn.Layer {
	return nn.NewSequential(
		nn.Conv2D{OutC: 4, Kernel: nn.Square(3), Same: true}, nn.MaxPool2D{Kernel: nn.Square(2)}, nn.BatchNorm{}, nn.GELU{},
		nn.Residual{Body: nn.NewSequential(nn.Conv2D{OutC: 4, Kernel: nn.Square(3), Same: true}, nn.BatchNorm{})},
		nn.Dropout{Rate: 0.2}, nn.GlobalMaxPool{}, nn.Dense{Out: 3},
	)
}

// A network for another size computes what a network compiled for that size computes, with the parameters of the first; the
// first computes the same as before afterwards.
func TestForInput(t *testing.T) {
	dev := newCPU(t)
	opt := nn.Options{Input: nn.Shape{8, 8, 2}, Batch: 3, Training: true, Seed: 5, Loss: nn.CrossEntropy{}}
	small := opt
	small.Input = nn.Shape{5, 6, 2}
	whole, own := compile(t, dev, anySize(), opt), compile(t, dev, anySize(), small)
	shared, err := whole.ForInput(small.Input)
	if err != nil {
		t.Fatal(err)
	}
	labels := newLabels(t, dev, 0, 1, 2)
	step := func(n *nn.Network) [][]float32 {
		x := newTensor(t, dev, random(1, 3*n.Input().Len()), append([]int{3}, n.Input()...)...)
		results := [][]float32{slices.Clone(download(t, dev, n.Forward(x, nn.Training)))}
		n.Loss(labels)
		n.Backward(labels)
		for _, p := range n.Params() {
			results = append(results, slices.Clone(download(t, dev, p.Grad)))
		}
		for _, p := range n.State() {
			results = append(results, slices.Clone(download(t, dev, p.Value)))
		}
		return results
	}
	same := func(what string, got, want [][]float32) {
		t.Helper()
		for i := range want {
			if !slices.Equal(got[i], want[i]) {
				t.Errorf("%s: result %d is %v, want %v", what, i, got[i], want[i])
			}
		}
	}
	same("the smaller size", step(shared), step(own))
	again := compile(t, dev, anySize(), opt)
	for i, p := range whole.State() { // both have the running statistics of the first step
		dev.Copy(again.State()[i].Value, p.Value)
	}
	same("the first size afterwards", step(whole), step(again))
	if got, most := shared.Memory(), own.Memory(); got >= most {
		t.Errorf("the network for the smaller size takes %d bytes, want less than the %d of a network of its own", got, most)
	}
	if got, want := shared.FLOPs(), own.FLOPs(); got != want {
		t.Errorf("its FLOPs are %d, want %d", got, want)
	}
	if n := testing.AllocsPerRun(5, func() {
		shared.Backward(labels)
	}); n > 0 {
		t.Errorf("a backward pass allocates %v times", n)
	}
}

func TestForInputErrors(t *testing.T) {
	dev := newCPU(t)
	for _, c := range []struct {
		name  string
		model nn.Layer
		in    nn.Shape
		want  string
	}{
		{"flatten", nn.NewSequential(nn.Flatten{}, nn.Dense{Out: 3}), nn.Shape{4, 4, 2}, "weight is [32 3], and [128 3] for images of 8x8x2"},
		{"too small", nn.NewSequential(nn.Conv2D{OutC: 2, Kernel: nn.Square(7)}, nn.GlobalAvgPool{}, nn.Dense{Out: 3}), nn.Shape{4, 4, 2}, "needs at least 7x7"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := compile(t, dev, c.model, nn.Options{Input: nn.Shape{8, 8, 2}, Batch: 2, Training: true, Loss: nn.CrossEntropy{}})
			if _, err := n.ForInput(c.in); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error is %v, want one with %q", err, c.want)
			}
		})
	}
}
