package cpu

import "trainer/nn/device"

// copyColumns is the plan of y[i, YFrom+j] = x[i, XFrom+j] for the columns j of a range.
type copyColumns struct {
	d           *Device
	spec        device.CopyColumnsSpec
	rowsPerTask int

	// Operands of the current call.
	y, x []float32
	rows int
}

// NewCopyColumns returns a plan that copies a range of columns.
func (d *Device) NewCopyColumns(s device.CopyColumnsSpec) (device.CopyColumns, error) {
	s.Check()
	if err := d.float32Only("copy columns", s.DType); err != nil {
		return nil, err
	}
	return &copyColumns{d: d, spec: s, rowsPerTask: max(1, chunk/s.Width)}, nil
}

func (p *copyColumns) Run(y, x *device.Tensor) {
	p.rows = p.spec.CheckOperands(y, x)
	p.y, p.x = floats(y), floats(x)
	p.d.pool.Run(divideUp(p.rows, p.rowsPerTask), p)
}

// Do copies a group of rows.
func (p *copyColumns) Do(i, _ int) {
	s := p.spec
	for r := i * p.rowsPerTask; r < min((i+1)*p.rowsPerTask, p.rows); r++ {
		copy(p.y[r*s.YC+s.YFrom:][:s.Width], p.x[r*s.XC+s.XFrom:])
	}
}
