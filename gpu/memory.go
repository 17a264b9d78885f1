//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"weak"

	"gorgonia.org/cu"

	"trainer/gpu/internal/cuda"
	"trainer/nn/device"
)

// memory is an allocation, what a tensor of this device wraps. When the garbage collector finds that
// nothing refers to it, collect frees it.
type memory struct {
	owner   *Device
	address cu.DevicePtr // aligned to 256 bytes
	bytes   int64
}

// heap keeps account of a device's memory.
type heap struct {
	blas        *memory // cuBLAS's workspace
	allocations []allocation
	live        int64 // bytes that were in use after the last collect
	fresh       int64 // bytes allocated since
	least       int64 // of fresh, for the next collect
}

// allocation is what there is to free once its owner is gone.
type allocation struct {
	owner   weak.Pointer[memory]
	address cu.DevicePtr
	bytes   int64
}

// minCollection is how many bytes are allocated at least from one collect to the next.
const minCollection = 256 << 20

// allocate returns memory of undefined contents. bytes must be positive. Where there is not
// enough, the error is a *device.MemoryError.
func (d *Device) allocate(bytes int64) (*memory, error) {
	m := &memory{}
	return m, d.allocateTo(m, bytes)
}

// allocateTo is allocate for an owner that there is already.
func (d *Device) allocateTo(m *memory, bytes int64) error {
	if d.heap.fresh+bytes > max(d.heap.live, d.heap.least) {
		if err := d.collect(); err != nil {
			return err
		}
	}
	address, err := cuda.Alloc(bytes)
	if errors.Is(err, device.ErrOutOfMemory) {
		if err := d.collect(); err != nil {
			return err
		}
		address, err = cuda.Alloc(bytes)
	}
	if errors.Is(err, device.ErrOutOfMemory) {
		if free, _, err := cuda.FreeMemory(); err == nil {
			return &device.MemoryError{Wanted: bytes, Free: free}
		}
	}
	if err != nil {
		return err
	}
	*m = memory{d, address, bytes}
	d.heap.fresh += bytes
	d.heap.allocations = append(d.heap.allocations, allocation{weak.Make(m), address, bytes})
	return nil
}

// collect frees the memory that nothing refers to any more.
func (d *Device) collect() error {
	runtime.GC()
	h := &d.heap
	var garbage []allocation
	live := h.allocations[:0]
	h.live, h.fresh = 0, 0
	for _, a := range h.allocations {
		if a.owner.Value() == nil {
			garbage = append(garbage, a)
			continue
		}
		live = append(live, a)
		h.live += a.bytes
	}
	h.allocations = live
	if len(garbage) == 0 {
		return nil
	}
	// Work that was queued before the references went may still use it.
	err := cuda.Wait(d.stream)
	for _, a := range garbage {
		err = errors.Join(err, cuda.Free(a.address))
	}
	return err
}

// free frees everything, and returns the first error.
func (h *heap) free() (first error) {
	for _, a := range h.allocations {
		if err := cuda.Free(a.address); err != nil && first == nil {
			first = err
		}
	}
	h.allocations = nil
	return first
}

// NewTensor allocates a tensor of zeros.
func (d *Device) NewTensor(dtype device.DType, shape ...int) (*device.Tensor, error) {
	n := int64(dtype.Size())
	for _, dim := range shape {
		if dim > 0 && n > math.MaxInt64/int64(dim) {
			panic(fmt.Sprintf("gpu: NewTensor: %v%v has more bytes than a number can hold", dtype, shape))
		}
		n *= int64(dim)
	}
	m := &memory{}
	t := device.WrapTensor(dtype, m, shape...)
	if err := d.enter("allocating"); err != nil {
		return nil, err
	}
	defer d.end()
	if err := d.allocateTo(m, n); err != nil {
		return nil, d.error("allocating "+t.String(), err)
	}
	d.clear(m, n)
	if d.fault != nil {
		return nil, d.fault
	}
	return t, nil
}

// FreeMemory returns the bytes that can still be allocated, 0 after a fault.
func (d *Device) FreeMemory() int64 {
	if d.enter("asking for free memory") != nil {
		return 0
	}
	defer d.end()
	if err := d.collect(); err != nil {
		d.fail(err)
		return 0
	}
	free, _, err := cuda.FreeMemory()
	if err != nil {
		d.fail(err)
	}
	return free
}
