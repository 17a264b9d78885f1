package devicetest

import "trainer/nn/device"

// refDropout returns y[i] = x[i]/(1-rate) where Uniform(word i of the step) >= rate,
// and 0 elsewhere. The gradient is the same function of dy.
func refDropout(s device.DropoutSpec, step int32, x []float64) sums {
	y := newSums(len(x), elementwiseUlps)
	for i, v := range x {
		if device.Uniform(device.RandomWord(s.Seed, s.Stream, uint32(step), uint64(i))) >= s.Rate {
			y.add(i, v/(1-float64(s.Rate)))
		}
	}
	return y
}
