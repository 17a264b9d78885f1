//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"trainer/gpu/internal/cuda"
	"trainer/kernels"
	"trainer/nn/device"
)

// copyColumns is the plan of y[i, YFrom+j] = x[i, XFrom+j] for the columns j of a range, computed by the kernel in
// gather.cu.
type copyColumns struct {
	d      *Device
	spec   device.CopyColumnsSpec
	pack   bool
	kernel *cuda.Kernel
}

// NewCopyColumns makes a plan that copies a range of columns.
func (d *Device) NewCopyColumns(s device.CopyColumnsSpec) (device.CopyColumns, error) {
	s.Check()
	s.DType = floatType("NewCopyColumns", s.DType)
	return build(d, "copy columns", func(b *builder) device.CopyColumns {
		b.elements(s.Rows * max(s.XC, s.YC))
		pack := packs(s.DType, s.Width, s.YC, s.YFrom, s.XC, s.XFrom)
		return &copyColumns{d, s, pack, b.family(kernels.CopyColumns, s.DType)}
	})
}

func (p *copyColumns) Run(y, x *device.Tensor) {
	s, d := p.spec, p.d
	rows := s.CheckOperands(y, x)
	if !d.begin("copy columns") {
		return
	}
	defer d.end()
	n := rows * s.Width
	d.arguments().Pointer(d.data(y)).Pointer(d.data(x)).Int32(int32(n)).Int32(int32(s.Width)).
		Int32(int32(s.YC)).Int32(int32(s.YFrom)).Int32(int32(s.XC)).Int32(int32(s.XFrom)).Int32(flag(p.pack))
	d.launch(p.kernel, kernels.VectorPerThread(n, storage(s.DType)))
}
