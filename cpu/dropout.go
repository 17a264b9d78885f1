package cpu

import (
	"fmt"

	"trainer/cpu/internal/vector"
	"trainer/nn/device"
)

// dropout is the plan of inverted dropout (Srivastava et al. 2014). With the random word
// r[i] of element i, as device.DropoutSpec defines it:
//
//	forward   y[i] = x[i] / (1-rate) where uniform(r[i]) >= rate, else 0
//	backward  dx[i] = dy[i] / (1-rate) where uniform(r[i]) >= rate, else 0
//
// Both are the same function, so no mask is stored.
type dropout struct {
	d    *Device
	spec device.DropoutSpec
	mask *vector.Mask

	// Operands of the current call.
	step uint32
	y, x []float32
}

// NewDropout returns a plan for dropout. It panics unless 0 <= Rate < 1.
func (d *Device) NewDropout(s device.DropoutSpec) (device.Dropout, error) {
	if err := d.float32Only("dropout", s.DType); err != nil {
		return nil, err
	}
	if !(s.Rate >= 0 && s.Rate < 1) || s.Len < 1 {
		panic(fmt.Sprintf("cpu: NewDropout: rate %v, want 0 to below 1; %d elements", s.Rate, s.Len))
	}
	return &dropout{d: d, spec: s, mask: vector.NewMask(s.Rate, s.Seed, s.Stream)}, nil
}

func (p *dropout) Forward(y, x, step *device.Tensor) { p.run("cpu: dropout forward", y, x, step) }

func (p *dropout) Backward(dx, dy, step *device.Tensor) { p.run("cpu: dropout backward", dx, dy, step) }

func (p *dropout) Reseed(seed uint64) {
	p.spec.Seed = seed
	p.mask = vector.NewMask(p.spec.Rate, seed, p.spec.Stream)
}

func (p *dropout) run(op string, y, x, step *device.Tensor) {
	n := device.CheckUpTo(op, "source", x, device.Float32, p.spec.Len)
	device.CheckLen(op, "destination", y, device.Float32, n)
	device.CheckLen(op, "step", step, device.Int32, 1)
	p.step, p.y, p.x = uint32(ints(step)[0]), floats(y), floats(x)
	p.d.pool.Run(chunks(n), (*dropoutRun)(p))
}

// dropoutRun is the loop over chunks, which begin at whole blocks of four words.
type dropoutRun dropout

func (p *dropoutRun) Do(i, _ int) {
	from, to := span(i, len(p.x))
	p.d.vector.Dropout(p.y[from:to], p.x[from:to], p.mask, p.step, uint64(from/4))
}
