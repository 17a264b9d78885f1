package cpu

import (
	"fmt"

	"trainer/nn/device"
)

// augment is the plan that turns uint8 images into normalised float32 ones, moved,
// mirrored and with a square cut out, as device.AugmentSpec defines:
//
//	y[i,j,c] = (x[i',j',c]/255 - mean[c]) / std[c]
//	i' = reflect(i+dy)      j' = reflect(j+dx), or W-1-reflect(j+dx) if mirrored
//
// A task is one image. A pixel has only 256 values, so normalisation is a table.
type augment struct {
	d     *Device
	spec  device.AugmentSpec
	table [][256]float32 // [c][value of the byte]
	cols  [][]int        // one per worker: where the pixel of each output column begins in its row

	// Operands of the current call. If random is false, every image gets the same change,
	// fixed.
	y      []float32
	images []uint8
	ids    []int32
	epoch  uint32
	random bool
	fixed  change
}

// change is what happens to one image.
type change struct {
	dy, dx     int
	mirror     bool
	cutY, cutX int // corner of the square
	cut        int // its side
}

// NewAugment returns a plan for augmentation.
func (d *Device) NewAugment(s device.AugmentSpec) (_ device.Augment, err error) {
	defer returnShortage(&err)
	if err := d.float32Only("augment", s.DType); err != nil {
		return nil, err
	}
	s.Check()
	p := &augment{d: d, spec: s, table: make([][256]float32, s.C), cols: make([][]int, d.pool.Workers())}
	for c := range p.table {
		for v := range p.table[c] {
			p.table[c][v] = float32((float64(v)/255 - float64(s.Mean[c])) / float64(s.Std[c]))
		}
	}
	for i := range p.cols {
		p.cols[i] = make([]int, s.W)
	}
	return p, nil
}

func (p *augment) Train(y, images, ids, epoch *device.Tensor) {
	const op = "cpu: augment train"
	device.CheckLen(op, "epoch", epoch, device.Int32, 1)
	n := p.take(op, y, images)
	p.takeIDs(op, ids, images, n)
	p.random, p.epoch = true, uint32(ints(epoch)[0])
	p.d.pool.Run(n, (*augmentImage)(p))
}

func (p *augment) Normalize(y, images, ids *device.Tensor, dy, dx int, mirror bool) {
	const op = "cpu: augment normalize"
	if max(dy, -dy) >= p.spec.H || max(dx, -dx) >= p.spec.W {
		panic(fmt.Sprintf("%s: a shift by (%d, %d) of %dx%d images", op, dy, dx, p.spec.H, p.spec.W))
	}
	n := p.take(op, y, images)
	p.ids = nil
	if p.spec.Gather {
		p.takeIDs(op, ids, images, n)
	}
	p.random, p.fixed = false, change{dy: dy, dx: dx, mirror: mirror}
	p.d.pool.Run(n, (*augmentImage)(p))
}

// take checks and keeps y and images, and returns the number of images.
func (p *augment) take(op string, y, images *device.Tensor) int {
	s := p.spec
	device.Check(op, "y", y, device.Float32, -1, s.H, s.W, s.C)
	n := y.Rows()
	if n > s.N {
		panic(fmt.Sprintf("%s: y is %v, the plan is for at most %d images", op, y, s.N))
	}
	rows := n
	if s.Gather {
		rows = -1
	}
	device.Check(op, "images", images, device.Uint8, rows, s.H, s.W, s.C)
	p.y, p.images = floats(y), uint8s(images)
	return n
}

// takeIDs checks and keeps the indices of the images.
func (p *augment) takeIDs(op string, ids, images *device.Tensor, n int) {
	device.CheckLen(op, "ids", ids, device.Int32, n)
	p.ids = ints(ids)
	if p.spec.Gather {
		checkIDs(op, p.ids, images.Rows())
	}
}

// checkIDs panics unless all ids are in [0, n).
func checkIDs(op string, ids []int32, n int) {
	for i, id := range ids {
		if id < 0 || int(id) >= n {
			panic(fmt.Sprintf("%s: ids[%d] is %d, want 0 to %d", op, i, id, n-1))
		}
	}
}

func (p *augment) GatherLabels(dst, labels, ids *device.Tensor) {
	const op = "cpu: gather labels"
	if !p.spec.Gather {
		panic(op + ": the plan was made without Gather")
	}
	device.Check(op, "labels", labels, device.Int32, -1)
	device.Check(op, "ids", ids, device.Int32, -1)
	device.CheckLen(op, "dst", dst, device.Int32, ids.Len())
	checkIDs(op, ints(ids), labels.Len())
	to, from := ints(dst), ints(labels)
	for i, id := range ints(ids) {
		to[i] = from[id]
	}
}

func (p *augment) Reseed(seed uint64) { p.spec.Seed = seed }

// augmentImage is the loop over images.
type augmentImage augment

func (p *augmentImage) Do(n, worker int) {
	c := p.fixed
	if p.random {
		c = changeOf(p.spec, p.ids[n], p.epoch)
	}
	from := n
	if p.spec.Gather {
		from = int(p.ids[n])
	}
	size := p.spec.H * p.spec.W * p.spec.C
	p.move(p.y[n*size:][:size], p.images[from*size:][:size], p.cols[worker], c)
}

// changeOf draws the change of image id in an epoch.
func changeOf(s device.AugmentSpec, id int32, epoch uint32) change {
	block := 2 * uint64(uint32(id))
	flip, down, right, _ := device.Random(s.Seed, device.StreamAugment, epoch, block)
	c := change{
		dy: device.Below(down, 2*s.Crop+1) - s.Crop,
		dx: device.Below(right, 2*s.Crop+1) - s.Crop,
	}
	switch s.Flip {
	case device.FlipRandom:
		c.mirror = flip>>31 == 1
	case device.FlipAlternating:
		first, _, _, _ := device.Random(s.Seed, device.StreamAugment, 0, block)
		c.mirror = (first>>31+epoch)%2 == 1
	}
	if s.Cutout > 0 {
		top, left, _, _ := device.Random(s.Seed, device.StreamAugment, epoch, block+1)
		c.cut = s.Cutout
		c.cutY, c.cutX = device.Below(top, s.H-s.Cutout+1), device.Below(left, s.W-s.Cutout+1)
	}
	return c
}

// move computes one image: its rows one by one, then the square.
func (p *augmentImage) move(y []float32, x []uint8, cols []int, c change) {
	h, w, channels := p.spec.H, p.spec.W, p.spec.C
	for j := range cols {
		from := reflect(j+c.dx, w)
		if c.mirror {
			from = w - 1 - from
		}
		cols[j] = from * channels
	}
	row := w * channels
	for i := 0; i < h; i++ {
		p.row(y[i*row:][:row], x[reflect(i+c.dy, h)*row:][:row], cols)
	}
	for i := c.cutY; i < c.cutY+c.cut; i++ {
		clear(y[(i*w+c.cutX)*channels:][:c.cut*channels])
	}
}

// row computes one row of the output from one row of pixels.
func (p *augmentImage) row(y []float32, x []uint8, cols []int) {
	switch p.spec.C {
	case 1:
		normalizeGray(y, x, cols, &p.table[0])
	case 3:
		normalizeColor(y, x, cols, &p.table[0], &p.table[1], &p.table[2])
	default:
		for j, from := range cols {
			for c := range p.table {
				y[j*len(p.table)+c] = p.table[c][x[from+c]]
			}
		}
	}
}

// normalizeGray computes y[j] = table[x[cols[j]]].
func normalizeGray(y []float32, x []uint8, cols []int, table *[256]float32) {
	y = y[:len(cols)]
	for j, from := range cols {
		y[j] = table[x[from]]
	}
}

// normalizeColor does the same for three channels.
func normalizeColor(y []float32, x []uint8, cols []int, red, green, blue *[256]float32) {
	for _, from := range cols {
		pixel, out := x[from:][:3], y[:3]
		out[0], out[1], out[2] = red[pixel[0]], green[pixel[1]], blue[pixel[2]]
		y = y[3:]
	}
}

// reflect continues [0, n) by reflection at the edges, which are not repeated: -1 becomes
// 1, and n becomes n-2. i is in (-n, 2n-1).
func reflect(i, n int) int {
	if i < 0 {
		return -i
	}
	if i >= n {
		return 2*(n-1) - i
	}
	return i
}
