package reference

import (
	"fmt"

	"trainer/nn/device"
)

// HostMemory is a device.Memory in the program's own memory. Together with Operations it is a device that computes with
// the references.
type HostMemory struct{}

// Name returns "host".
func (HostMemory) Name() string { return "host" }

// Info says that package reference computes.
func (HostMemory) Info() device.Info { return device.Info{Description: "references in float64"} }

// NewTensor allocates a tensor of zeros.
func (HostMemory) NewTensor(dtype device.DType, shape ...int) (*device.Tensor, error) {
	n := dtype.Size()
	for _, d := range shape {
		n *= d
	}
	return device.WrapTensor(dtype, make([]byte, max(n, 0)), shape...), nil
}

// Elements returns the memory of t's current shape.
func (HostMemory) Elements(t *device.Tensor) []byte {
	return t.Memory().([]byte)[:t.Len()*t.DType().Size()]
}

// Upload copies src to dst. It panics unless src has dst's size.
func (m HostMemory) Upload(dst *device.Tensor, src []byte) error {
	if len(m.Elements(dst)) != len(src) {
		panic(fmt.Sprintf("host: Upload of %d bytes to %v", len(src), dst))
	}
	copy(m.Elements(dst), src)
	return nil
}

// Download copies src to dst. It panics unless dst has src's size.
func (m HostMemory) Download(dst []byte, src *device.Tensor) error {
	if len(m.Elements(src)) != len(dst) {
		panic(fmt.Sprintf("host: Download of %v to %d bytes", src, len(dst)))
	}
	copy(dst, m.Elements(src))
	return nil
}

// Copy copies src to dst.
func (m HostMemory) Copy(dst, src *device.Tensor) {
	device.CheckLen("copy", "dst", dst, src.DType(), src.Len())
	copy(m.Elements(dst), m.Elements(src))
}

// Zero sets t to zero.
func (m HostMemory) Zero(t *device.Tensor) { clear(m.Elements(t)) }

// Sync returns nil: every operation is done when its method returns.
func (HostMemory) Sync() error { return nil }

// Close does nothing.
func (HostMemory) Close() error { return nil }

// Host is a device of HostMemory and Operations: the smallest that passes package devicetest.
type Host struct {
	HostMemory
	*Operations
}

var _ device.Device = Host{}

// NewHost returns a Host.
func NewHost() Host { return Host{Operations: On(HostMemory{})} }
