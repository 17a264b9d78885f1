package reference

import "trainer/nn/device"

// Transpose returns y[n,j,i] = x[n,i,j].
func Transpose(s device.TransposeSpec, x []float64) Sums {
	y := NewSums(len(x), 0)
	for k, v := range x {
		n, i, j := k/(s.M*s.N), k/s.N%s.M, k%s.N
		y.Set((n*s.N+j)*s.M+i, v, 0)
	}
	return y
}

type transpose struct {
	*Operations
	s device.TransposeSpec
}

// NewTranspose makes a plan of a transposition.
func (o *Operations) NewTranspose(s device.TransposeSpec) (device.Transpose, error) {
	s.Check()
	return made[device.Transpose](o, "transpose", transpose{o, s}, o.accepts(s.DType))
}

func (p transpose) Run(y, x *device.Tensor) {
	const op = "transpose"
	p.s.CheckOperands(y, x)
	if p.begin(op) {
		p.store(op, y, Transpose(p.s, p.load(x)).Value)
	}
}
