//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"fmt"

	"trainer/gpu/internal/cuda"
	"trainer/kernels"
	"trainer/nn/device"
)

// matMul is the plan of C = op(A) op(B) (+ bias), by cuBLAS, and in the fused form ReLU after it. Bias and
// ReLU are one pass over C, by the kernels of epilogue.cu.
type matMul struct {
	d        *Device
	spec     device.MatMulSpec
	relu     bool
	product  cuda.Product // of the call that is running
	epilogue *cuda.Kernel // nil without bias and ReLU
}

// NewMatMul makes a plan for a matrix product.
func (d *Device) NewMatMul(s device.MatMulSpec) (device.MatMul, error) { return d.newMatMul(s, false) }

// NewMatMulReLU makes a plan for a matrix product whose result goes through ReLU.
func (d *Device) NewMatMulReLU(s device.MatMulSpec) (device.MatMul, error) {
	return d.newMatMul(s, true)
}

func (d *Device) newMatMul(s device.MatMulSpec, relu bool) (device.MatMul, error) {
	if s.M < 1 || s.N < 1 || s.K < 1 {
		panic(fmt.Sprintf("gpu: NewMatMul: sizes must be at least 1, got %+v", s))
	}
	return build(d, "matmul", func(b *builder) device.MatMul {
		b.elements(s.M * s.N)
		b.elements(s.M * s.K)
		b.elements(s.K * s.N)
		p := &matMul{d: d, spec: s, relu: relu}
		p.product = cuda.Product{
			TransA: s.TransA, TransB: s.TransB, N: s.N,
			TypeA: cuda.Float32, TypeB: cuda.Float32, TypeC: cuda.Float32, Compute: d.compute(),
		}
		p.epilogue = b.epilogue(s.Bias, relu)
		return p
	})
}

// compute returns what cuBLAS multiplies in.
func (d *Device) compute() cuda.Compute {
	if d.precision == TF32 {
		return cuda.ComputeTF32
	}
	return cuda.ComputeFloat32
}

// epilogue returns the kernel that adds a bias, applies ReLU, or both; nil for neither.
func (b *builder) epilogue(bias, relu bool) *cuda.Kernel {
	switch {
	case bias && relu:
		return b.family(kernels.BiasReLU)
	case bias:
		return b.family(kernels.Bias)
	case relu:
		return b.family(kernels.ActivationReLUForward)
	}
	return nil
}

// Run computes c = op(a) op(b) + bias.
func (p *matMul) Run(c, a, b, bias *device.Tensor) {
	p.check(c, a, b, bias)
	d := p.d
	if !d.begin("matmul") {
		return
	}
	defer d.end()
	if err := d.blas.Gemm(&p.product, 1, d.data(a), d.data(b), 0, d.data(c)); err != nil {
		d.fail(err)
	}
	if p.epilogue != nil {
		d.finish(p.epilogue, c, bias)
	}
}

// finish queues c = c + bias, ReLU of that, or ReLU of c where bias is nil, as the kernel is, over c [..., n].
func (d *Device) finish(k *cuda.Kernel, c, bias *device.Tensor) {
	n := c.Len()
	a := d.arguments().Pointer(d.data(c)).Pointer(d.data(c))
	if bias != nil {
		a.Pointer(d.data(bias)).Int32(int32(n)).Int32(int32(bias.Len()))
	} else {
		a.Int32(int32(n)).Float32(0)
	}
	d.launch(k, kernels.Elementwise(n, kernels.Float32))
}

// check reads m, k and the strides from the tensors and panics where they don't fit.
func (p *matMul) check(c, a, b, bias *device.Tensor) {
	const op = "matmul"
	s, product := p.spec, &p.product
	device.Check(op, "a", a, device.Float32, -1, -1)
	m, k := a.Dim(0), a.Dim(1)
	if s.TransA {
		m, k = k, m
	}
	if m > s.M || k > s.K {
		panic(fmt.Sprintf("%s: a is %v, want at most m=%d and k=%d", op, a, s.M, s.K))
	}
	device.Check(op, "c", c, device.Float32, m, s.N)
	if s.TransB {
		device.Check(op, "b", b, device.Float32, s.N, k)
	} else {
		device.Check(op, "b", b, device.Float32, k, s.N)
	}
	if (bias != nil) != s.Bias {
		panic(fmt.Sprintf("%s: bias given: %v, by the spec: %v", op, bias != nil, s.Bias))
	}
	if bias != nil {
		device.Check(op, "bias", bias, device.Float32, s.N)
	}
	product.M, product.K = m, k
	product.LDA, product.LDB, product.LDC = a.Dim(1), b.Dim(1), s.N
}
