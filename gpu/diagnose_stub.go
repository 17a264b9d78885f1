//go:build !(cuda && linux && cgo && (amd64 || arm64))

package gpu

import (
	"runtime"

	"trainer/nn/device"
)

// Survey says that this build has no CUDA device, and how to get it.
func Survey(func(doing string)) Diagnosis {
	return Diagnosis{
		Verdict:   "this build has no CUDA device: " + remedy(runtime.GOOS, runtime.GOARCH),
		Libraries: []Library{},
		GPUs:      []GPU{},
	}
}

// Examine says that this build has no CUDA device.
func Examine(index int, _ device.Device, _ func(doing string, sofar GPU)) GPU {
	return GPU{Index: index, Reason: "this build has no CUDA device: " + remedy(runtime.GOOS, runtime.GOARCH)}
}
