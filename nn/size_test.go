package nn_test

import (
	"errors"
	"fmt"
	"testing"

	"trainer/nn"
	"trainer/nn/device"
	"trainer/nn/device/reference"
	"trainer/nn/setting"
)

// little is a device that refuses tensors of more than a million elements.
type little struct{ reference.Host }

func (d little) NewTensor(dtype device.DType, shape ...int) (*device.Tensor, error) {
	n := 1
	for _, s := range shape {
		if n *= s; n > 1<<20 {
			return nil, fmt.Errorf("%v%v: %w", dtype, shape, device.ErrOutOfMemory)
		}
	}
	return d.Host.NewTensor(dtype, shape...)
}

// drawn reads numbers of a fuzzer's choice.
type drawn struct {
	bytes []byte
	large bool // some size takes the references long
}

func (d *drawn) below(n int) int {
	if len(d.bytes) == 0 {
		return 0
	}
	b := d.bytes[0]
	d.bytes = d.bytes[1:]
	return int(b) % n
}

// size returns a size, often one whose products with others overflow.
func (d *drawn) size(from int) int64 {
	sizes := []int64{0, 1, 2, 3, 4, 5, 7, 8, 16, 31, 1 << 8, 1<<12 + 1, 1 << 16, 1<<20 - 1, 1 << 24, 1 << 24, 1 << 25, 1 << 40, 1<<63 - 1}
	n := sizes[from+d.below(len(sizes)-from)]
	d.large = d.large || n > 8
	return n
}

// value returns a value of a recipe.
func (d *drawn) value(required bool) any {
	if required {
		return []any{d.size(1), []any{d.size(1), d.size(1)}}[d.below(2)]
	}
	switch d.below(7) {
	case 0:
		return []any{d.size(0), d.size(0)}
	case 1:
		return []any{d.size(0), d.size(0), d.size(0), d.size(0)}
	case 2:
		return d.below(2) == 0
	case 3:
		return []string{"same", "same-upper", "same-lower"}[d.below(3)]
	case 4:
		return nil
	}
	return d.size(0)
}

// layer returns a layer of some kind with some settings.
func (d *drawn) layer() nn.Layer {
	kinds := nn.LayerKinds()
	l := kinds[d.below(len(kinds))].New()
	if l == nil {
		return nn.ReLU{}
	}
	return setting.Edit(l, nil, func(list *setting.List) {
		for _, s := range list.All() {
			if v := d.value(s.Required); v != nil && s.Target() == nil {
				_ = s.Set(v) // an invalid value leaves the setting as it is
			}
		}
	})
}

// Whatever the settings of two layers and the size of their input: an error names a layer, or the memory is too small; and
// what has no error computes an output of the announced shape.
func FuzzLayerShapes(f *testing.F) {
	for kind := range len(nn.LayerKinds()) {
		f.Add(uint16(5), uint16(4), uint16(3), []byte{byte(kind), 0, 3, 0, 2, 5, 1, 5, 1, 5, 1, 5, 1, byte(kind)})
		f.Add(uint16(28), uint16(28), uint16(1), []byte{byte(kind), 0, 13, 1, 13, 13, 5, 14, 5, 14, 5, 14, 5, 14})
		f.Add(uint16(9), uint16(60000), uint16(2), []byte{byte(kind), 0, 1, 1, 13, 1, 1, 12, 3, 14, 1, 12, 0, 14, 1, 13, 6, 1})
	}
	f.Fuzz(func(t *testing.T, h, w, c uint16, settings []byte) {
		d := &drawn{bytes: settings}
		in := nn.Shape{int(h) + 1, int(w) + 1, int(c) + 1}
		first := d.layer()
		model := nn.NewSequential(first, d.layer())
		out, err := model.OutputShape(in)
		var misfit *nn.LayerError
		if err != nil {
			if !errors.As(err, &misfit) {
				t.Fatalf("%+v of %v: %v, want a LayerError", model.Layers, in, err)
			}
			return
		}
		total := int64(1)
		for _, n := range out {
			if total *= int64(n); n < 1 || total > 1<<31 {
				t.Fatalf("%+v of %v: the output is %v", model.Layers, in, out)
			}
		}
		built, err := nn.BuildUnit(little{reference.NewHost()}, model, in, 2, 1)
		if err != nil {
			if !errors.As(err, &misfit) && !errors.Is(err, device.ErrOutOfMemory) {
				t.Fatalf("%+v of %v: %v, want a LayerError or ErrOutOfMemory", model.Layers, in, err)
			}
			return
		}
		if d.large || in.Len() > 1<<9 || total > 1<<9 || built.Weights() > 1<<9 {
			return // the references are slow
		}
		x, err := reference.NewHost().NewTensor(device.Float32, append([]int{2}, in...)...)
		if err != nil {
			t.Fatal(err)
		}
		y := built.Unit.Forward(x, nn.Training)
		if got := nn.Shape(y.Shape()[1:]); got.String() != out.String() {
			t.Fatalf("%+v of %v: the output is %v, announced was %v", model.Layers, in, got, out)
		}
		built.Unit.Backward(y)
	})
}
