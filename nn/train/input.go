package train

import (
	"context"
	"errors"

	"trainer/nn/augment"
	"trainer/nn/data"
	"trainer/nn/device"
)

// input provides the images of each batch on the device, ready for the network:
//
//	x[k] = augment(image ids[k])        labels[k] = label of image ids[k]
//
// A hostInput copies the images of each batch to the device; a residentInput copies the whole set
// once, and then only ids.
type input interface {
	// load does the work needed once before the first batch; later calls do nothing. It returns ctx's error if ctx is
	// cancelled, and an error if an image can't be read.
	load(ctx context.Context) error
	// upload copies what the batch needs, and calls load if that hasn't happened yet. The batch may be reused when
	// upload returns.
	upload(b *data.Batch) error
	// draw draws the parameters of the transforms for the images of the batch in an epoch.
	draw(b *data.Batch, epoch int) error
	// train queues the computation of x and labels for training; epoch is int32 [1].
	train(epoch *device.Tensor)
	// view queues the computation of x for an evaluation.
	view(v TTAView)
	// gatherLabels queues the computation of labels for an evaluation.
	gatherLabels()
	// hostLabels writes the labels of the batch to dst, which has room for them.
	hostLabels(dst []int32, b *data.Batch)
	// targets queues the computation of the targets of x, and returns them: labels or, if a transform mixes images,
	// class probabilities, float32 [batch, classes].
	targets() *device.Tensor
	// buffers returns x and labels, with as many rows as the last batch has images.
	buffers() (x, labels *device.Tensor)
	// reseed replaces the seed of the augmentation.
	reseed(seed uint64)
	// resident reports whether the set is kept on the device; batches then need only ids.
	resident() bool
	// memory returns the bytes on the device.
	memory() int64
}

// newInput returns the input that suits the device: a residentInput if the device should hold data sets and has room
// for this one, otherwise a hostInput. In training, a list of transforms replaces the augmentation in spec; if the list
// is empty, the augmentation in spec is used. A set that shared has is on the device already.
func newInput(dev device.Device, set data.Set, spec device.AugmentSpec, list augment.List, shared *Shared) (input, error) {
	b := &batchBuffers{dev: dev}
	if err := b.allocate(spec); err != nil {
		return nil, err
	}
	if shared.of(dev, set) != nil || fits(dev, set) {
		in, err := newResidentInput(b, set, spec, list, shared)
		if err == nil || !errors.Is(err, device.ErrOutOfMemory) {
			return in, err
		}
	}
	return newHostInput(b, spec, list, len(set.Classes()))
}

// batchBuffers are the buffers for a batch that both kinds of input need.
type batchBuffers struct {
	dev        device.Device
	augment    device.Augment
	transforms *transforms    // nil if the list of transforms is empty
	x          *device.Tensor // [batch, h, w, c], of the network's type
	labels     *device.Tensor // int32 [batch]
	ids        *device.Tensor // int32 [batch]
	bytes      int64
}

func (b *batchBuffers) allocate(s device.AugmentSpec) (err error) {
	if b.x, err = b.tensor(s.DType.OrFloat32(), s.N, s.H, s.W, s.C); err != nil {
		return err
	}
	if b.labels, err = b.tensor(device.Int32, s.N); err != nil {
		return err
	}
	b.ids, err = b.tensor(device.Int32, s.N)
	return err
}

func (b *batchBuffers) tensor(dtype device.DType, shape ...int) (*device.Tensor, error) {
	t, err := b.dev.NewTensor(dtype, shape...)
	if err != nil {
		return nil, err
	}
	b.bytes += int64(t.Len()) * int64(dtype.Size())
	return t, nil
}

// setRows sets the buffers to n images.
func (b *batchBuffers) setRows(n int) {
	b.x.SetRows(n)
	b.labels.SetRows(n)
	b.ids.SetRows(n)
}

func (b *batchBuffers) buffers() (x, labels *device.Tensor) { return b.x, b.labels }

func (b *batchBuffers) memory() int64 { return b.bytes }

func (b *batchBuffers) reseed(seed uint64) {
	b.augment.Reseed(seed)
	if b.transforms != nil {
		b.transforms.drawer.Reseed(seed)
	}
}
