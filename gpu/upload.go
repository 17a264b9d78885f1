//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"slices"

	"gorgonia.org/cu"

	"trainer/gpu/internal/cuda"
	"trainer/kernels"
)

// A step needs a few small uploads: the indices of its images, hyperparameters, counters. Each copy takes some
// microseconds, whatever its size, so small uploads that follow each other wait, in pinned memory, and go in one launch of
// the kernel in upload.cu before the next other work is queued.

// upload is a small upload that waits.
type upload struct {
	to   *memory
	from []byte // pinned, in the staging ring
}

const (
	maxUploads  = 4        // pieces of a launch
	smallUpload = 32 << 10 // bytes of the largest upload that waits
)

// canWait reports whether an upload of this many bytes waits for others: the kernel copies words.
func (m *memory) canWait(bytes int) bool {
	return bytes <= smallUpload && bytes%4 == 0 && m.address%4 == 0
}

// postpone makes an upload wait. src may be reused at once.
func (d *Device) postpone(to *memory, src []byte) error {
	// The staging ring's event for a segment must follow the copies from it, and the pieces of a launch have no order.
	if len(d.uploads) == maxUploads || !d.staging.fits(len(src)) || d.waitsFor(to) {
		d.sendWaiting()
	}
	room, err := d.staging.take(len(src), d.stream)
	if err != nil {
		return err
	}
	copy(room, src)
	d.uploads = append(d.uploads, upload{to, room})
	return nil
}

// waitsFor reports whether an upload to the memory, or to another part of the same allocation, waits.
func (d *Device) waitsFor(to *memory) bool {
	return slices.ContainsFunc(d.uploads, func(u upload) bool { return u.to.root() == to.root() })
}

// sendWaiting queues the uploads that wait.
func (d *Device) sendWaiting() {
	waiting := d.uploads
	if len(waiting) == 0 || d.fault != nil {
		return
	}
	d.uploads = d.uploads[:0]
	if err := d.sendTogether(waiting); err != nil {
		d.fail(err)
	}
	clear(waiting) // so that the memory can be freed
}

// sendTogether queues uploads: one as a copy, several as one launch.
func (d *Device) sendTogether(all []upload) error {
	if len(all) == 1 {
		return cuda.CopyToDeviceAsync(all[0].to.address, all[0].from, d.stream)
	}
	k, err := d.code.kernel(kernels.Upload)
	if err != nil {
		return err
	}
	a, longest := d.arguments(), 0
	for i := range maxUploads {
		var to, from cu.DevicePtr
		words := 0
		if i < len(all) {
			to, from, words = all[i].to.address, cuda.HostAddress(all[i].from), len(all[i].from)/4
		}
		a.Pointer(to).Pointer(from).Int32(int32(words))
		longest = max(longest, words)
	}
	d.launch(k, kernels.Grid{X: kernels.OnePerThread(longest).X, Y: maxUploads})
	return nil
}
