package reference

import (
	"math"

	"trainer/nn/device"
)

// Softmax returns y[i] = exp(x[i] - logsumexp(x)) for each row of [n, classes]. The
// rounding error of x[i]-max appears multiplied by y[i].
func Softmax(classes int, x []float64) Sums {
	y := NewSums(len(x), FunctionUlps+SumUlps(classes))
	for from := 0; from < len(x); from += classes {
		row := x[from : from+classes]
		lse := logSumExp(row)
		for k, v := range row {
			p := math.Exp(v - lse)
			y.Set(from+k, p, p*(1+math.Abs(v-lse)))
		}
	}
	return y
}

type softmax struct {
	*Operations
	s device.SoftmaxSpec
}

// NewSoftmax makes a plan of a softmax.
func (o *Operations) NewSoftmax(s device.SoftmaxSpec) (device.Softmax, error) {
	require("softmax", s.N > 0 && s.Classes > 0, "%+v", s)
	return made[device.Softmax](o, "softmax", softmax{o, s}, nil)
}

func (p softmax) Forward(y, x *device.Tensor) {
	const op = "softmax"
	n := device.CheckRows(op, "x", x, device.Float32, p.s.N, p.s.Classes)
	device.Check(op, "y", y, device.Float32, n, p.s.Classes)
	if p.begin(op) {
		p.store(op, y, Softmax(p.s.Classes, p.load(x)).Value)
	}
}
