package train

import (
	"context"
	"errors"

	"trainer/nn/augment"
	"trainer/nn/data"
	"trainer/nn/device"
)

// streamedInput is the input of a set that will be kept on the device and isn't in memory yet, such as pictures in files. In
// the first epoch it copies each batch to the device, as a hostInput does, so that training begins before all images are
// read. It keeps the images that pass, and the copy of the whole set at the end of the epoch reads only those that are
// missing. Then a residentInput takes its place (Stepper.load). Both give the same x, to the bit.
type streamedInput struct {
	*hostInput
	whole    *residentInput
	images   []byte // [whole set, h, w, c] on the host
	labels   []int32
	isRead   []bool
	hasBegun bool // a batch has passed
}

// streamed returns the input for the time before the set has been read, or in itself if there is no such time, or no memory
// for the buffers of a batch. A set that several trainings share is read as a whole before the first of them, because
// images of a size that is used for less than a whole epoch would otherwise be read by each of them.
func streamed(in input, set data.Set, s device.AugmentSpec, list augment.List, isShared bool) (input, error) {
	whole, isResident := in.(*residentInput)
	if !isResident || isShared || data.IsInMemory(set) {
		return in, nil
	}
	before, err := newStreamedInput(whole, s, list)
	switch {
	case errors.Is(err, device.ErrOutOfMemory):
		return in, nil
	case err != nil:
		return nil, err
	}
	return before, nil
}

// newStreamedInput returns the input that whole will take the place of.
func newStreamedInput(whole *residentInput, s device.AugmentSpec, list augment.List) (*streamedInput, error) {
	buffers := *whole.batchBuffers // x, labels and ids are shared
	buffers.augment, buffers.transforms = nil, nil
	host, err := newHostInput(&buffers, s, list, len(whole.set.Classes()))
	if err != nil {
		return nil, err
	}
	n := whole.set.Len()
	return &streamedInput{
		hostInput: host, whole: whole, images: make([]byte, n*s.H*s.W*s.C), labels: make([]int32, n), isRead: make([]bool, n),
	}, nil
}

func (in *streamedInput) upload(b *data.Batch) error {
	in.hasBegun = true
	for k, id := range b.IDs {
		in.keep(int(id), b, k)
	}
	return in.hostInput.upload(b)
}

// keep keeps image k of a batch, which is image id of the set.
func (in *streamedInput) keep(id int, b *data.Batch, k int) {
	size := len(in.images) / len(in.labels)
	copy(in.images[id*size:(id+1)*size], b.Images[k*size:(k+1)*size])
	in.labels[id], in.isRead[id] = b.Labels[k], true
}

func (in *streamedInput) reseed(seed uint64) {
	in.hostInput.reseed(seed)
	in.whole.reseed(seed)
}

// finish reads the images that are missing, and copies the whole set to the device. Missing are those that came before a
// resumed step or were dropped with an epoch's last batch.
func (in *streamedInput) finish(ctx context.Context) error {
	var missing []int
	for id, isRead := range in.isRead {
		if !isRead {
			missing = append(missing, id)
		}
	}
	if len(missing) > 0 {
		err := readBatches(ctx, data.Subset(in.whole.set, missing), func(b *data.Batch) {
			for k, i := range b.IDs {
				in.keep(missing[i], b, k)
			}
		})
		if err != nil {
			return err
		}
	}
	return in.whole.put(in.images, in.labels)
}
