package reference

import "trainer/nn/device"

// Gather returns y[i] = x[ids[i]], and a row of zeros if ids[i] is not a row of x.
func Gather(s device.GatherSpec, x []float64, ids []int32) Sums {
	y := NewSums(len(ids)*s.RowLen, 0)
	for i, id := range ids {
		for j := 0; j < s.RowLen && id >= 0 && int(id) < s.XRows; j++ {
			y.Set(i*s.RowLen+j, x[int(id)*s.RowLen+j], 0)
		}
	}
	return y
}

type gather struct {
	*Operations
	s device.GatherSpec
}

// NewGather makes a plan that picks rows.
func (o *Operations) NewGather(s device.GatherSpec) (device.Gather, error) {
	s.Check()
	return made[device.Gather](o, "gather", gather{o, s}, o.accepts(s.DType))
}

func (p gather) Run(y, x, ids *device.Tensor) {
	const op = "gather"
	p.s.CheckOperands(y, x, ids)
	if p.begin(op) {
		p.store(op, y, Gather(p.s, p.load(x), p.loadInts(ids)).Value)
	}
}
