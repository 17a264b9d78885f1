//go:build cuda && linux && cgo && (amd64 || arm64)

package cuda

// #include "calls.h"
import "C"

import (
	"fmt"
	"unsafe"

	"gorgonia.org/cu"
)

// FreeMemory returns the free and the total bytes of device memory.
func FreeMemory() (free, total int64, err error) {
	free, total, err = cu.MemInfo()
	return free, total, Check("asking for free memory", err)
}

// Alloc allocates device memory, aligned to at least 256 bytes. bytes must be positive. If there
// is not enough memory, the error says how much is free.
func Alloc(bytes int64) (cu.DevicePtr, error) {
	p, err := cu.MemAlloc(bytes)
	if err == nil {
		return p, nil
	}
	err = Check(fmt.Sprintf("allocating %d bytes on the device", bytes), err)
	if e, ok := err.(*Error); ok && e.OutOfMemory() {
		if free, total, err := cu.MemInfo(); err == nil {
			e.Detail = fmt.Sprintf("%d of %d bytes are free", free, total)
		}
	}
	return 0, err
}

// Free frees memory of Alloc. Freeing 0 does nothing.
func Free(p cu.DevicePtr) error {
	if p == 0 {
		return nil
	}
	return Check("freeing device memory", cu.MemFree(p))
}

// AllocHost allocates pinned host memory outside the Go heap, from and to which the device can
// copy asynchronously. bytes must be positive.
func AllocHost(bytes int) ([]byte, error) {
	var p unsafe.Pointer
	status := C.cuMemHostAlloc(&p, C.size_t(bytes), C.CU_MEMHOSTALLOC_PORTABLE)
	if status != C.CUDA_SUCCESS {
		return nil, cudaError(fmt.Sprintf("allocating %d bytes of pinned host memory", bytes), status)
	}
	return unsafe.Slice((*byte)(p), bytes), nil
}

// FreeHost frees memory of AllocHost, to which nothing may refer afterwards. Freeing nil
// does nothing.
func FreeHost(b []byte) error {
	if cap(b) == 0 {
		return nil
	}
	return Check("freeing pinned host memory", cu.MemFreeHost(unsafe.Pointer(unsafe.SliceData(b))))
}

// CopyToDeviceAsync queues a copy of src, which must be memory of AllocHost, and must not
// change until the stream has done the copy.
func CopyToDeviceAsync(dst cu.DevicePtr, src []byte, s cu.Stream) error {
	if len(src) == 0 {
		return nil
	}
	return Check("copying to the device",
		cu.MemcpyHtoDAsync(dst, unsafe.Pointer(unsafe.SliceData(src)), int64(len(src)), s))
}

// HostAddress returns the address by which a kernel reads memory of AllocHost: with unified addressing, that of the host.
func HostAddress(b []byte) cu.DevicePtr { return cu.DevicePtr(unsafe.Pointer(unsafe.SliceData(b))) }

// CopyToHostAsync queues a copy to dst, which must be memory of AllocHost and holds the bytes
// once the stream has done the copy.
func CopyToHostAsync(dst []byte, src cu.DevicePtr, s cu.Stream) error {
	if len(dst) == 0 {
		return nil
	}
	return Check("copying to the host",
		cu.MemcpyDtoHAsync(unsafe.Pointer(unsafe.SliceData(dst)), src, int64(len(dst)), s))
}

// CopyAsync queues a copy within device memory. Source and destination must not overlap.
func CopyAsync(dst, src cu.DevicePtr, bytes int64, s cu.Stream) error {
	if bytes == 0 {
		return nil
	}
	return Check("copying on the device", cu.MemcpyDtoDAsync(dst, src, bytes, s))
}

// SetAsync queues setting every byte to value.
func SetAsync(dst cu.DevicePtr, value byte, bytes int64, s cu.Stream) error {
	if bytes == 0 {
		return nil
	}
	return Check("setting device memory", cu.MemsetD8Async(dst, value, bytes, s))
}
