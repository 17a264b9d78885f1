package cpu

import "trainer/nn/device"

// gather is the plan of y[i] = x[ids[i]], or a row of zeros if x has no row ids[i].
type gather struct {
	d           *Device
	spec        device.GatherSpec
	rowsPerTask int

	// Operands of the current call.
	y, x []float32
	ids  []int32
}

// NewGather returns a plan that picks rows.
func (d *Device) NewGather(s device.GatherSpec) (device.Gather, error) {
	s.Check()
	if err := d.float32Only("gather", s.DType); err != nil {
		return nil, err
	}
	return &gather{d: d, spec: s, rowsPerTask: max(1, chunk/s.RowLen)}, nil
}

func (p *gather) Run(y, x, ids *device.Tensor) {
	rows := p.spec.CheckOperands(y, x, ids)
	p.y, p.x, p.ids = floats(y), floats(x), ints(ids)
	p.d.pool.Run(divideUp(rows, p.rowsPerTask), p)
}

// Do picks a group of rows.
func (p *gather) Do(i, _ int) {
	n := p.spec.RowLen
	for r := i * p.rowsPerTask; r < min((i+1)*p.rowsPerTask, len(p.ids)); r++ {
		id, row := int(p.ids[r]), p.y[r*n:(r+1)*n]
		if id < 0 || id >= p.spec.XRows {
			clear(row)
			continue
		}
		copy(row, p.x[id*n:])
	}
}
