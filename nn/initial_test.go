package nn_test

import (
	"errors"
	"testing"
	"time"

	"trainer/nn"
)

// afterBuilding is an initialiser that fills nothing before another layer is built.
type afterBuilding struct{ built chan struct{} }

func (a afterBuilding) Fill([]float32, nn.InitContext) error {
	select {
	case <-a.built:
		return nil
	case <-time.After(time.Minute): // a test that fails need not hang
		return errors.New("the next layer was not built")
	}
}

// lateLayer is a layer that tells of being built.
type lateLayer struct {
	nn.Dense
	built chan struct{}
}

func (l lateLayer) Build(b *nn.Builder, in nn.Shape) (nn.BuiltLayer, error) {
	close(l.built)
	return l.Dense.Build(b, in)
}

// Initial values are computed while later layers are built.
func TestInitialValuesBesideBuilding(t *testing.T) {
	built := make(chan struct{})
	model := nn.NewSequential(nn.Flatten{}, nn.Dense{Out: 3, Init: afterBuilding{built}}, lateLayer{nn.Dense{Out: 2}, built})
	if _, err := nn.Compile(newCPU(t), model, nn.Options{Input: nn.Shape{2, 2, 1}, Batch: 1}); err != nil {
		t.Fatal(err)
	}
}

// failing is an initialiser that fails.
type failing struct{ err error }

func (f failing) Fill([]float32, nn.InitContext) error { return f.err }

// The error of an initialiser names the layer, and where it was declared.
func TestInitialValueFails(t *testing.T) {
	cause := errors.New("no luck")
	inner := nn.NewSequential(nn.Dense{Out: 3}, nn.Dense{Out: 2, Init: failing{cause}})
	inner.Places = []string{"my.toml:5", "my.toml:9"}
	model := nn.NewSequential(nn.Flatten{}, nn.Named("b", nn.Residual{Body: inner, Shortcut: nn.Dense{Out: 2}}))
	_, err := nn.Compile(newCPU(t), model, nn.Options{Input: nn.Shape{2, 2, 1}, Batch: 1})
	var layer *nn.LayerError
	if !errors.As(err, &layer) || !errors.Is(err, cause) {
		t.Fatalf("error %v, want a LayerError of %v", err, cause)
	}
	if layer.Layer != "b.body.dense2" || layer.Place != "my.toml:9" {
		t.Errorf("the error is in layer %q, declared at %q", layer.Layer, layer.Place)
	}
}
