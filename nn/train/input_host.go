package train

import (
	"context"

	"trainer/nn/augment"
	"trainer/nn/data"
	"trainer/nn/device"
)

// hostInput copies the images and labels of each batch to the device.
type hostInput struct {
	*batchBuffers
	images *device.Tensor // uint8 [batch, h, w, c]
}

func newHostInput(b *batchBuffers, s device.AugmentSpec, list augment.List, classes int) (*hostInput, error) {
	in := &hostInput{batchBuffers: b}
	var err error
	if in.images, err = b.tensor(device.Uint8, s.N, s.H, s.W, s.C); err != nil {
		return nil, err
	}
	if b.augment, err = b.dev.NewAugment(s); err != nil {
		return nil, err
	}
	return in, b.addTransforms(s, list, classes)
}

func (in *hostInput) load(context.Context) error { return nil }

func (in *hostInput) upload(b *data.Batch) error {
	in.setRows(b.N)
	in.images.SetRows(b.N)
	if err := in.dev.Upload(in.images, b.Images); err != nil {
		return err
	}
	if err := in.dev.Upload(in.labels, device.Bytes(b.Labels)); err != nil {
		return err
	}
	return in.dev.Upload(in.ids, device.Bytes(b.IDs))
}

func (in *hostInput) train(epoch *device.Tensor) { in.changed(in.images, nil, epoch) }

func (in *hostInput) view(v TTAView) {
	in.augment.Normalize(in.x, in.images, nil, v.DY, v.DX, v.Mirror)
}

func (in *hostInput) gatherLabels() {}

func (in *hostInput) hostLabels(dst []int32, b *data.Batch) { copy(dst, b.Labels) }

func (in *hostInput) resident() bool { return false }
