//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"fmt"

	"trainer/gpu/internal/cuda"
	"trainer/kernels"
	"trainer/nn/device"
)

// matMul is the plan of C = op(A) op(B) (+ bias), by cuBLAS, and in the fused form ReLU after it. Bias and
// ReLU are one pass over C, by the kernels of epilogue.cu. Where C is of 16 bits the sum is rounded to them
// before the bias is added, and again after.
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
	s.DType = floatType("NewMatMul", s.DType)
	if s.Out == 0 {
		s.Out = s.DType
	}
	if s.Out != s.DType && s.Out != device.Float32 {
		panic(fmt.Sprintf("gpu: NewMatMul: c of %v from factors of %v, want %v or float32", s.Out, s.DType, s.DType))
	}
	return build(d, "matmul", func(b *builder) device.MatMul {
		b.elements(s.M * s.N)
		b.elements(s.M * s.K)
		b.elements(s.K * s.N)
		b.stores(s.DType)
		p := &matMul{d: d, spec: s, relu: relu}
		p.product = cuda.Product{
			TransA: s.TransA, TransB: s.TransB, N: s.N,
			TypeA: dataType(s.DType), TypeB: dataType(s.DType), TypeC: dataType(s.Out), Compute: d.compute(s.DType),
		}
		p.epilogue = b.epilogue(s.Bias, relu, s.Out)
		return p
	})
}

// epilogue returns the kernel that adds a bias to elements of a type, applies ReLU, or both; nil for neither.
func (b *builder) epilogue(bias, relu bool, t device.DType) *cuda.Kernel {
	switch {
	case bias && relu:
		return b.family(kernels.BiasReLU, t)
	case bias:
		return b.family(kernels.Bias, t)
	case relu:
		forward, _, _ := kernels.Activation("relu")
		return b.family(forward, t)
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
	d.launch(k, kernels.VectorPerThread(n, storage(c.DType())))
}

// check reads m, k and the strides from the tensors and panics where they don't fit.
func (p *matMul) check(c, a, b, bias *device.Tensor) {
	const op = "matmul"
	s, product := p.spec, &p.product
	device.Check(op, "a", a, s.DType, -1, -1)
	m, k := a.Dim(0), a.Dim(1)
	if s.TransA {
		m, k = k, m
	}
	if m > s.M || k > s.K {
		panic(fmt.Sprintf("%s: a is %v, want at most m=%d and k=%d", op, a, s.M, s.K))
	}
	device.Check(op, "c", c, s.Out, m, s.N)
	if s.TransB {
		device.Check(op, "b", b, s.DType, s.N, k)
	} else {
		device.Check(op, "b", b, s.DType, k, s.N)
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
