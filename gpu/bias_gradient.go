//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"trainer/gpu/internal/cuda"
	"trainer/kernels"
	"trainer/nn/device"
)

// biasGradient is the plan of the way back through a bias with ReLU after it, in one launch of a kernel in epilogue.cu:
//
//	dx = dy where y > 0, otherwise 0        dbias[j] = sum_i dx[i,j]
type biasGradient struct {
	d       *Device
	spec    device.BiasGradientSpec
	arrived *memory // uint32 for each group of columns; 0 between launches
	kernel  *cuda.Kernel
}

// NewBiasReLUGradient makes a plan.
func (d *Device) NewBiasReLUGradient(s device.BiasGradientSpec) (device.BiasGradient, error) {
	s.Check()
	s.DType = floatType("NewBiasReLUGradient", s.DType)
	return build(d, "gradient of a bias", func(b *builder) device.BiasGradient {
		if !b.elements(s.Rows * s.C) {
			return nil
		}
		b.reserve(columnSums(s.Rows, s.C))
		return &biasGradient{d, s, b.zeros(4 * kernels.Columns(1, s.C).Grid.Y), b.family(kernels.BiasReLUBackward, s.DType)}
	})
}

func (p *biasGradient) Run(dx, dbias, dy, y *device.Tensor) {
	s, d := p.spec, p.d
	rows := s.CheckOperands(dx, dbias, dy, y)
	if !d.begin("gradient of a bias") {
		return
	}
	defer d.end()
	l := kernels.Columns(rows, s.C)
	d.arguments().Pointer(d.data(dx)).Pointer(d.data(dbias)).Pointer(d.scratch()).Pointer(d.at(p.arrived)).Pointer(d.data(dy)).Pointer(d.data(y)).
		Int32(int32(rows)).Int32(int32(s.C)).Int32(int32(l.RowsPerBlock)).Int32(flag(l.Vector))
	d.launch(p.kernel, l.Grid)
}
