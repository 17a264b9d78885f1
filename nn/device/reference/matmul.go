package reference

import (
	"math"

	"trainer/nn/device"
)

// MatMul returns C = op(A) op(B) + bias, with op(A) [m,k] and op(B) [k,n]:
//
//	c[i,j] = bias[j] + sum_l op(a)[i,l] op(b)[l,j]
//
// bias may be nil.
func MatMul(m, n, k int, transA, transB bool, a, b, bias []float64) Sums {
	c := NewSums(m*n, SumUlps(k+1)).WithBias(bias != nil)
	for i := range m {
		for j := range n {
			var value, magnitude float64
			for l := range k {
				ai, bi := i*k+l, l*n+j
				if transA {
					ai = l*m + i
				}
				if transB {
					bi = j*k + l
				}
				term := a[ai] * b[bi]
				value += term
				magnitude += math.Abs(term)
			}
			c.Set(i*n+j, value, magnitude)
			if bias != nil {
				c.AddBias(i*n+j, bias[j])
			}
		}
	}
	return c
}

// MatMulBatch returns the products of a batch.
func MatMulBatch(batch, m, n, k int, transA, transB bool, a, b, bias []float64) Sums {
	all := MatMul(m, n, k, transA, transB, a, b, bias)
	for i := 1; i < batch; i++ {
		c := MatMul(m, n, k, transA, transB, a[i*m*k:], b[i*k*n:], bias)
		all.Value, all.Magnitude = append(all.Value, c.Value...), append(all.Magnitude, c.Magnitude...)
		if bias != nil {
			all.Rounded = append(all.Rounded, c.Rounded...)
		}
	}
	return all
}

type matMul struct {
	*Operations
	s device.MatMulSpec
}

// NewMatMul makes a plan of a matrix product.
func (o *Operations) NewMatMul(s device.MatMulSpec) (device.MatMul, error) {
	err := o.accepts(s.DType, s.Out)
	if err == nil {
		s.Check()
	}
	return made[device.MatMul](o, "matmul", matMul{o, s}, err)
}

func (p matMul) Run(c, a, b, bias *device.Tensor) {
	const op = "matmul"
	batch, m, k := p.s.CheckOperands(c, a, b, bias)
	if p.begin(op) {
		p.store(op, c, MatMulBatch(batch, m, p.s.N, k, p.s.TransA, p.s.TransB, p.load(a), p.load(b), p.load(bias)).Value)
	}
}
