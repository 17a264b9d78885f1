package reference

import (
	"math"

	"trainer/nn/device"
)

// reflect extends [0, n) by reflection without repeating the edge: -1 becomes 1, and n becomes n-2.
func reflect(i, n int) int {
	if i < 0 {
		return -i
	}
	if i >= n {
		return 2*(n-1) - i
	}
	return i
}

// Change is the augmentation of one image.
type Change struct {
	DY, DX    int // shift, in pixels
	Mirror    bool
	Top, Left int // of the cutout square
	Cutout    int // side of the square; 0 for none
}

// DrawChange draws the change of image id in an epoch, as AugmentSpec defines it.
func DrawChange(s device.AugmentSpec, id, epoch int32) Change {
	word0, word1, word2, _ := device.Random(s.Seed, device.StreamAugment, uint32(epoch), 2*uint64(id))
	top, left, _, _ := device.Random(s.Seed, device.StreamAugment, uint32(epoch), 2*uint64(id)+1)
	once, _, _, _ := device.Random(s.Seed, device.StreamAugment, 0, 2*uint64(id))
	c := Change{
		DY:     device.Below(word1, 2*s.Crop+1) - s.Crop,
		DX:     device.Below(word2, 2*s.Crop+1) - s.Crop,
		Top:    device.Below(top, s.H-s.Cutout+1),
		Left:   device.Below(left, s.W-s.Cutout+1),
		Cutout: s.Cutout,
	}
	switch s.Flip {
	case device.FlipRandom:
		c.Mirror = word0>>31 == 1
	case device.FlipAlternating:
		c.Mirror = (once>>31+uint32(epoch))%2 == 1
	}
	return c
}

// AugmentImage writes image x [H,W,C], changed and normalised, to y from element at on.
func AugmentImage(s device.AugmentSpec, y Sums, at int, x []uint8, c Change) {
	for i := 0; i < s.H; i++ {
		for j := 0; j < s.W; j++ {
			row, col := reflect(i+c.DY, s.H), reflect(j+c.DX, s.W)
			if c.Mirror {
				col = s.W - 1 - col
			}
			cut := i >= c.Top && i < c.Top+c.Cutout && j >= c.Left && j < c.Left+c.Cutout
			for k := 0; k < s.C; k++ {
				to := at + (i*s.W+j)*s.C + k
				if cut {
					y.Set(to, 0, 0)
					continue
				}
				pixel := float64(x[(row*s.W+col)*s.C+k]) / 255
				mean, std := float64(s.Mean[k]), float64(s.Std[k])
				y.Set(to, (pixel-mean)/std, (pixel+math.Abs(mean))/std)
			}
		}
	}
}

type augment struct {
	*Operations
	s device.AugmentSpec
}

// NewAugment makes a plan of an augmentation.
func (o *Operations) NewAugment(s device.AugmentSpec) (device.Augment, error) {
	s.Check()
	return made[device.Augment](o, "augment", &augment{o, s}, o.accepts(s.DType))
}

// check checks the operands of a batch.
func (p *augment) check(op string, y, images, ids *device.Tensor, wantIDs bool) {
	n := device.CheckRows(op, "y", y, p.s.DType.OrFloat32(), p.s.N, p.s.H, p.s.W, p.s.C)
	device.Check(op, "images", images, device.Uint8, -1, p.s.H, p.s.W, p.s.C)
	require(op, p.s.Gather || images.Rows() >= n, "%v for %d images", images, n)
	if wantIDs {
		device.Check(op, "ids", ids, device.Int32, n)
	}
}

// run writes the images of a batch, each with its change.
func (p *augment) run(op string, y, images, ids *device.Tensor, changes func(i int) Change) {
	size := p.s.H * p.s.W * p.s.C
	pixels, batch := p.bytes(images), NewSums(y.Len(), 0)
	from := func(i int) int { return i }
	if p.s.Gather {
		numbers := p.loadInts(ids)
		from = func(i int) int { return int(numbers[i]) }
	}
	for i := range y.Rows() {
		AugmentImage(p.s, batch, i*size, pixels[from(i)*size:(from(i)+1)*size], changes(i))
	}
	p.store(op, y, batch.Value)
}

func (p *augment) Train(y, images, ids, epoch *device.Tensor) {
	const op = "augment train"
	p.check(op, y, images, ids, true)
	device.Check(op, "epoch", epoch, device.Int32, 1)
	if !p.begin(op) {
		return
	}
	numbers, at := p.loadInts(ids), p.loadInts(epoch)[0]
	p.run(op, y, images, ids, func(i int) Change { return DrawChange(p.s, numbers[i], at) })
}

func (p *augment) Normalize(y, images, ids *device.Tensor, dy, dx int, mirror bool) {
	const op = "augment normalize"
	p.check(op, y, images, ids, p.s.Gather)
	if p.begin(op) {
		p.run(op, y, images, ids, func(int) Change { return Change{DY: dy, DX: dx, Mirror: mirror} })
	}
}

func (p *augment) GatherLabels(dst, labels, ids *device.Tensor) {
	const op = "augment labels"
	require(op, p.s.Gather, "only with Gather")
	n := device.CheckRows(op, "ids", ids, device.Int32, p.s.N)
	device.Check(op, "dst", dst, device.Int32, n)
	device.Check(op, "labels", labels, device.Int32, -1)
	if !p.begin(op) {
		return
	}
	all := p.loadInts(labels)
	gathered := make([]int32, n)
	for i, id := range p.loadInts(ids) {
		gathered[i] = all[id]
	}
	p.storeBytes(op, dst, device.Bytes(gathered))
}

func (p *augment) Reseed(seed uint64) { p.s.Seed = seed }
