package train

import (
	"context"
	"fmt"

	"trainer/nn/augment"
	"trainer/nn/data"
	"trainer/nn/device"
)

// streamedInput is the input of a set that will be kept on the device and isn't in memory yet, such as pictures in files. In
// the first epoch it copies each batch to the device, as a hostInput does, so that training begins before all images are
// read. It keeps the images that pass, and the copy of the whole set at the end of the epoch reads only those that are
// missing. Then a residentInput takes its place (Stepper.settle). Both give the same x, to the bit.
type streamedInput struct {
	*hostInput
	whole  *residentInput
	images []byte // [whole set, h, w, c] on the host
	labels []int32
	isRead []bool
}

// newStreamedInput returns the input for the time before the set of whole has been read.
func newStreamedInput(whole *residentInput, s device.AugmentSpec, list augment.List) (*streamedInput, error) {
	buffers := *whole.batchBuffers // x, labels and ids are shared
	buffers.augment, buffers.transforms = nil, nil
	host, err := newHostInput(&buffers, s, list, len(whole.set.Classes()))
	if err != nil {
		return nil, err
	}
	n := whole.set.Len()
	return &streamedInput{host, whole, make([]byte, n*s.H*s.W*s.C), make([]int32, n), make([]bool, n)}, nil
}

func (in *streamedInput) upload(b *data.Batch) error {
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

// settle ends the streaming of images: from then on the set is on the device, and batches need only indices. It reports
// whether that is new. It is called between two epochs, once all images have had their turn.
func (s *Stepper) settle(ctx context.Context) (bool, error) {
	in, isStreamed := s.input.(*streamedInput)
	if !isStreamed {
		return false, nil
	}
	if err := in.finish(ctx); err != nil {
		return false, err
	}
	s.input = in.whole
	if err := s.recordAnew(); err != nil {
		return false, fmt.Errorf("the data set on the device: %w", err)
	}
	return true, nil
}
