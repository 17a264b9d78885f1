package augment

import "trainer/nn/device"

// Drawer fills the table of parameters of a device.TransformSpec. After NewDrawer it allocates nothing.
type Drawer struct {
	items  List
	first  []int // index of each item's first operation, then the number of operations
	spec   device.TransformSpec
	params Params // of all operations, for the current row
	random Random
	shares []float64 // of the partners' labels, for a batch: [n, 1+Mixes()]
	next   []float64
}

// NewDrawer returns a Drawer for the transforms of a list. It adds the operations to spec.
func (l List) NewDrawer(spec *device.TransformSpec, seed uint64) *Drawer {
	spec.Ops = l.Ops()
	d := &Drawer{spec: *spec, random: Random{seed: seed, H: spec.H, W: spec.W}}
	ops := 0
	for _, item := range l {
		item = item.Completed()
		d.items, d.first = append(d.items, item), append(d.first, ops)
		ops += len(item.Ops())
	}
	d.first = append(d.first, ops)
	d.params = make(Params, ops)
	if mixes := spec.Mixes(); mixes > 0 {
		d.shares, d.next = make([]float64, spec.N*(1+mixes)), make([]float64, spec.N*(1+mixes))
	}
	return d
}

// Reseed replaces the seed.
func (d *Drawer) Reseed(seed uint64) { d.random.seed = seed }

// Columns returns the number of columns of the table.
func (d *Drawer) Columns() int { return d.spec.Columns() }

// Draw fills the table's rows, [len(ids), Columns()], for the images with these indices in the data set.
func (d *Drawer) Draw(table []float32, ids []int32, epoch uint32) {
	columns := d.spec.Columns()
	table = table[:len(ids)*columns]
	clear(table)
	for n, id := range ids {
		d.split(table[n*columns:][:columns])
		for i, item := range d.items {
			d.random.begin(i, epoch, uint32(id))
			if item.P < 1 && d.random.Uniform(0, 1) >= item.P {
				continue
			}
			item.Draw(&d.random, d.params[d.first[i]:d.first[i+1]])
		}
	}
	if d.shares != nil {
		d.share(table, len(ids))
	}
}

// split makes the parameters refer to a row.
func (d *Drawer) split(row []float32) {
	for k, op := range d.spec.Ops {
		d.params[k], row = row[:1+op.Params], row[1+op.Params:]
	}
}

// share writes the shares of the partners' labels. If S[n,k] is the share of image n+k's label in image n, an operation
// that keeps the share s of image n and takes the rest from image n+1 gives
//
//	S'[n,k] = s*S[n,k] + (1-s)*S[n+1,k-1]
func (d *Drawer) share(table []float32, n int) {
	columns, width := d.spec.Columns(), 1+d.spec.Mixes()
	clear(d.shares)
	for i := range n {
		d.shares[i*width] = 1
	}
	for k, op := range d.spec.Ops {
		if !op.Mixes {
			continue
		}
		at := d.spec.Column(k)
		for i := range n {
			kept := 1.0
			if p := table[i*columns+at:]; p[0] != 0 {
				kept = float64(p[op.Params])
			}
			partner := (i + 1) % n
			for j := range width {
				d.next[i*width+j] = kept * d.shares[i*width+j]
				if j > 0 {
					d.next[i*width+j] += (1 - kept) * d.shares[partner*width+j-1]
				}
			}
		}
		d.shares, d.next = d.next, d.shares
	}
	for i := range n {
		for j := range width {
			table[i*columns+columns-width+j] = float32(d.shares[i*width+j])
		}
	}
}
