package nn

import (
	"fmt"
	"sync"

	"trainer/nn/device"
)

// Initial values cost time: a whitening layer looks at thousands of images and computes eigenvectors, and large filters take
// millions of random numbers. On a GPU, building a network takes even longer, because plans start libraries and load code. So the
// values are computed beside the building, by one goroutine in the order of the parameters, and copied to the device at its end.

// initial computes the initial values of the parameters and states of a network that is being built. Its zero value has none.
type initial struct {
	all  []*initialValue
	in   []LayerError       // of each, without the error
	work chan *initialValue // to the goroutine; nil before the first value
	done sync.WaitGroup
}

// initialValue is the initial value of a tensor.
type initialValue struct {
	name   string
	tensor *device.Tensor
	fill   func(values []float32, seed uint64) error // writes to zeros
	seed   uint64
	values []float32
	err    error
}

// maxInitial is the number of values that may wait; a network with more is built no faster than they are computed.
const maxInitial = 1024

// begin has a value computed. in names the layer for errors.
func (i *initial) begin(v initialValue, in LayerError) {
	if i.work == nil {
		work := make(chan *initialValue, maxInitial)
		i.work = work
		i.done.Go(func() {
			for v := range work {
				v.compute()
			}
		})
	}
	i.all, i.in = append(i.all, &v), append(i.in, in)
	i.work <- &v
}

// wait waits for all values. It must be called once the network is built, also after an error: initialisers may use what their
// caller closes.
func (i *initial) wait() {
	if i.work != nil {
		close(i.work)
		i.work = nil
		i.done.Wait()
	}
}

// upload waits for all values, and copies them to the device. The error is a *LayerError.
func (i *initial) upload(dev device.Device) error {
	i.wait()
	for k, v := range i.all {
		if err := v.upload(dev); err != nil {
			in := i.in[k]
			in.Err = err
			return &in
		}
	}
	return nil
}

// compute computes the value on the host.
func (v *initialValue) compute() {
	v.values = make([]float32, v.tensor.Len())
	v.err = v.fill(v.values, v.seed)
}

// upload copies the value to the device, unless it could not be computed.
func (v *initialValue) upload(dev device.Device) error {
	err := v.err
	if err == nil {
		err = dev.Upload(v.tensor, device.Bytes(v.values))
	}
	v.values = nil
	if err != nil {
		return fmt.Errorf("initialising %s: %w", v.name, err)
	}
	return nil
}
