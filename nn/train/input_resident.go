package train

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"

	"trainer/nn/augment"
	"trainer/nn/data"
	"trainer/nn/device"
)

// residentInput keeps a whole set on the device, and gathers batches there by the images' indices.
type residentInput struct {
	*batchBuffers
	set data.Set
	on  *deviceSet
}

// maxBuffer is the size in bytes of the largest buffer in which the images of a set that isn't in memory are collected
// for the upload. It equals the limit up to which package data decodes images into memory.
const maxBuffer = 2 << 30

// fits reports whether the set should be kept on the device: the device must be a device.DatasetResident, and the set
// must take no more than half of the free memory. The other half is for later allocations.
func fits(dev device.Device, set data.Set) bool {
	r, ok := dev.(device.DatasetResident)
	if !ok || set.Len() == 0 {
		return false
	}
	bytes := setBytes(set)
	if _, ok := set.(*data.InMemory); !ok && bytes > maxBuffer {
		return false
	}
	return bytes <= r.FreeMemory()/2
}

// setBytes returns the bytes of a set's images and labels on a device.
func setBytes(set data.Set) int64 {
	h, w, c := set.ImageShape()
	return int64(set.Len()) * (int64(h)*int64(w)*int64(c) + int64(device.Int32.Size()))
}

func newResidentInput(b *batchBuffers, set data.Set, s device.AugmentSpec, list augment.List, shared *Shared) (*residentInput, error) {
	before := b.bytes
	in := &residentInput{batchBuffers: b, set: set}
	err := in.allocateSet(s, list, shared)
	if err != nil {
		b.bytes = before // give up the set, keep the batch's buffers
	}
	return in, err
}

func (in *residentInput) allocateSet(s device.AugmentSpec, list augment.List, shared *Shared) (err error) {
	if in.on = shared.of(in.dev, in.set); in.on == nil {
		if in.on, err = newDeviceSet(in.dev, in.set); err != nil {
			return err
		}
		shared.keep(in.dev, in.set, in.on)
	}
	in.bytes += setBytes(in.set)
	s.Gather = true
	if in.augment, err = in.dev.NewAugment(s); err != nil {
		return err
	}
	return in.addTransforms(s, list, len(in.set.Classes()))
}

func (in *residentInput) load(ctx context.Context) error {
	if in.on.onHost != nil {
		return nil
	}
	images, labels, err := readSet(ctx, in.set)
	if err != nil {
		return err
	}
	return in.put(images, labels)
}

// put copies the images and labels of the set to the device.
func (in *residentInput) put(images []byte, labels []int32) error {
	if err := in.dev.Upload(in.on.images, images); err != nil {
		return fmt.Errorf("copying the data set: %w", err)
	}
	if err := in.dev.Upload(in.on.labels, device.Bytes(labels)); err != nil {
		return fmt.Errorf("copying the data set: %w", err)
	}
	in.on.onHost = labels
	return nil
}

// readSet returns all images [n, h, w, c] and labels of a set: the set's own memory if it is an InMemory; otherwise
// several goroutines read the images.
func readSet(ctx context.Context, set data.Set) (images []byte, labels []int32, err error) {
	h, w, c := set.ImageShape()
	if m, ok := set.(*data.InMemory); ok {
		return m.Images[:m.Len()*h*w*c], m.Labels, nil
	}
	images = make([]byte, 0, set.Len()*h*w*c)
	labels = make([]int32, 0, set.Len())
	err = readBatches(ctx, set, func(b *data.Batch) {
		images, labels = append(images, b.Images...), append(labels, b.Labels...)
	})
	return images, labels, err
}

// readBatches calls each for batches of all images of a set, in order, which several goroutines read.
func readBatches(ctx context.Context, set data.Set, each func(b *data.Batch)) error {
	const batch = 64 // images that a goroutine reads at once
	loader, err := data.NewLoader(data.LoaderConfig{Set: set, Batch: batch, Workers: runtime.GOMAXPROCS(0)})
	if err != nil {
		return err
	}
	defer loader.Close()
	loader.Start(0, 0)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		b, err := loader.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		each(b)
		loader.Release(b)
	}
}

func (in *residentInput) upload(b *data.Batch) error {
	if err := in.load(context.Background()); err != nil {
		return err
	}
	in.setRows(b.N)
	return in.dev.Upload(in.ids, device.Bytes(b.IDs))
}

func (in *residentInput) train(epoch *device.Tensor) {
	if labelled, ok := in.augment.(device.LabelledAugment); ok && in.transforms == nil {
		labelled.TrainLabelled(in.x, in.on.images, in.labels, in.on.labels, in.ids, epoch)
		return
	}
	in.changed(in.on.images, in.ids, epoch)
	in.gatherLabels()
}

func (in *residentInput) view(v TTAView) {
	in.augment.Normalize(in.x, in.on.images, in.ids, v.DY, v.DX, v.Mirror)
}

func (in *residentInput) gatherLabels() { in.augment.GatherLabels(in.labels, in.on.labels, in.ids) }

func (in *residentInput) hostLabels(dst []int32, b *data.Batch) {
	for i, id := range b.IDs {
		dst[i] = in.on.onHost[id]
	}
}

func (in *residentInput) resident() bool { return true }
