//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"fmt"

	"trainer/gpu/internal/cuda"
	"trainer/kernels"
	"trainer/nn/device"
)

// dropout is the plan of inverted dropout (Srivastava et al. 2014). With the random word
// r[i] of element i, as device.DropoutSpec defines it:
//
//	forward   y[i] = x[i] / (1-rate) where uniform(r[i]) >= rate, else 0
//	backward  dx[i] = dy[i] / (1-rate) where uniform(r[i]) >= rate, else 0
//
// so one kernel, in dropout.cu, computes both, and no mask is stored.
type dropout struct {
	d      *Device
	spec   device.DropoutSpec
	seed   seed
	kernel *cuda.Kernel
}

// NewDropout makes a plan for dropout. It panics unless 0 <= Rate < 1.
func (d *Device) NewDropout(s device.DropoutSpec) (device.Dropout, error) {
	if !(s.Rate >= 0 && s.Rate < 1) || s.Len < 1 {
		panic(fmt.Sprintf("gpu: NewDropout: rate %v, want 0 to below 1; %d elements", s.Rate, s.Len))
	}
	s.DType = floatType("NewDropout", s.DType)
	return build(d, "dropout", func(b *builder) device.Dropout {
		b.elements(s.Len)
		return &dropout{d: d, spec: s, seed: b.seed(s.Seed), kernel: b.family(kernels.Dropout, s.DType)}
	})
}

func (p *dropout) Forward(y, x, step *device.Tensor) { p.run("dropout forward", y, x, step) }

func (p *dropout) Backward(dx, dy, step *device.Tensor) { p.run("dropout backward", dx, dy, step) }

func (p *dropout) Reseed(seed uint64) { p.seed.set(p.d, seed) }

func (p *dropout) run(op string, y, x, step *device.Tensor) {
	n := device.CheckUpTo(op, "source", x, p.spec.DType, p.spec.Len)
	device.CheckLen(op, "destination", y, p.spec.DType, n)
	device.CheckLen(op, "step", step, device.Int32, 1)
	d, s := p.d, p.spec
	if !d.begin(op) {
		return
	}
	defer d.end()
	scale := float32(1 / (1 - float64(s.Rate)))
	d.arguments().Pointer(d.data(y)).Pointer(d.data(x)).Pointer(d.data(step)).Pointer(d.data(p.seed.tensor)).Int32(int32(n)).Float32(s.Rate).Float32(scale).
		Uint32(uint32(s.Stream))
	d.launch(p.kernel, kernels.FourPerThread(n))
}
