package train

import (
	"trainer/nn/augment"
	"trainer/nn/data"
	"trainer/nn/device"
)

// transforms applies a list of transforms to the images of a batch. The host draws the parameters for each image before
// the step (draw), and the device applies the transforms (run).
type transforms struct {
	plan    device.Transform
	drawer  *augment.Drawer
	table   []float32      // the drawn parameters, [batch, columns]
	drawn   *device.Tensor // the same on the device
	targets *device.Tensor // float32 [batch, classes]; nil unless a transform mixes images
}

// addTransforms adds a list of transforms to the buffers, for images as in spec and the given number of classes. An
// empty list changes nothing.
func (b *batchBuffers) addTransforms(a device.AugmentSpec, list augment.List, classes int) (err error) {
	if len(list) == 0 {
		return nil
	}
	s := device.TransformSpec{
		N: a.N, H: a.H, W: a.W, C: a.C, Mean: a.Mean, Std: a.Std, Classes: classes, Gather: a.Gather, DType: a.DType,
	}
	t := &transforms{drawer: list.NewDrawer(&s, a.Seed)}
	if t.plan, err = b.dev.NewTransform(s); err != nil {
		return err
	}
	t.table = make([]float32, s.N*s.Columns())
	if t.drawn, err = b.tensor(device.Float32, s.N, s.Columns()); err != nil {
		return err
	}
	if list.Mixes() {
		if t.targets, err = b.tensor(device.Float32, s.N, classes); err != nil {
			return err
		}
	}
	b.transforms = t
	return nil
}

// draw draws the parameters of the transforms for the images of a batch in an epoch, and copies them to the device.
// Without transforms it does nothing, because the augmentation in the short form is drawn on the device.
func (b *batchBuffers) draw(batch *data.Batch, epoch int) error {
	t := b.transforms
	if t == nil {
		return nil
	}
	ids := batch.IDs[:batch.N]
	t.drawer.Draw(t.table, ids, uint32(epoch))
	t.drawn.SetRows(len(ids))
	return b.dev.Upload(t.drawn, device.Bytes(t.table[:len(ids)*t.drawer.Columns()]))
}

// changed queues the computation of x for training from images, gathered by ids unless ids is nil.
func (b *batchBuffers) changed(images, ids, epoch *device.Tensor) {
	if t := b.transforms; t != nil {
		t.plan.Run(b.x, images, ids, t.drawn)
		return
	}
	b.augment.Train(b.x, images, b.ids, epoch)
}

// targets queues the computation of the targets, and returns them: the labels or, if images were mixed, the class
// probabilities.
func (b *batchBuffers) targets() *device.Tensor {
	t := b.transforms
	if t == nil || t.targets == nil {
		return b.labels
	}
	t.targets.SetRows(b.labels.Rows())
	t.plan.Targets(t.targets, b.labels, t.drawn)
	return t.targets
}
