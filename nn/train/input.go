package train

import (
	"context"
	"errors"

	"trainer/nn/augment"
	"trainer/nn/data"
	"trainer/nn/device"
)

// input brings the images of batches to a device, as a network takes them:
//
//	x[k] = augment(image ids[k])        labels[k] = label of image ids[k]
//
// hostInput copies the images of each batch to the device; residentInput copies the whole set once,
// and then only ids.
type input interface {
	// load does what is done once, before the first batch; again it does nothing. A cancelled ctx is
	// its error, and an image that can't be read.
	load(ctx context.Context) error
	// upload copies what the batch needs, and loads if that wasn't done. The batch may be reused when
	// it returns.
	upload(b *data.Batch) error
	// draw decides what a list of transforms does to the images of the batch in an epoch.
	draw(b *data.Batch, epoch int) error
	// train queues the making of x for training; epoch is int32 [1].
	train(epoch *device.Tensor)
	// view queues the making of x for an evaluation.
	view(v TTAView)
	// gatherLabels queues the making of labels.
	gatherLabels()
	// hostLabels writes the labels of the batch to dst, which has room for them.
	hostLabels(dst []int32, b *data.Batch)
	// targets queues the making of what the loss should expect of x, and returns it: labels, or probabilities of the
	// classes, float32 [batch, classes], where a transform mixes images.
	targets() *device.Tensor
	// buffers returns x and labels, with the rows of the last batch.
	buffers() (x, labels *device.Tensor)
	// resident reports whether the set lives on the device: batches need no more than ids then.
	resident() bool
	// memory returns the bytes on the device.
	memory() int64
}

// newInput returns the way that suits the device: where images should live on it and there is room, they do.
// The transforms of the list replace what spec says of augmentation in training; none, and spec says it.
func newInput(dev device.Device, set data.Set, spec device.AugmentSpec, list augment.List) (input, error) {
	b := &batchBuffers{dev: dev}
	if err := b.allocate(spec); err != nil {
		return nil, err
	}
	if fits(dev, set) {
		in, err := newResidentInput(b, set, spec, list)
		if err == nil || !errors.Is(err, device.ErrOutOfMemory) {
			return in, err
		}
	}
	return newHostInput(b, spec, list, len(set.Classes()))
}

// batchBuffers are what both ways need for a batch.
type batchBuffers struct {
	dev        device.Device
	augment    device.Augment
	transforms *transforms    // nil where the augmentation is all there is
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

// setRows makes the buffers those of n images.
func (b *batchBuffers) setRows(n int) {
	b.x.SetRows(n)
	b.labels.SetRows(n)
	b.ids.SetRows(n)
}

func (b *batchBuffers) buffers() (x, labels *device.Tensor) { return b.x, b.labels }

func (b *batchBuffers) memory() int64 { return b.bytes }
