//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"fmt"

	"gorgonia.org/cu"

	"trainer/gpu/internal/cuda"
	"trainer/nn/device"
)

// staging is pinned host memory for copies, because the GPU copies from and to pinned memory
// asynchronously. Uploads use a ring of segments, each with an event that shows when the copies
// from it are done.
type staging struct {
	ring    []byte
	done    [ringSegments]cu.Event
	pending [ringSegments]bool // done was recorded and not yet waited for
	segment int                // the segment that uploads currently use
	used    int                // bytes used in that segment
	down    []byte             // for downloads
}

const (
	ringSegments  = 8
	segmentBytes  = 2 << 20
	downloadBytes = 4 << 20
	// stagingAlignment keeps two copies from sharing a cache line.
	stagingAlignment = 256
)

func (s *staging) open() (err error) {
	if s.ring, err = cuda.AllocHost(ringSegments * segmentBytes); err != nil {
		return err
	}
	if s.down, err = cuda.AllocHost(downloadBytes); err != nil {
		return err
	}
	for i := range s.done {
		if s.done[i], err = cuda.NewEvent(false); err != nil {
			return err
		}
	}
	return nil
}

func (s *staging) close() (first error) {
	for _, e := range s.done {
		if e == (cu.Event{}) {
			continue
		}
		if err := cuda.DestroyEvent(e); err != nil && first == nil {
			first = err
		}
	}
	for _, b := range [][]byte{s.ring, s.down} {
		if err := cuda.FreeHost(b); err != nil && first == nil {
			first = err
		}
	}
	*s = staging{}
	return first
}

// take returns memory for n bytes, at most a segment, that no copy is reading.
func (s *staging) take(n int, stream cu.Stream) ([]byte, error) {
	if !s.fits(n) {
		if err := cuda.Record(s.done[s.segment], stream); err != nil {
			return nil, err
		}
		s.pending[s.segment] = true
		s.segment, s.used = (s.segment+1)%ringSegments, 0
		if s.pending[s.segment] {
			if err := cuda.WaitEvent(s.done[s.segment]); err != nil {
				return nil, err
			}
			s.pending[s.segment] = false
		}
	}
	room := s.ring[s.segment*segmentBytes+s.used:][:n]
	s.used += (n + stagingAlignment - 1) / stagingAlignment * stagingAlignment
	return room, nil
}

// fits reports whether take returns memory of the current segment.
func (s *staging) fits(n int) bool { return s.used+n <= segmentBytes }

// send queues the copy of src to the device. src may be reused at once.
func (d *Device) send(dst cu.DevicePtr, src []byte) error {
	for len(src) > 0 {
		room, err := d.staging.take(min(len(src), segmentBytes), d.stream)
		if err != nil {
			return err
		}
		n := copy(room, src)
		if err := cuda.CopyToDeviceAsync(dst, room, d.stream); err != nil {
			return err
		}
		dst, src = dst+cu.DevicePtr(n), src[n:]
	}
	return nil
}

// receive copies src to dst, after the queued work.
func (d *Device) receive(dst []byte, src cu.DevicePtr) error {
	for len(dst) > 0 {
		n := min(len(dst), downloadBytes)
		if err := cuda.CopyToHostAsync(d.staging.down[:n], src, d.stream); err != nil {
			return err
		}
		if err := d.waits(true, func() error { return cuda.Wait(d.stream) }); err != nil {
			return err
		}
		copy(dst[:n], d.staging.down)
		dst, src = dst[n:], src+cu.DevicePtr(n)
	}
	return nil
}

// Upload queues the copy of src to dst, and keeps no reference to src; a small one waits for others, until other work
// follows (upload.go). It panics unless src has dst's size.
func (d *Device) Upload(dst *device.Tensor, src []byte) error {
	m := d.memoryOf("upload", "destination", dst)
	if len(src) != size(dst) {
		panic(fmt.Sprintf("gpu: Upload of %d bytes to %v, which has %d", len(src), dst, size(dst)))
	}
	if !m.canWait(len(src)) {
		if err := d.enter("upload"); err != nil {
			return err
		}
		defer d.end()
		if err := d.send(m.address, src); err != nil {
			d.fail(err)
		}
		return d.fault
	}
	d.checkRecording("upload")
	if !d.attach("upload") {
		return d.fault
	}
	defer d.end()
	if err := d.postpone(m, src); err != nil {
		d.fail(err)
	}
	return d.fault
}

// Download waits for the queued work, and copies src to dst. It panics unless dst has src's
// size.
func (d *Device) Download(dst []byte, src *device.Tensor) error {
	m := d.memoryOf("download", "source", src)
	if len(dst) != size(src) {
		panic(fmt.Sprintf("gpu: Download of %v, which has %d bytes, to %d", src, size(src), len(dst)))
	}
	if err := d.enter("download"); err != nil {
		return err
	}
	defer d.end()
	if err := d.receive(dst, m.address); err != nil {
		d.fail(err)
	}
	return d.fault
}

// Copy queues the copy of src to dst.
func (d *Device) Copy(dst, src *device.Tensor) {
	to, from := d.memoryOf("copy", "destination", dst), d.memoryOf("copy", "source", src)
	if dst.DType() != src.DType() || dst.Len() != src.Len() {
		panic(fmt.Sprintf("gpu: Copy of %v to %v", src, dst))
	}
	if !d.begin("copy") {
		return
	}
	defer d.end()
	if err := cuda.CopyAsync(d.at(to), d.at(from), int64(size(src)), d.stream); err != nil {
		d.fail(err)
	}
}

// copyWithin queues the copy of bytes within the device's memory.
func (d *Device) copyWithin(to, from cu.DevicePtr, bytes int64) {
	if err := cuda.CopyAsync(to, from, bytes, d.stream); err != nil {
		d.fail(err)
	}
}

// Zero queues setting t to zero.
func (d *Device) Zero(t *device.Tensor) {
	m := d.memoryOf("zero", "tensor", t)
	if !d.begin("zero") {
		return
	}
	defer d.end()
	d.clear(m, int64(size(t)))
}

// clear queues setting the first bytes of memory to zero.
func (d *Device) clear(m *memory, bytes int64) {
	if err := cuda.SetAsync(d.at(m), 0, bytes, d.stream); err != nil {
		d.fail(err)
	}
}

// size returns the bytes of a tensor's current shape.
func size(t *device.Tensor) int { return t.Len() * t.DType().Size() }
