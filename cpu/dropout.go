package cpu

import (
	"fmt"
	"math"

	"trainer/nn/device"
)

// dropout is the plan of inverted dropout (Srivastava et al. 2014). With the random word
// r[i] of element i, as device.DropoutSpec defines it:
//
//	forward   y[i] = x[i] / (1-rate) where uniform(r[i]) >= rate, else 0
//	backward  dx[i] = dy[i] / (1-rate) where uniform(r[i]) >= rate, else 0
//
// so both are one function, and no mask is stored.
type dropout struct {
	d     *Device
	spec  device.DropoutSpec
	scale float32 // 1/(1-rate)
	// uniform(r) >= rate exactly when r>>8 >= threshold: uniform(r) is (r>>8) * 2^-24.
	threshold uint32

	// Operands of the call that is running.
	step uint32
	y, x []float32
}

// NewDropout makes a plan for dropout. It panics unless 0 <= Rate < 1.
func (d *Device) NewDropout(s device.DropoutSpec) (device.Dropout, error) {
	if !(s.Rate >= 0 && s.Rate < 1) || s.Len < 1 {
		panic(fmt.Sprintf("cpu: NewDropout: rate %v, want 0 to below 1; %d elements", s.Rate, s.Len))
	}
	return &dropout{
		d: d, spec: s,
		scale:     float32(1 / (1 - float64(s.Rate))),
		threshold: uint32(math.Ceil(float64(s.Rate) * (1 << 24))),
	}, nil
}

func (p *dropout) Forward(y, x, step *device.Tensor) { p.run("cpu: dropout forward", y, x, step) }

func (p *dropout) Backward(dx, dy, step *device.Tensor) { p.run("cpu: dropout backward", dx, dy, step) }

func (p *dropout) run(op string, y, x, step *device.Tensor) {
	n := checkLength(op, "source", x, p.spec.Len)
	device.CheckLen(op, "destination", y, device.Float32, n)
	device.CheckLen(op, "step", step, device.Int32, 1)
	p.step, p.y, p.x = uint32(ints(step)[0]), floats(y), floats(x)
	p.d.pool.Run(chunks(n), (*dropoutRun)(p))
}

// dropoutRun is the loop over chunks, which begin at whole blocks of four words.
type dropoutRun dropout

func (p *dropoutRun) Do(i, _ int) {
	from, to := span(i, len(p.x))
	y, x := p.y[from:to], p.x[from:to]
	block := uint64(from / 4)
	for len(x) >= 4 {
		a, b, c, d := device.Random(p.spec.Seed, p.spec.Stream, p.step, block)
		y[0] = keep(x[0]*p.scale, a, p.threshold)
		y[1] = keep(x[1]*p.scale, b, p.threshold)
		y[2] = keep(x[2]*p.scale, c, p.threshold)
		y[3] = keep(x[3]*p.scale, d, p.threshold)
		x, y = x[4:], y[4:]
		block++
	}
	if len(x) == 0 {
		return
	}
	var words [4]uint32
	words[0], words[1], words[2], words[3] = device.Random(p.spec.Seed, p.spec.Stream, p.step, block)
	for j, v := range x {
		y[j] = keep(v*p.scale, words[j], p.threshold)
	}
}

// keep returns v, or 0 where the word is below the threshold.
func keep(v float32, word, threshold uint32) float32 {
	b := math.Float32bits(v)
	if word>>8 < threshold {
		b = 0
	}
	return math.Float32frombits(b)
}
