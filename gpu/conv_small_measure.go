//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"errors"
	"slices"
	"time"

	"gorgonia.org/cu"

	"trainer/gpu/internal/cuda"
	"trainer/kernels"
	"trainer/nn/device"
)

// prefersSmall reports whether conv_small.cu computes a convolution with pooling whose shape it takes. It does unless WithAutotune is
// given and a measurement of the forward passes, now or before, finds cuDNN's convolution and the pooling after it faster.
func (d *Device) prefersSmall(s device.Conv2DSpec, pool device.Pool2DSpec, shape kernels.ConvSmallShape, relu bool) (bool, error) {
	if !d.autotune {
		return true, nil
	}
	key := d.algorithms.key(cuda.Forward, d.products(s.DType), s) + ", max pooling"
	if won := d.algorithms.winner(key); won != nil {
		return won.Own, nil
	}
	winner, err := d.measureSmall(s, pool, shape, relu)
	switch {
	case errors.Is(err, device.ErrOutOfMemory), errors.Is(err, device.ErrNotSupported):
		return true, nil
	case err != nil:
		return false, err
	}
	d.algorithms.putWinner(key, winner)
	return winner.Own, nil
}

// smallContest are the two ways of a forward pass, with operands.
type smallContest struct {
	d       *Device
	pool    device.Pool2DSpec
	relu    bool
	conv    *conv2D
	small   *convSmall
	pooling *cuda.Kernel
	x, w, z *device.Tensor
	y       *device.Tensor
	arg     cu.DevicePtr
}

// own queues the pass by conv_small.cu.
func (c *smallContest) own() error {
	c.small.run(c.d, c.y, smallInput{x: c.x}, c.w, nil, c.arg, nil, nil, nil)
	return c.d.fault
}

// theirs queues cuDNN's convolution, and the pooling.
func (c *smallContest) theirs(pass *convPass) error {
	if err := c.conv.queue(cuda.Forward, pass, c.x, c.w, c.z, nil); err != nil {
		return err
	}
	d := c.d
	a := d.arguments().Pointer(d.data(c.y)).Pointer(c.arg).Pointer(d.data(c.z))
	tileArguments(a, c.pool, c.pool.N)
	a.Int32(flag(c.relu)).Int32(flag(!c.relu))
	d.launchTiles(c.pooling, c.pool, c.y.Len())
	return d.fault
}

// measureSmall times both ways. The error is an ErrNotSupported if cuDNN doesn't compute the convolution as it is.
func (d *Device) measureSmall(s device.Conv2DSpec, pool device.Pool2DSpec, shape kernels.ConvSmallShape, relu bool) (winner cachedWinner, err error) {
	c := &smallContest{d: d, pool: pool, relu: relu}
	s.Bias = false
	plan, err := d.newConv2D(s, false)
	if err != nil {
		return winner, err
	}
	var ok bool
	if c.conv, ok = plan.(*conv2D); !ok {
		return winner, d.error("conv2d", device.ErrNotSupported) // it needs a padded copy
	}
	if c.small, err = d.newConvSmall(s, shape, relu); err != nil {
		return winner, err
	}
	if err := d.enter("measuring conv2d with max pooling"); err != nil {
		return winner, err
	}
	defer d.end()
	release, err := c.operands(s)
	if err != nil {
		return winner, err
	}
	defer func() { err = errors.Join(err, release()) }()
	return c.measure()
}

// operands allocates the operands, filled with random numbers, and returns how to free them.
func (c *smallContest) operands(s device.Conv2DSpec) (release func() error, err error) {
	d := c.d
	forward, _, _ := poolTiles(c.pool)
	if c.pooling, err = d.code.kernel(forward.In(storage(s.DType))); err != nil {
		return nil, err
	}
	all, free, err := c.conv.operands()
	if err != nil {
		return nil, err
	}
	outputs := s.N * c.pool.OutH() * c.pool.OutW() * s.OutC
	m := &memory{owner: d, bytes: int64(outputs * (s.DType.Size() + 1))}
	if m.address, err = cuda.Alloc(m.bytes); err != nil {
		return nil, errors.Join(err, free())
	}
	c.x, c.w, c.z = all[0], all[1], all[2]
	c.y, c.arg = device.WrapTensor(s.DType, m, s.N, c.pool.OutH(), c.pool.OutW(), s.OutC), m.address+cu.DevicePtr(outputs*s.DType.Size())
	return func() error { return errors.Join(free(), cuda.Free(m.address)) }, nil
}

// measure returns the faster way.
func (c *smallContest) measure() (winner cachedWinner, err error) {
	clock, err := newClock(c.d.stream)
	if err != nil {
		return winner, err
	}
	defer func() { err = errors.Join(err, clock.close()) }()
	own, theirs := &convPass{}, c.conv.full.passes[cuda.Forward]
	times := c.conv.rounds(clock, []*convPass{own, theirs}, func(pass *convPass) error {
		if pass == own {
			return c.own()
		}
		return c.theirs(pass)
	})
	if c.d.fault != nil {
		return winner, c.d.fault
	}
	for i, t := range times {
		if len(t) == 0 {
			continue // it doesn't work
		}
		slices.Sort(t)
		if median := t[len(t)/2]; winner.Time == 0 || median < winner.Time {
			winner = cachedWinner{Own: i == 0, Time: max(median, time.Nanosecond)}
		}
	}
	if winner.Time == 0 {
		return winner, unsupported("neither cuDNN nor conv_small.cu computed %+v", c.pool)
	}
	return winner, nil
}
