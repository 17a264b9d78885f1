//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"gorgonia.org/cu"

	"trainer/gpu/internal/cuda"
	"trainer/kernels"
	"trainer/nn/device"
)

// matMul is the plan of C = op(A) op(B) (+ bias), followed by ReLU or multiplied by alpha in the fused forms. cuBLAS computes the product, and
// the kernels in epilogue.cu add bias and ReLU in one pass over C. If C has 16 bits, the sum is rounded to 16 bits
// before the bias is added, and again afterwards. cuBLASLt could do both with the product; of the built-in recipes only mnist has such
// a layer, for which that would save 1 launch of 18 in a step (testdata/budget.tsv), and another library's interface is not worth it.
type matMul struct {
	d        *Device
	spec     device.MatMulSpec
	alpha    float32
	product  cuda.Product // of the current call
	epilogue *cuda.Kernel // nil without bias and ReLU
}

// NewMatMul makes a plan for a matrix product.
func (d *Device) NewMatMul(s device.MatMulSpec) (device.MatMul, error) {
	return d.newMatMul(s, false, 1)
}

// NewMatMulReLU makes a plan for a matrix product whose result goes through ReLU.
func (d *Device) NewMatMulReLU(s device.MatMulSpec) (device.MatMul, error) {
	return d.newMatMul(s, true, 1)
}

// NewMatMulScaled makes a plan for a matrix product that is multiplied by alpha.
func (d *Device) NewMatMulScaled(s device.MatMulSpec, alpha float32) (device.MatMul, error) {
	if s.Bias {
		panic("gpu: NewMatMulScaled: the spec has a bias, want none")
	}
	return d.newMatMul(s, false, alpha)
}

func (d *Device) newMatMul(s device.MatMulSpec, relu bool, alpha float32) (device.MatMul, error) {
	s.Check()
	s.DType = floatType("NewMatMul", s.DType)
	s.Out = s.OutType()
	return build(d, "matmul", func(b *builder) device.MatMul {
		batch := max(s.Batch, 1)
		b.elements(batch * s.M * s.N)
		b.elements(batch * s.M * s.K)
		b.elements(batch * s.K * s.N)
		b.stores(s.DType)
		b.blas()
		p := &matMul{d: d, spec: s, alpha: alpha}
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
	batch, m, k := p.spec.CheckOperands(c, a, b, bias)
	last := len(a.Shape()) - 1
	p.product.M, p.product.K = m, k
	p.product.LDA, p.product.LDB, p.product.LDC = a.Dim(last), b.Dim(last), p.spec.N
	d := p.d
	if !d.begin("matmul") {
		return
	}
	defer d.end()
	if err := p.multiply(batch, d.data(c), d.data(a), d.data(b)); err != nil {
		d.fail(err)
	}
	if p.epilogue != nil {
		d.finish(p.epilogue, c, bias)
	}
}

// finish queues the epilogue kernel over c [..., n]: c + bias, relu(c + bias), or relu(c) if bias is nil.
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

// multiply queues the product, or the products of the batch.
func (p *matMul) multiply(batch int, c, a, b cu.DevicePtr) error {
	if batch == 1 {
		return p.d.blas.Gemm(&p.product, p.alpha, a, b, 0, c)
	}
	return p.d.blas.GemmBatch(&p.product, batch, p.alpha, a, b, 0, c)
}
