package optim

import (
	"testing"

	"trainer/nn"
)

// BenchmarkRules measures a step of each rule over a filter of 256 x 3 x 3 x 256.
func BenchmarkRules(b *testing.B) {
	for _, kind := range RuleKinds() {
		b.Run(kind.Name, func(b *testing.B) {
			r := newRig(b)
			p := r.param("conv.weight", nn.Weight, 256, 3, 3, 256)
			r.upload(p.Grad, syntheticGradient(p, 0))
			o := must(New(r.dev, []*nn.Param{p}, nil, Config{Rule: kind.New(), LR: 1e-3}, nil, 1<<30, 1))(b)
			b.SetBytes(int64(4 * p.Value.Len()))
			step := 0
			for b.Loop() {
				if err := o.Step(step); err != nil {
					b.Fatal(err)
				}
				step++
			}
		})
	}
}
