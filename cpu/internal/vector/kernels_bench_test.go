package vector

import (
	"testing"

	"trainer/nn"
)

// BenchmarkKernels reports nanoseconds per element, with operands in the first-level
// cache.
func BenchmarkKernels(b *testing.B) {
	const n, width = 2048, 256
	for _, k := range available() {
		o := newOperands(b, 8*n)
		for _, c := range []struct {
			name    string
			prepare func() func()
		}{
			{"Affine", func() func() {
				y, x, scale, shift := o.x(n), o.x(n), o.x(width), o.x(width)
				return func() { k.Affine(y, x, scale, shift) }
			}},
			{"AddMoments", func() func() {
				sum, sumSq, x := o.sums(width), o.sums(width), o.x(n)
				return func() { k.AddMoments(sum, sumSq, x) }
			}},
			{"AddProductsReLU", func() func() {
				sum, sumX, dy, x, scale, shift := o.sums(width), o.sums(width), o.x(n), o.x(n), o.x(width), o.x(width)
				return func() { k.AddProductsReLU(sum, sumX, dy, x, scale, shift) }
			}},
			{"Max2x2", func() func() {
				y, arg, upper, lower := o.x(n/2), o.positions(n/2), o.x(n), o.x(n)
				return func() { k.Pool8.Max2x2(y, arg, upper, lower, 64) }
			}},
			{"Dropout", func() func() {
				y, x, m := o.x(n), o.x(n), NewMask(0.3, 1, 2)
				return func() { k.Dropout(y, x, m, 1, 0) }
			}},
			{"Adam", func() func() {
				w, grad, first, second := o.x(n), o.x(n), o.x(n), o.positive(n)
				u := &Hyperparameters{LR: 1e-3, GradScale: 1, Keep: 1, Momentum: 0.9, Beta2: 0.999, NewMomentum: 0.1, NewBeta2: 0.001, Correction2: 1, Epsilon: 1e-8}
				return func() { k.Update.Adam(w, grad, first, second, u) }
			}},
		} {
			b.Run(k.Name+"/"+c.name, func(b *testing.B) {
				o.begin(1, true, false)
				run := c.prepare()
				for b.Loop() {
					run()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/element")
			})
		}
	}
}

// BenchmarkActivations reports nanoseconds per element of every activation, operands in the first-level cache.
func BenchmarkActivations(b *testing.B) {
	const n = 2048
	for _, k := range available() {
		o := newOperands(b, 8*n)
		for _, f := range nn.Functions() {
			o.begin(1, true, false)
			a, y, dy, x := k.Activations[f.Name], o.x(n), o.x(n), o.x(n)
			for pass, run := range map[string]func(){
				"forward":  func() { a.Forward(y, x, 0.1) },
				"backward": func() { a.Backward(y, dy, x, 0.1) },
			} {
				b.Run(k.Name+"/"+f.Name+"/"+pass, func(b *testing.B) {
					for b.Loop() {
						run()
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/element")
				})
			}
		}
	}
}
