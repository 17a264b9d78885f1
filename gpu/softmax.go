//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"fmt"

	"trainer/gpu/internal/cuda"
	"trainer/kernels"
	"trainer/nn/device"
)

// softmax is the plan of the softmax over each row x of [n, classes], computed by the kernel in softmax.cu:
//
//	y[k] = exp(x[k]-max x) / sum_l exp(x[l]-max x)
type softmax struct {
	d      *Device
	spec   device.SoftmaxSpec
	kernel *cuda.Kernel
}

// NewSoftmax makes a plan for a softmax over rows.
func (d *Device) NewSoftmax(s device.SoftmaxSpec) (device.Softmax, error) {
	if s.N < 1 || s.Classes < 1 {
		panic(fmt.Sprintf("gpu: NewSoftmax: [%d %d]", s.N, s.Classes))
	}
	return build(d, "softmax", func(b *builder) device.Softmax {
		b.elements(s.N * s.Classes)
		return &softmax{d: d, spec: s, kernel: b.kernel(kernels.Softmax)}
	})
}

func (p *softmax) Forward(y, x *device.Tensor) {
	const op = "softmax forward"
	n := device.CheckRows(op, "x", x, device.Float32, p.spec.N, p.spec.Classes)
	device.Check(op, "y", y, device.Float32, n, p.spec.Classes)
	d := p.d
	if !d.begin(op) {
		return
	}
	defer d.end()
	d.arguments().Pointer(d.data(y)).Pointer(d.data(x)).Int32(int32(n)).Int32(int32(p.spec.Classes))
	d.launch(p.kernel, kernels.WarpRows(n))
}
