package reference

import "trainer/nn/device"

// Dropout returns y[i] = x[i]/(1-rate) if Uniform(word i of the step) >= rate, and
// otherwise 0. The gradient is the same function of dy.
func Dropout(s device.DropoutSpec, step int32, x []float64) Sums {
	y := NewSums(len(x), ElementwiseUlps)
	for i, v := range x {
		if device.Uniform(device.RandomWord(s.Seed, s.Stream, uint32(step), uint64(i))) >= s.Rate {
			y.Add(i, v/(1-float64(s.Rate)))
		}
	}
	return y
}

type dropout struct {
	*Operations
	s device.DropoutSpec
}

// NewDropout makes a plan of dropout.
func (o *Operations) NewDropout(s device.DropoutSpec) (device.Dropout, error) {
	require("dropout", s.Rate >= 0 && s.Rate < 1 && s.Len > 0, "rate %v over %d elements", s.Rate, s.Len)
	return made[device.Dropout](o, "dropout", &dropout{o, s}, o.accepts(s.DType))
}

func (p *dropout) Forward(y, x, step *device.Tensor) {
	const op = "dropout"
	n := device.CheckUpTo(op, "x", x, p.s.DType.OrFloat32(), p.s.Len)
	device.CheckLen(op, "y", y, p.s.DType.OrFloat32(), n)
	device.Check(op, "step", step, device.Int32, 1)
	if p.begin(op) {
		p.store(op, y, Dropout(p.s, p.loadInts(step)[0], p.load(x)).Value)
	}
}

func (p *dropout) Backward(dx, dy, step *device.Tensor) { p.Forward(dx, dy, step) }

func (p *dropout) Reseed(seed uint64) { p.s.Seed = seed }
