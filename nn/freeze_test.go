package nn_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"trainer/nn"
	"trainer/nn/device"
)

// everyKind is a network with each kind of layer that has parameters, each between two that are trained.
func everyKind() *nn.Sequential {
	conv := func(name string) nn.Layer {
		return nn.Named(name, nn.Conv2D{OutC: 4, Kernel: nn.Square(3), Same: true})
	}
	return nn.NewSequential(
		conv("first"), nn.Named("still-bn", nn.BatchNorm{}), nn.Tanh{}, conv("still-pooled"), nn.ReLU{}, nn.MaxPool2D{Kernel: nn.Square(2)},
		conv("second"), nn.Named("still-group", nn.GroupNorm{Groups: 2}), nn.Named("still-prelu", nn.PReLU{}),
		nn.Named("still-residual", nn.Residual{Body: nn.NewSequential(conv("a"), nn.BatchNorm{}, nn.GELU{}), Shortcut: conv("b")}),
		nn.Named("half", nn.Residual{Body: nn.NewSequential(conv("still-a"), nn.BatchNorm{}, nn.ReLU{}, conv("c"))}),
		nn.Named("still-scale", nn.ChannelScale{Reduction: 2}), conv("third"), nn.Flatten{},
		nn.Named("still-dense", nn.Dense{Out: 6}), nn.Named("still-vector", nn.BatchNorm{}), nn.Tanh{}, nn.Named("head", nn.Dense{Out: 10}),
	)
}

func TestGradientsThroughFrozenLayers(t *testing.T) {
	checkNetwork(t, everyKind(), nn.Shape{6, 6, 3}, nn.CrossEntropy{}, "still-*", "half.body.still-a")
	checkNetwork(t, everyKind(), nn.Shape{6, 6, 3}, nn.CrossEntropy{}, "first", "still-*", "second") // nothing before "half" is trained
}

// still is a configuration in which a network has frozen layers, with Backward's work done for two steps.
func still(t *testing.T, dev device.Device, opt nn.Options) (*nn.Network, func()) {
	t.Helper()
	opt.Input, opt.Batch, opt.Training, opt.Seed, opt.Loss = nn.Shape{6, 6, 3}, 6, true, 5, nn.CrossEntropy{}
	n := compile(t, dev, everyKind(), opt)
	x := newTensor(t, dev, random(7, 6*108), 6, 6, 6, 3)
	labels := newLabels(t, dev, 0, 3, 9, 3, 1, 7)
	return n, func() {
		n.Forward(x, nn.Training)
		n.Backward(labels)
	}
}

// Frozen layers have no gradients, and their running statistics stay; the others are as usual.
func TestFrozenLayersStayAsTheyAre(t *testing.T) {
	dev := newCPU(t)
	n, step := still(t, dev, nn.Options{Freeze: []string{"still-*"}})
	step()
	for _, p := range n.Params() {
		if frozen := strings.HasPrefix(p.Name, "still-"); (p.Grad == nil) != frozen {
			t.Errorf("%s: gradient %v", p.Name, p.Grad)
		}
	}
	for _, p := range n.State() {
		kept := true
		for _, v := range download(t, dev, p.Value) {
			kept = kept && (v == 0 || v == 1)
		}
		if frozen := strings.HasPrefix(p.Name, "still-"); kept != frozen || p.Frozen != frozen {
			t.Errorf("%s: kept %v, Frozen %v", p.Name, kept, p.Frozen)
		}
	}
}

// Before the freeze ends, gradients of frozen parameters are 0; afterwards they are those of a network in which nothing was
// frozen.
func TestThawing(t *testing.T) {
	dev := newCPU(t)
	freeze := []string{"first", "still-*", "second"}
	n, step := still(t, bare{dev}, nn.Options{Freeze: freeze, Thaws: true}) // without fused operations, as frozen ones are
	plain, plainStep := still(t, bare{dev}, nn.Options{})
	step()
	for _, p := range n.Params() {
		layer, _, _ := strings.Cut(p.Name, ".")
		frozen := strings.HasPrefix(layer, "still-") || layer == "first" || layer == "second"
		if zero := !slices.ContainsFunc(download(t, dev, p.Grad), func(v float32) bool { return v != 0 }); zero != frozen || p.Thaws != frozen {
			t.Errorf("%s: gradient of 0 %v, Thaws %v", p.Name, zero, p.Thaws)
		}
	}
	n.SetFrozen(false)
	step()
	plainStep()
	for i, p := range n.Params() {
		if !slices.Equal(download(t, dev, p.Grad), download(t, dev, plain.Params()[i].Grad)) {
			t.Errorf("the gradient of %s is not that of a network without frozen layers", p.Name)
		}
	}
}

// passing is a layer that changes nothing and counts backward passes.
type passing struct{ count *int }

func (passing) Kind() string                                             { return "passing" }
func (passing) OutputShape(in nn.Shape) (nn.Shape, error)                { return in, nil }
func (p passing) Build(b *nn.Builder, _ nn.Shape) (nn.BuiltLayer, error) { return p, nil }

func (passing) Forward(x *device.Tensor, _ nn.Mode) *device.Tensor { return x }
func (p passing) Backward(dy *device.Tensor) *device.Tensor {
	*p.count++
	return dy
}

// What precedes the first trained layer has no backward pass, for the whole training or until the layers thaw.
func TestFrozenBeginningsHaveNoBackwardPass(t *testing.T) {
	dev := newCPU(t)
	for _, thaws := range []bool{false, true} {
		count := 0
		model := nn.NewSequential(passing{&count}, nn.Conv2D{OutC: 2, Kernel: nn.Square(3)}, passing{&count}, nn.BatchNorm{}, passing{&count}, nn.Flatten{}, nn.Dense{Out: 3})
		n := compile(t, dev, model, nn.Options{Input: nn.Shape{5, 5, 1}, Batch: 2, Training: true, Loss: nn.CrossEntropy{}, Freeze: []string{"conv1", "norm*"}, Thaws: thaws})
		x, labels := newTensor(t, dev, random(1, 50), 2, 5, 5, 1), newLabels(t, dev, 0, 1)
		n.Forward(x, nn.Training)
		n.Backward(labels)
		if count != 0 {
			t.Errorf("thaws %v: %d backward passes in frozen layers", thaws, count)
		}
		if !thaws {
			continue
		}
		count = 0
		n.SetFrozen(false)
		n.Forward(x, nn.Training)
		n.Backward(labels)
		if count != 2 {
			t.Errorf("thawed: %d backward passes, want 2", count)
		}
	}
}

func TestPatternsOfFrozenLayersMustMatch(t *testing.T) {
	dev := newCPU(t)
	for pattern, want := range map[string]string{
		"conv9":   `freeze: no layer is named "conv9" (layers: first, still-bn, `,
		"[":       `freeze: "[" is not a pattern of names`,
		"half.*x": `freeze: no layer is named "half.*x"`,
	} {
		_, err := nn.Compile(dev, everyKind(), nn.Options{Input: nn.Shape{6, 6, 3}, Batch: 2, Training: true, Loss: nn.CrossEntropy{}, Freeze: []string{"first", pattern}})
		if unmatched, ok := errors.AsType[*nn.FreezeError](err); !ok || !strings.HasPrefix(unmatched.Error(), want) {
			t.Errorf("%q: %v, want %q", pattern, err, want)
		}
	}
	compile(t, dev, everyKind(), nn.Options{Input: nn.Shape{6, 6, 3}, Batch: 2, Freeze: []string{"conv9"}}) // no matter in inference
}
