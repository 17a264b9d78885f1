package cpu

import (
	"testing"

	"trainer/nn/device"
)

// Element i is kept exactly if the uniform number made from its random word is not below
// the rate.
func TestDropoutFollowsTheRandomWords(t *testing.T) {
	const n = chunk + 7 // two tasks, and an incomplete last block of four
	for _, rate := range []float32{0, 0.25, 0.7} {
		o := newOperands(t)
		s := device.DropoutSpec{Len: n, Rate: rate, Seed: 99, Stream: device.StreamDropout.Sub(2)}
		p := must(o.d.NewDropout(s))
		x, y := o.uniform(1, 2, n), o.zeros(n)
		p.Forward(y, x, o.ints(17))
		scale := float32(1 / (1 - float64(rate)))
		for i, v := range floats(x) {
			want := float32(0)
			if device.Uniform(device.RandomWord(s.Seed, s.Stream, 17, uint64(i))) >= rate {
				want = v * scale
			}
			if got := floats(y)[i]; got != want {
				t.Fatalf("rate %v: y[%d] = %v, want %v", rate, i, got, want)
			}
		}
	}
}
