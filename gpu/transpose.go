//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"trainer/gpu/internal/cuda"
	"trainer/kernels"
	"trainer/nn/device"
)

// transpose is the plan of y[n,j,i] = x[n,i,j], computed by the kernel in transpose.cu.
type transpose struct {
	d      *Device
	spec   device.TransposeSpec
	kernel *cuda.Kernel
}

// NewTranspose makes a plan for a transposition.
func (d *Device) NewTranspose(s device.TransposeSpec) (device.Transpose, error) {
	s.Check()
	s.DType = floatType("NewTranspose", s.DType)
	return build(d, "transpose", func(b *builder) device.Transpose {
		b.elements(s.Batch * s.M * s.N)
		return &transpose{d, s, b.family(kernels.Transpose, s.DType)}
	})
}

func (p *transpose) Run(y, x *device.Tensor) {
	s, d := p.spec, p.d
	batch := s.CheckOperands(y, x)
	if !d.begin("transpose") {
		return
	}
	defer d.end()
	d.arguments().Pointer(d.data(y)).Pointer(d.data(x)).Int32(int32(s.M)).Int32(int32(s.N))
	d.launch(p.kernel, kernels.Squares(batch, s.M, s.N))
}
