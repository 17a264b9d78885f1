//go:build !(cuda && linux && cgo && (amd64 || arm64))

package doctor

import (
	"trainer/gpu"
	"trainer/nn/device"
)

// Survey says that this build has no CUDA device, and how to get it.
func Survey(func(doing string)) Diagnosis {
	return Diagnosis{Verdict: notBuilt(0), Libraries: []Library{}, GPUs: []GPU{}}
}

// Examine says that this build has no CUDA device.
func Examine(index int, _ device.Device, _ func(doing string, sofar GPU)) GPU {
	return GPU{Index: index, Reason: notBuilt(index)}
}

// notBuilt returns why no GPU can be opened.
func notBuilt(index int) string {
	_, err := gpu.New(index)
	return device.Reason(err)
}
