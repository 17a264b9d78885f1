package device

import (
	"errors"
	"fmt"
	"strings"
)

// Causes that callers distinguish with errors.Is.
var (
	// ErrNoDevice: this machine has no such device, or the driver is missing.
	ErrNoDevice = errors.New("no such device")
	// ErrNotBuilt: this program was built without support for the device.
	ErrNotBuilt = errors.New("not in this build")
	// ErrOutOfMemory: the device does not have the requested memory.
	ErrOutOfMemory = errors.New("out of device memory")
	// ErrNotSupported: the device cannot do the operation with this spec.
	ErrNotSupported = errors.New("not supported by the device")
	// ErrLost: the device stopped answering; everything on it is gone.
	ErrLost = errors.New("device lost")
)

// Error is a failure on a device: the operation that failed and the cause, which errors.Is
// and errors.As also match.
type Error struct {
	Device string // as Device.Name
	Op     string // the operation, such as "conv2d forward"
	Err    error
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %s: %v", e.Device, e.Op, e.Err) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// MemoryError is an allocation that failed. It is an ErrOutOfMemory.
type MemoryError struct {
	Wanted, Free int64 // bytes
}

func (e *MemoryError) Error() string {
	return fmt.Sprintf("out of device memory: %d bytes wanted, %d free", e.Wanted, e.Free)
}

// Is reports whether target is ErrOutOfMemory.
func (e *MemoryError) Is(target error) bool { return target == ErrOutOfMemory }

// Reason returns an error's text on one line, without the names of the device and the operation.
func Reason(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		err = e.Err
	}
	return strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", "; ")
}
