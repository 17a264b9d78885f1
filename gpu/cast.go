//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"fmt"

	"trainer/gpu/internal/cuda"
	"trainer/kernels"
	"trainer/nn/device"
)

// cast is the plan of a conversion between float types: to nearest, ties to even. By the kernels of cast.cu.
type cast struct {
	d      *Device
	spec   device.CastSpec
	kernel *cuda.Kernel // nil if the types are the same
}

// NewCast makes a plan for a conversion.
func (d *Device) NewCast(s device.CastSpec) (device.Cast, error) {
	if !isFloat(s.To) || !isFloat(s.From) || s.Len < 1 {
		panic(fmt.Sprintf("gpu: NewCast: from %v to %v, %d elements", s.From, s.To, s.Len))
	}
	return build(d, fmt.Sprintf("cast from %v to %v", s.From, s.To), func(b *builder) device.Cast {
		b.elements(s.Len)
		b.stores(s.From)
		b.stores(s.To)
		p := &cast{d: d, spec: s}
		if s.From != s.To {
			p.kernel = b.kernel(castKernel(s.From, s.To))
		}
		return p
	})
}

// castKernel returns the kernel for two different types. A kernel between two float types is in the family of the
// 16-bit type, or of bfloat16 if both have 16 bits.
func castKernel(from, to device.DType) kernels.Name {
	switch {
	case from == device.Float32:
		return kernels.CastFromFloat32.In(storage(to))
	case to == device.Float32:
		return kernels.CastToFloat32.In(storage(from))
	case from == device.Float16:
		return kernels.CastFromFloat16.In(kernels.BFloat16)
	}
	return kernels.CastToFloat16.In(kernels.BFloat16)
}

func (p *cast) Run(dst, src *device.Tensor) {
	const op = "cast"
	s, d := p.spec, p.d
	if src == nil || src.Len() > s.Len {
		panic(fmt.Sprintf("%s: src is %v, want at most %d elements of %v", op, src, s.Len, s.From))
	}
	n := src.Len()
	device.CheckLen(op, "src", src, s.From, n)
	device.CheckLen(op, "dst", dst, s.To, n)
	if p.kernel == nil {
		d.Copy(dst, src)
		return
	}
	if !d.begin(op) {
		return
	}
	defer d.end()
	d.arguments().Pointer(d.data(dst)).Pointer(d.data(src)).Int32(int32(n))
	d.launch(p.kernel, kernels.FourPerThread(n))
}
