//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import "trainer/nn/device"

// seed is the seed of a plan's random numbers, int32 [2] in device memory, the lower half first. Kernels read it there, so that a
// recorded step follows a new one.
type seed struct{ tensor *device.Tensor }

// seed allocates a seed.
func (b *builder) seed(value uint64) seed {
	if m := b.table(device.Bytes(halves(value))); m != nil {
		return seed{device.WrapTensor(device.Int32, m, 2)}
	}
	return seed{}
}

func halves(value uint64) []int32 { return []int32{int32(uint32(value)), int32(uint32(value >> 32))} }

// set queues the upload of another value. A fault is kept for the next call that returns errors.
func (s seed) set(d *Device, value uint64) { _ = d.Upload(s.tensor, device.Bytes(halves(value))) }
