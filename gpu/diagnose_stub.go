//go:build !(cuda && linux && cgo && (amd64 || arm64))

package gpu

import (
	"context"
	"runtime"

	"trainer/nn/device"
)

// Diagnose says that this build has no CUDA device, and how to get it.
func Diagnose(context.Context, device.Device) Diagnosis {
	return Diagnosis{
		Verdict:   "this build has no CUDA device: " + remedy(runtime.GOOS, runtime.GOARCH),
		Libraries: []Library{},
		GPUs:      []GPU{},
	}
}
