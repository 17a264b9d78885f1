package cuda

import (
	"strconv"
	"strings"

	"trainer/nn/device"
)

// The libraries that an Error may come from.
const (
	CUDA   = "CUDA"
	CuBLAS = "cuBLAS"
	CuDNN8 = "cuDNN 8"
	CuDNN9 = "cuDNN 9"
)

// Error is a call that returned a status other than success. errors.Is finds
// device.ErrOutOfMemory, ErrLost, ErrNotSupported and ErrNoDevice in it.
type Error struct {
	Library string // CUDA, CuBLAS, CuDNN8, CuDNN9 or NCCL: it decides the meaning of Code
	Func    string // the C function, such as "cuMemAlloc_v2"; "" if unknown
	Doing   string // the operation, such as "allocating 4096 bytes"
	Code    int    // the status
	Name    string // the status's name in the library's numbering; "" if it has none
	Detail  string // additional text from the library or the shim; may be ""

	absent bool // the library has no such function, or isn't loaded
}

// newError returns an error with the name that the library gives the code.
func newError(library, function, doing string, code int, detail string) *Error {
	return &Error{Library: library, Func: function, Doing: doing, Code: code, Name: StatusName(library, code), Detail: detail}
}

// StatusName returns the name of a library's status, such as "CUDA_ERROR_OUT_OF_MEMORY", or ""
// if no status has that number.
func StatusName(library string, code int) string {
	switch library {
	case CUDA:
		return cudaStatusName(code)
	case CuBLAS:
		return cublasStatusName(code)
	case CuDNN8:
		return cudnn8StatusName(code)
	case CuDNN9:
		return cudnn9StatusName(code)
	case NCCL:
		return ncclStatusName(code)
	}
	return ""
}

func (e *Error) Error() string {
	var b strings.Builder
	for _, s := range []string{e.Doing, e.Func} {
		if s != "" {
			b.WriteString(s + ": ")
		}
	}
	if e.Name != "" {
		b.WriteString(e.Name)
	} else {
		b.WriteString(e.Library + " status " + strconv.Itoa(e.Code))
	}
	if e.Detail != "" {
		b.WriteString(": " + e.Detail)
	}
	return b.String()
}

// Is reports whether target is the device error that corresponds to the status.
func (e *Error) Is(target error) bool {
	switch target {
	case device.ErrOutOfMemory:
		return e.OutOfMemory()
	case device.ErrLost:
		return e.DeviceLost()
	case device.ErrNotSupported:
		return e.NotSupported()
	case device.ErrNoDevice:
		return e.NoDevice()
	}
	return false
}

// is reports whether the status has one of the names, without the library's prefix.
func (e *Error) is(names ...string) bool {
	_, short, ok := strings.Cut(e.Name, "_ERROR_")
	if !ok || e.Library != CUDA {
		_, short, _ = strings.Cut(e.Name, "_STATUS_")
	}
	for _, name := range names {
		if name == short && short != "" {
			return true
		}
	}
	return false
}

// OutOfMemory reports whether memory of the device, or of the library on the host, ran out.
func (e *Error) OutOfMemory() bool {
	return e.is("OUT_OF_MEMORY", "ALLOC_FAILED", "INTERNAL_ERROR_HOST_ALLOCATION_FAILED",
		"INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED")
}

// DeviceLost reports whether the context is gone, and with it everything on the device: a kernel
// faulted, the device failed, or the driver was shut down. All later calls fail too. For a GPU
// that no longer responds, the driver reports an unknown error.
func (e *Error) DeviceLost() bool {
	return e.Library == CUDA && e.is("DEINITIALIZED", "ECC_UNCORRECTABLE", "NVLINK_UNCORRECTABLE",
		"ILLEGAL_ADDRESS", "LAUNCH_TIMEOUT", "CONTEXT_IS_DESTROYED", "ASSERT", "HARDWARE_STACK_ERROR",
		"ILLEGAL_INSTRUCTION", "MISALIGNED_ADDRESS", "INVALID_ADDRESS_SPACE", "INVALID_PC", "LAUNCH_FAILED",
		"EXTERNAL_DEVICE", "MPS_CLIENT_TERMINATED", "CONTAINED", "TENSOR_MEMORY_LEAK", "UNKNOWN")
}

// NotSupported reports whether the library, the driver or the device can't do what was requested.
func (e *Error) NotSupported() bool {
	return e.absent || e.is("NOT_SUPPORTED", "ARCH_MISMATCH", "RUNTIME_PREREQUISITE_MISSING") ||
		e.Library == CuDNN9 && e.Code/1000 == 3
}

// NoDevice reports whether there is no such device, or no driver for it.
func (e *Error) NoDevice() bool {
	return e.Library == CUDA && e.is("NO_DEVICE", "INVALID_DEVICE", "STUB_LIBRARY", "NOT_INITIALIZED",
		"SYSTEM_DRIVER_MISMATCH", "COMPAT_NOT_SUPPORTED_ON_DEVICE", "SYSTEM_NOT_READY")
}

// Busy reports whether another process has exclusive use of the device.
func (e *Error) Busy() bool { return e.Library == CUDA && e.is("DEVICE_UNAVAILABLE") }

// DriverTooOld reports whether the call failed because the driver is too old: it can't load
// PTX of this version, or doesn't support this cuDNN.
func (e *Error) DriverTooOld() bool {
	return e.is("UNSUPPORTED_PTX_VERSION", "CALL_REQUIRES_NEWER_DRIVER", "NOT_SUPPORTED_INCOMPATIBLE_CUDA_DRIVER")
}
