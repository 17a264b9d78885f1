//go:build !(cuda && linux && cgo && (amd64 || arm64))

package gpu

import (
	"fmt"
	"runtime"

	"trainer/nn/device"
)

// Built reports whether this build has a CUDA device.
const Built = false

// New returns CUDA device number index. This build has no CUDA device, so it always
// fails with an error that is a device.ErrNotBuilt.
func New(index int, _ ...Option) (device.Device, error) {
	return nil, notBuiltError{index}
}

// notBuiltError is a device.ErrNotBuilt with a text of its own.
type notBuiltError struct{ index int }

func (e notBuiltError) Error() string {
	return fmt.Sprintf("cuda:%d: this build has no CUDA device: %s", e.index, remedy(runtime.GOOS, runtime.GOARCH))
}

// remedy says how to get a program that has the device, or what to use where there can be none.
func remedy(system, architecture string) string {
	if system != "linux" || architecture != "amd64" && architecture != "arm64" {
		return fmt.Sprintf("it is there for Linux on amd64 and arm64, this is %s on %s; use -device cpu", system, architecture)
	}
	return "run `make` where there is a C compiler to get a program that has it, or use -device cpu"
}

// Unwrap returns device.ErrNotBuilt.
func (notBuiltError) Unwrap() error { return device.ErrNotBuilt }
