// Package gpu is the CUDA device. This build has none: New says so.
package gpu

import (
	"fmt"

	"trainer/nn/device"
)

// Built reports whether this build has a CUDA device.
const Built = false

// New returns CUDA device number index. This build has no CUDA device, so it always
// fails with an error that is a device.ErrNotBuilt.
func New(index int) (device.Device, error) {
	return nil, notBuiltError{index}
}

// notBuiltError is a device.ErrNotBuilt with a text of its own.
type notBuiltError struct{ index int }

func (e notBuiltError) Error() string {
	return fmt.Sprintf("cuda:%d: this build has no CUDA device, use -device cpu", e.index)
}

// Unwrap returns device.ErrNotBuilt.
func (notBuiltError) Unwrap() error { return device.ErrNotBuilt }
