package bench

import (
	"slices"
	"testing"

	"trainer/gpu"
	"trainer/nn/device"
	"trainer/nn/device/devicetest"
)

// Memory-bound operations: this project's own kernels, on the largest activations of the recipe airbench94 with its
// batch size of 1024, which fit into no cache. GB/s count the bytes that an operation has to read and write: each
// tensor once, except in batch normalisation, whose second pass over x (and dy) can't begin before the end of the
// first.

// memoryTypes are the types of the tensors. The kernels for bfloat16 differ from those for float16 only in the conversion.
var memoryTypes = []device.DType{device.Float16, device.Float32}

// runMemory measures the memory-bound operations, and a copy.
func (a *accelerator) runMemory(b *testing.B) {
	d := a.open(b, gpu.Auto)
	for _, dtype := range memoryTypes {
		b.Run(dtype.String(), func(b *testing.B) {
			a.runCopy(b, d, dtype)
			o := a.operands(b, d, dtype)
			for _, op := range devicetest.Operations() {
				if op.Group != devicetest.Elementwise || !slices.Contains(op.Types, dtype) {
					continue
				}
				for _, c := range op.Calls(devicetest.Huge) {
					b.Run(c.Name, func(b *testing.B) {
						w := makeCall(b, o, c)
						a.bytes(b, a.sample(b, d, kernel(w.Run)), float64(w.Bytes))
					})
				}
			}
		})
	}
}

// runCopy measures the driver's copy within the GPU's memory.
func (a *accelerator) runCopy(b *testing.B, d device.Device, dtype device.DType) {
	n := 1024 * 31 * 31 * 64
	if a.dry {
		n = 1000
	}
	b.Run("copy", func(b *testing.B) {
		x, y := must(RandomTensorOf(d, dtype, n))(b), must(RandomTensorOf(d, dtype, n))(b)
		s := a.sample(b, d, kernel(func() { d.Copy(y, x) }))
		if s == nil {
			return
		}
		bytes := 2 * float64(n) * float64(dtype.Size())
		rate(b, s, bytes/1e9, "GB/s")
		a.copy = bytes / s.median()
	})
}

// bytes reports GB/s, and the percentage of the copy that was measured last.
func (a *accelerator) bytes(b *testing.B, s samples, each float64) {
	if s == nil {
		return
	}
	rate(b, s, each/1e9, "GB/s")
	if a.copy > 0 {
		b.ReportMetric(100*each/s.median()/a.copy, "%copy")
	}
}
