//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"gorgonia.org/cu"

	"trainer/gpu/internal/cuda"
	"trainer/kernels"
	"trainer/nn/device"
)

// mapping is the plan of y = f(a, b) over [batch, rows, c], with b broadcast, computed by the kernel in map.cu.
type mapping struct {
	d      *Device
	spec   device.MapSpec
	code   int32
	kernel *cuda.Kernel

	full                           bool // b has a's shape
	strideBatch, strideRow, stride int  // of b, 0 along the dimensions that b doesn't have
}

// NewMap makes a plan for an elementwise function.
func (d *Device) NewMap(s device.MapSpec) (device.Map, error) {
	s.Check()
	s.DType = floatType("NewMap", s.DType)
	return build(d, "map", func(b *builder) device.Map {
		b.elements(s.Batch * s.Rows * s.C)
		p := &mapping{d: d, spec: s, code: int32(kernels.MapCode(string(s.Kind)))}
		p.place()
		p.kernel = b.family(kernels.Map, s.DType)
		return p
	})
}

// place computes b's strides. A dimension with one element may count as present or absent.
func (p *mapping) place() {
	s := p.spec
	p.full = s.B == device.AllAxes || s.Rows == 1 && s.B == device.AxisBatch|device.AxisC
	n := 1
	for _, d := range []struct {
		axis   device.Axes
		length int
		stride *int
	}{{device.AxisC, s.C, &p.stride}, {device.AxisRows, s.Rows, &p.strideRow}, {device.AxisBatch, s.Batch, &p.strideBatch}} {
		if s.B&d.axis != 0 {
			*d.stride = n
			n *= d.length
		}
	}
}

func (p *mapping) Run(y, a, b *device.Tensor) {
	s, d := p.spec, p.d
	s.CheckOperands(y, a, b)
	if !d.begin("map") {
		return
	}
	defer d.end()
	second := d.optional(b)
	if b != nil {
		second += cu.DevicePtr(s.BIndex * s.BType().Size())
	}
	d.arguments().Pointer(d.data(y)).Pointer(d.data(a)).Pointer(second).Int32(int32(a.Len())).
		Int32(p.code).Float32(s.Alpha).Float32(s.Beta).Int32(flag(s.Accumulate)).
		Int32(flag(p.full)).Int32(flag(s.BType() == device.Float32)).Int32(int32(s.Rows)).Int32(int32(s.C)).
		Int32(int32(p.strideBatch)).Int32(int32(p.strideRow)).Int32(int32(p.stride))
	d.launch(p.kernel, kernels.VectorPerThread(a.Len(), storage(s.DType)))
}
