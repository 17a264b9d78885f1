package bench

import (
	"testing"

	"trainer/nn/device"
)

// runGEMM measures square products, and those of the recipes' dense layers.
func runGEMM(b *testing.B) {
	for _, s := range []device.MatMulSpec{
		{M: 256, N: 256, K: 256},
		{M: 512, N: 512, K: 512},
		{M: 1024, N: 1024, K: 1024},
		{M: 2048, N: 2048, K: 2048},
		{M: 256, N: 256, K: 800},               // mnist, first dense layer
		{M: 800, N: 256, K: 256, TransA: true}, // its weights' gradient
		{M: 256, N: 800, K: 256, TransB: true}, // its input's gradient
		{M: 256, N: 10, K: 256},                // mnist, output
	} {
		name := human(s.M, s.N, s.K)
		if s.TransA {
			name += "-transA"
		}
		if s.TransB {
			name += "-transB"
		}
		b.Run(name, func(b *testing.B) {
			d := open(b)
			plan := must(d.NewMatMul(s))(b)
			x, w := [2]int{s.M, s.K}, [2]int{s.K, s.N}
			if s.TransA {
				x[0], x[1] = x[1], x[0]
			}
			if s.TransB {
				w[0], w[1] = w[1], w[0]
			}
			tc, ta, tb := tensor(b, d, s.M, s.N), tensor(b, d, x[:]...), tensor(b, d, w[:]...)
			loop(b, d, func() { plan.Run(tc, ta, tb, nil) })
			reportFLOPs(b, d, 2*int64(s.M)*int64(s.N)*int64(s.K))
		})
	}
}
