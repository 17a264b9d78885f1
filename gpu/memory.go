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

// memory is an allocation; each tensor of this device wraps one. Once the garbage collector has found that nothing
// refers to a memory, collect frees it.
type memory struct {
	owner   *Device
	address cu.DevicePtr // aligned to 256 bytes
	bytes   int64
	whole   *memory // of which it is a part (Slice); nil if it was allocated by itself
}

// heap keeps track of a device's memory.
type heap struct {
	blas        *memory // cuBLAS's workspace
	allocations []allocation
	live        int64 // bytes in use after the last collect
	fresh       int64 // bytes allocated since
	least       int64 // value of fresh at which the next collect runs
}

// allocation is what must be freed once its owner is gone.
type allocation struct {
	owner   weak.Pointer[memory]
	address cu.DevicePtr
	bytes   int64
}

// minCollection is the least number of bytes allocated between two collects.
const minCollection = 256 << 20

// allocate returns memory of undefined contents. bytes must be positive. If there is not
// enough memory, the error is a *device.MemoryError.
func (d *Device) allocate(bytes int64) (*memory, error) {
	m := &memory{}
	return m, d.allocateTo(m, bytes)
}

// allocateTo is allocate for an existing owner.
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
	*m = memory{owner: d, address: address, bytes: bytes}
	d.heap.fresh += bytes
	d.heap.allocations = append(d.heap.allocations, allocation{weak.Make(m), address, bytes})
	return nil
}

// collect frees the memory that nothing refers to.
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
	// Work that was queued before the references went away may still use the memory.
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

// FreeMemory returns the bytes that can still be allocated, or 0 after a fault.
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
