package reference

import (
	"trainer/nn/device"
)

// MatMul returns C = op(A) op(B) + bias, with op(A) [m,k] and op(B) [k,n]:
//
//	c[i,j] = bias[j] + sum_l op(a)[i,l] op(b)[l,j]
//
// bias may be nil.
func MatMul(m, n, k int, transA, transB bool, a, b, bias []float64) Sums {
	c := NewSums(m*n, SumUlps(k+1)).WithBias(bias != nil)
	for i := 0; i < m; i++ {
		for j := 0; j < n; j++ {
			for l := 0; l < k; l++ {
				ai, bi := i*k+l, l*n+j
				if transA {
					ai = l*m + i
				}
				if transB {
					bi = j*k + l
				}
				c.Add(i*n+j, a[ai]*b[bi])
			}
			if bias != nil {
				c.AddBias(i*n+j, bias[j])
			}
		}
	}
	return c
}

type matMul struct {
	*Operations
	s device.MatMulSpec
}

// NewMatMul makes a plan of a matrix product.
func (o *Operations) NewMatMul(s device.MatMulSpec) (device.MatMul, error) {
	require("matmul", s.M > 0 && s.N > 0 && s.K > 0, "%+v", s)
	return made[device.MatMul](o, "matmul", matMul{o, s}, o.accepts(s.DType, s.Out))
}

func (p matMul) Run(c, a, b, bias *device.Tensor) {
	const op = "matmul"
	dtype, out := p.s.DType.OrFloat32(), p.s.Out
	if out == 0 {
		out = dtype
	}
	device.Check(op, "a", a, dtype, -1, -1)
	m, k := a.Dim(0), a.Dim(1)
	if p.s.TransA {
		m, k = k, m
	}
	require(op, m <= p.s.M && k <= p.s.K, "a is %v, the plan is for m up to %d and k up to %d", a, p.s.M, p.s.K)
	if p.s.TransB {
		device.Check(op, "b", b, dtype, p.s.N, k)
	} else {
		device.Check(op, "b", b, dtype, k, p.s.N)
	}
	device.Check(op, "c", c, out, m, p.s.N)
	checkBias(op, bias, p.s.Bias, p.s.N)
	if p.begin(op) {
		p.store(op, c, MatMul(m, p.s.N, k, p.s.TransA, p.s.TransB, p.load(a), p.load(b), p.load(bias)).Value)
	}
}
