//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"fmt"

	"gorgonia.org/cu"

	"trainer/nn/device"
)

// Slice returns a part of a float32 tensor over the same memory, which lives as long as one of them is referred to. Its address is
// aligned as that of every tensor, because device.SliceAlignment elements have 256 bytes.
func (d *Device) Slice(t *device.Tensor, from, n int) *device.Tensor {
	m := d.memoryOf("slice", "the tensor", t)
	if t.DType() != device.Float32 || from < 0 || n < 1 || from%device.SliceAlignment != 0 || from+n > t.Len() {
		panic(fmt.Sprintf("gpu: slice of %v: %d elements from %d on, want float32 from a multiple of %d", t, n, from, device.SliceAlignment))
	}
	size := device.Float32.Size()
	part := &memory{owner: d, address: m.address + cu.DevicePtr(from*size), bytes: int64(n * size), whole: m.root()}
	return device.WrapTensor(device.Float32, part, n)
}

// root returns the memory that was allocated, of which m is a part or all.
func (m *memory) root() *memory {
	if m.whole != nil {
		return m.whole
	}
	return m
}
