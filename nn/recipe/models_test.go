package recipe

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"trainer/cpu"
	"trainer/nn"
	"trainer/nn/device"
)

// TestRecipesAreTheGoModels ties the networks that can be had both ways, by name in Go and
// as a recipe: the same table, the same bits in every weight, the same dropout.
func TestRecipesAreTheGoModels(t *testing.T) {
	dev, err := cpu.New(cpu.WithThreads(1))
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	for _, c := range []struct {
		name  string
		model *nn.Sequential
		input nn.Shape
	}{
		{"mnist-basic", nn.TeachingMNIST(), nn.Shape{28, 28, 1}},
		{"mnist", nn.MNISTNet(), nn.Shape{28, 28, 1}},
		{"cifar10-basic", nn.TeachingCIFAR10(), nn.Shape{32, 32, 3}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := Load(c.name)
			if err != nil {
				t.Fatal(err)
			}
			want, got := describeModel(t, dev, c.model, c.input), describeModel(t, dev, r.Model(10), c.input)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the Go model (-) and the recipe (+) differ:\n%s", diff)
			}
		})
	}
}

// description is what two networks that train alike have in common.
type description struct {
	Rows    []nn.LayerInfo
	Weights map[string][]float32
	Dropout []nn.Layer
}

func describeModel(t *testing.T, dev device.Device, model *nn.Sequential, input nn.Shape) description {
	t.Helper()
	net, err := nn.Compile(dev, model, nn.Options{Input: input, Batch: 1, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	d := description{Rows: net.Layers(), Weights: map[string][]float32{}}
	for _, p := range net.Tensors() {
		values := make([]float32, p.Value.Len())
		if err := dev.Download(device.Bytes(values), p.Value); err != nil {
			t.Fatal(err)
		}
		d.Weights[p.Name] = values
	}
	for _, l := range model.Layers {
		if dropout, ok := l.(nn.Dropout); ok {
			d.Dropout = append(d.Dropout, dropout)
		}
	}
	return d
}
