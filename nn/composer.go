package nn

import "trainer/nn/device"

// composer makes the plans and tensors of a layer that is composed of small plans, until the first error. Sizes are for
// the builder's largest batch. Elements have the network's type unless a spec names another.
type composer struct {
	b   *Builder
	err error
}

func (c *composer) mapping(s device.MapSpec) device.Map {
	s.DType = c.dtype(s.DType)
	return made(c, func() (device.Map, error) { return c.b.dev.NewMap(s) })
}

func (c *composer) reduce(s device.ReduceSpec) device.Reduce {
	s.DType = c.dtype(s.DType)
	return made(c, func() (device.Reduce, error) { return c.b.dev.NewReduce(s) })
}

func (c *composer) copyColumns(s device.CopyColumnsSpec) device.CopyColumns {
	s.DType = c.dtype(s.DType)
	return made(c, func() (device.CopyColumns, error) { return c.b.dev.NewCopyColumns(s) })
}

func (c *composer) weightedSum(s device.WeightedSumSpec) device.WeightedSum {
	s.DType = c.dtype(s.DType)
	return made(c, func() (device.WeightedSum, error) { return c.b.dev.NewWeightedSum(s) })
}

// cast converts from float32 to the network's type.
func (c *composer) cast(n int) device.Cast {
	return made(c, func() (device.Cast, error) {
		return c.b.dev.NewCast(device.CastSpec{From: device.Float32, To: c.b.dtype, Len: n})
	})
}

func (c *composer) tensor(dtype device.DType, shape ...int) *device.Tensor {
	return made(c, func() (*device.Tensor, error) { return c.b.Tensor(dtype, shape...) })
}

func (c *composer) param(s ParamSpec) *Param {
	return made(c, func() (*Param, error) { return c.b.Param(s) })
}

// output provides the layer's output, as Builder.Output does.
func (c *composer) output(shape Shape, dst **device.Tensor) {
	if c.err == nil {
		c.err = c.b.Output(shape, dst)
	}
}

func (c *composer) dtype(t device.DType) device.DType {
	if t == 0 {
		return c.b.dtype
	}
	return t
}

// made calls a constructor unless there was an error before.
func made[T any](c *composer, make func() (T, error)) (t T) {
	if c.err == nil {
		t, c.err = make()
	}
	return t
}
