package reference

import "trainer/nn/device"

// CopyColumns returns y with y[i, YFrom+j] = x[i, XFrom+j].
func CopyColumns(s device.CopyColumnsSpec, y, x []float64) Sums {
	out := NewSums(len(y), 0)
	for i, v := range y {
		out.Set(i, v, 0)
		if j := i%s.YC - s.YFrom; j >= 0 && j < s.Width {
			out.Set(i, x[i/s.YC*s.XC+s.XFrom+j], 0)
		}
	}
	return out
}

type copyColumns struct {
	*Operations
	s device.CopyColumnsSpec
}

// NewCopyColumns makes a plan that copies columns.
func (o *Operations) NewCopyColumns(s device.CopyColumnsSpec) (device.CopyColumns, error) {
	s.Check()
	return made[device.CopyColumns](o, "copy columns", copyColumns{o, s}, o.accepts(s.DType))
}

func (p copyColumns) Run(y, x *device.Tensor) {
	const op = "copy columns"
	p.s.CheckOperands(y, x)
	if p.begin(op) {
		p.store(op, y, CopyColumns(p.s, p.load(y), p.load(x)).Value)
	}
}
