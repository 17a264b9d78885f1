package nn

import "trainer/nn/device"

// Built is a single layer, built as if trained layers stood before it.
type Built struct {
	Unit   BuiltLayer
	Params []*Param
	State  []*Param
	Step   *device.Tensor
}

// Weights returns the number of elements of all parameters.
func (b *Built) Weights() (n int) {
	for _, p := range b.Params {
		n += p.Value.Len()
	}
	return n
}

// BuildUnit builds a layer by itself for training.
func BuildUnit(dev device.Device, l Layer, in Shape, batch int, seed uint64) (*Built, error) {
	if _, err := l.OutputShape(in); err != nil {
		return nil, err
	}
	b := newBuilder(dev, Options{Input: in, Batch: batch, Training: true, Seed: seed})
	b.upstream = true
	defer b.initial.wait()
	var err error
	if b.step, err = b.Tensor(device.Int32, 1); err != nil {
		return nil, err
	}
	u, err := l.Build(b, in)
	if err != nil {
		return nil, err
	}
	if err := b.initial.upload(dev); err != nil {
		return nil, err
	}
	return &Built{u, b.params, b.state, b.step}, b.allocateShared()
}

// Views returns the number of views that a Flatten unit keeps.
func Views(u BuiltLayer) int { return len(u.(*flatten).flat.kept) }
