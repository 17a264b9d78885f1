//go:build !(cuda && linux && cgo && (amd64 || arm64))

package gpu

import (
	"context"
	"fmt"
	"runtime"

	"trainer/nn/device"
)

// Built reports whether this build has a CUDA device.
const Built = false

// New returns an error that is a device.ErrNotBuilt, because this build has no CUDA device.
func New(index int, _ ...Option) (device.Device, error) {
	return nil, &device.Error{Device: fmt.Sprintf("cuda:%d", index), Op: "opening the device", Err: notBuiltError{}}
}

// Count returns an error that is a device.ErrNotBuilt.
func Count() (int, error) { return 0, notBuiltError{} }

// Connect returns an error that is a device.ErrNotBuilt.
func Connect(context.Context, device.Device, device.Collective, device.ConnectOptions) (device.Collective, error) {
	return nil, notBuiltError{}
}

// notBuiltError is a device.ErrNotBuilt with its own text.
type notBuiltError struct{}

func (notBuiltError) Error() string {
	return "this build has no CUDA device: " + remedy(runtime.GOOS, runtime.GOARCH)
}

// remedy says how to get a program with the CUDA device, or what to use on a system that doesn't support it.
func remedy(system, architecture string) string {
	if system != "linux" || architecture != "amd64" && architecture != "arm64" {
		return fmt.Sprintf("it needs Linux on amd64 or arm64, and this is %s on %s; use -device cpu", system, architecture)
	}
	return "run `make` with a C compiler installed to build a program that has it, or use -device cpu"
}

// Unwrap returns device.ErrNotBuilt.
func (notBuiltError) Unwrap() error { return device.ErrNotBuilt }
