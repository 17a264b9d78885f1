package cpu

import (
	"fmt"

	"trainer/nn/device"
)

// softmax is the plan of the softmax over each row x of [n, classes]:
//
//	y[k] = exp(x[k]-max x) / sum_l exp(x[l]-max x)
//
// Subtracting the largest element changes nothing in exact arithmetic, and keeps the
// exponentials from overflowing.
type softmax struct {
	d           *Device
	spec        device.SoftmaxSpec
	rowsPerTask int

	// Operands of the current call.
	y, x []float32
	n    int
}

// exponentialsPerTask is the number of exponentials per task of a softmax or loss.
const exponentialsPerTask = 1024

// NewSoftmax returns a plan for a softmax over rows.
func (d *Device) NewSoftmax(s device.SoftmaxSpec) (device.Softmax, error) {
	if s.N < 1 || s.Classes < 1 {
		panic(fmt.Sprintf("cpu: NewSoftmax: [%d %d]", s.N, s.Classes))
	}
	return &softmax{d: d, spec: s, rowsPerTask: max(1, exponentialsPerTask/s.Classes)}, nil
}

func (p *softmax) Forward(y, x *device.Tensor) {
	const op = "cpu: softmax forward"
	p.n = device.CheckRows(op, "x", x, device.Float32, p.spec.N, p.spec.Classes)
	device.Check(op, "y", y, device.Float32, p.n, p.spec.Classes)
	p.y, p.x = floats(y), floats(x)
	p.d.pool.Run(divideUp(p.n, p.rowsPerTask), (*softmaxForward)(p))
}

// divideUp returns a/b, rounded up.
func divideUp(a, b int) int { return (a + b - 1) / b }

// softmaxForward is the loop over groups of rows.
type softmaxForward softmax

func (p *softmaxForward) Do(i, _ int) {
	c := p.spec.Classes
	for r := i * p.rowsPerTask; r < min((i+1)*p.rowsPerTask, p.n); r++ {
		y, x := p.y[r*c:(r+1)*c], p.x[r*c:(r+1)*c]
		sum := p.d.vector.Exponentials(y, x, largest(x))
		p.d.vector.Scaled(y, y, float32(1/sum))
	}
}

// largest returns the largest element of x, which is not empty, or NaN if one is NaN.
func largest(x []float32) float32 {
	m := x[0]
	for _, v := range x[1:] {
		m = max(m, v)
	}
	return m
}
