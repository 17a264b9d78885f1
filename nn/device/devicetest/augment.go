package devicetest

import (
	"fmt"
	"slices"
	"testing"

	"trainer/nn/device"
	"trainer/nn/device/reference"
)

// augmentCase is an augmentation run on a batch of n images.
type augmentCase struct {
	name string
	spec device.AugmentSpec
	n    int
}

func augmentCases() []augmentCase {
	color := device.AugmentSpec{
		N: 9, H: 8, W: 11, C: 3, Seed: 0xC0FFEE12345678,
		Mean: []float32{0.4914, 0.4822, 0.4465}, Std: []float32{0.247, 0.2435, 0.2616},
	}
	gray := device.AugmentSpec{N: 5, H: 7, W: 5, C: 1, Seed: 7, Mean: []float32{0.1307}, Std: []float32{0.3081}}
	with := func(s device.AugmentSpec, change func(*device.AugmentSpec)) device.AugmentSpec {
		change(&s)
		return s
	}
	return []augmentCase{
		{"normalize", color, 9},
		{"normalize-gray", gray, 5},
		{"flip-random", with(color, func(s *device.AugmentSpec) { s.Flip = device.FlipRandom }), 9},
		{"flip-alternating", with(color, func(s *device.AugmentSpec) { s.Flip = device.FlipAlternating }), 9},
		{"crop", with(color, func(s *device.AugmentSpec) { s.Crop = 2 }), 9},
		{"crop-largest", with(gray, func(s *device.AugmentSpec) { s.Crop = 4 }), 5},
		{"cutout", with(color, func(s *device.AugmentSpec) { s.Cutout = 3 }), 9},
		{"cutout-whole-height", with(color, func(s *device.AugmentSpec) { s.Cutout = 8 }), 9},
		{"all", with(color, func(s *device.AugmentSpec) { s.Flip, s.Crop, s.Cutout = device.FlipAlternating, 2, 3 }), 9},
		{"all-random", with(color, func(s *device.AugmentSpec) { s.Flip, s.Crop, s.Cutout = device.FlipRandom, 4, 2 }), 9},
		{"all-smaller-batch", with(color, func(s *device.AugmentSpec) { s.Flip, s.Crop, s.Cutout = device.FlipRandom, 2, 3 }), 4},
		{"one-pixel", device.AugmentSpec{N: 3, H: 1, W: 1, C: 2, Flip: device.FlipRandom, Mean: []float32{0, 0.5}, Std: []float32{1, 0.5}}, 3},
		{"cifar-sized", device.AugmentSpec{
			N: 17, H: 32, W: 32, C: 3, Flip: device.FlipAlternating, Crop: 2, Cutout: 12, Seed: 3, Mean: color.Mean, Std: color.Std,
		}, 17},
	}
}

// storageAugmentCases are the cases that also run in 16 bits, where only the stored result differs.
var storageAugmentCases = []string{"normalize", "crop-largest", "all", "all-smaller-batch", "one-pixel"}

func testAugment(t *testing.T, dev device.Device, opt Options) {
	for _, c := range augmentCases() {
		if opt.dtype() != device.Float32 && !slices.Contains(storageAugmentCases, c.name) {
			continue
		}
		for _, gather := range []bool{false, true} {
			c.spec.Gather, c.spec.DType = gather, opt.storage
			d := newAugmentData(c)
			t.Run(fmt.Sprintf("%s/gather=%v", c.name, gather), func(t *testing.T) {
				augment := plan(dev.NewAugment(c.spec))(t)
				for _, epoch := range []int32{0, 1, 2, 77} {
					t.Run(fmt.Sprintf("train-epoch-%d", epoch), func(t *testing.T) { d.train(t, dev, opt, augment, epoch) })
				}
				t.Run("normalize", func(t *testing.T) { d.normalize(t, dev, opt, augment) })
				if gather {
					t.Run("labels", func(t *testing.T) { d.labels(t, dev, opt, augment) })
				}
				t.Run("reseed", func(t *testing.T) {
					other := d
					other.spec.Seed = 1<<40 + 5
					augment.Reseed(other.spec.Seed)
					other.train(t, dev, opt, augment, 1)
				})
			})
		}
	}
}

// augmentData is a case with its images: the batch or, with Gather, a whole set.
type augmentData struct {
	augmentCase
	images []uint8
	set    int // number of images
	ids    []int32
}

func newAugmentData(c augmentCase) augmentData {
	src := newSource("augment/" + c.name)
	d := augmentData{augmentCase: c, set: c.n}
	if c.spec.Gather {
		d.set = 23
		// The first, the last and one image twice.
		d.ids = append(d.ids, 0, int32(d.set-1), int32(d.set-1))
		for len(d.ids) < c.n {
			d.ids = append(d.ids, int32(src.below(d.set)))
		}
	} else {
		// Indices into a data set that is not on the device.
		for len(d.ids) < c.n {
			d.ids = append(d.ids, int32(src.below(60000)))
		}
	}
	d.images = src.pixels(d.set * d.imageLen())
	return d
}

func (d augmentData) imageLen() int { return d.spec.H * d.spec.W * d.spec.C }

// image returns image i of the batch.
func (d augmentData) image(i int) []uint8 {
	if d.spec.Gather {
		i = int(d.ids[i])
	}
	return d.images[i*d.imageLen() : (i+1)*d.imageLen()]
}

// want returns the batch with a change for each image.
func (d augmentData) want(changes func(i int) reference.Change) reference.Sums {
	y := reference.NewSums(d.n*d.imageLen(), reference.ElementwiseUlps)
	for i := 0; i < d.n; i++ {
		reference.AugmentImage(d.spec, y, i*d.imageLen(), d.image(i), changes(i))
	}
	return y
}

// operands returns y, images and ids on a new rig.
func (d augmentData) operands(t *testing.T, dev device.Device, opt Options) (r *rig, y, images, ids *device.Tensor) {
	s := d.spec
	r = newRig(t, dev, opt)
	return r, r.output("y", d.n, s.H, s.W, s.C), r.inputUint8("images", d.images, d.set, s.H, s.W, s.C), r.inputInt32("ids", d.ids, d.n)
}

func (d augmentData) train(t *testing.T, dev device.Device, opt Options, augment device.Augment, at int32) {
	r, y, images, ids := d.operands(t, dev, opt)
	epoch := r.inputInt32("epoch", []int32{at}, 1)
	r.run(func() { augment.Train(y, images, ids, epoch) })
	want := d.want(func(i int) reference.Change { return reference.DrawChange(d.spec, d.ids[i], at) })
	r.check(y, want)
	if labelled, ok := augment.(device.LabelledAugment); ok && d.spec.Gather {
		d.trainLabelled(t, dev, opt, labelled, at, want)
	}
}

// trainLabelled checks that images and labels are those of the two methods that it stands for.
func (d augmentData) trainLabelled(t *testing.T, dev device.Device, opt Options, augment device.LabelledAugment, at int32, wantImages reference.Sums) {
	r, y, images, ids := d.operands(t, dev, opt)
	all, want := d.setLabels()
	epoch, labels := r.inputInt32("epoch", []int32{at}, 1), r.inputInt32("labels", all, d.set)
	dst := r.newOperand("dst", output, device.Int32, nil, []int{d.n})
	r.run(func() { augment.TrainLabelled(y, images, dst, labels, ids, epoch) })
	r.check(y, wantImages)
	if got := reference.Int32s(r.bits(dst)); !slices.Equal(got, want) {
		t.Errorf("labels %v, want %v", got, want)
	}
}

// setLabels returns labels of the whole set, and those of the batch.
func (d augmentData) setLabels() (all, batch []int32) {
	all = newSource("augment/labels").labels(d.set, 1000)
	for _, id := range d.ids {
		batch = append(batch, all[id])
	}
	return all, batch
}

func (d augmentData) normalize(t *testing.T, dev device.Device, opt Options, augment device.Augment) {
	for _, move := range [][2]int{{0, 0}, {1, 0}, {0, -1}, {-1, 1}, {d.spec.H - 1, 1 - d.spec.W}} {
		if move[0] >= d.spec.H || -move[0] >= d.spec.H || move[1] >= d.spec.W || -move[1] >= d.spec.W {
			continue
		}
		for _, mirror := range []bool{false, true} {
			r, y, images, ids := d.operands(t, dev, opt)
			if !d.spec.Gather {
				ids = nil
			}
			r.run(func() { augment.Normalize(y, images, ids, move[0], move[1], mirror) })
			r.check(y, d.want(func(int) reference.Change { return reference.Change{DY: move[0], DX: move[1], Mirror: mirror} }))
		}
	}
}

func (d augmentData) labels(t *testing.T, dev device.Device, opt Options, augment device.Augment) {
	all, want := d.setLabels()
	r := newRig(t, dev, opt)
	labels, ids := r.inputInt32("labels", all, d.set), r.inputInt32("ids", d.ids, d.n)
	dst := r.newOperand("dst", output, device.Int32, nil, []int{d.n})
	r.run(func() { augment.GatherLabels(dst, labels, ids) })
	if got := reference.Int32s(r.bits(dst)); !slices.Equal(got, want) {
		t.Errorf("labels %v, want %v", got, want)
	}
}

func augmentOperation() Operation {
	return Operation{
		Name: "augment", Constructor: "NewAugment", Group: Elementwise, Types: allFloats, Test: testAugment, Panics: panicsOfAugment,
		Calls: augmentCalls,
	}
}

// augmentCalls apply flip, crop, cutout and normalisation to uint8 images of CIFAR-10's size: to a batch in the
// device's memory, and to a batch gathered from a data set in that memory.
func augmentCalls(Size) []Call {
	call := func(name, method string, gather bool, work func(o *Operands, p device.Augment, y, images, ids *device.Tensor) Work) Call {
		return Call{name, method, func(o *Operands) (Work, error) {
			n, set := o.pick(19, 1000, 16*1024), o.pick(40, 3000, 48*1024)
			p, err := o.Device.NewAugment(device.AugmentSpec{
				N: n, H: 32, W: 32, C: 3, Mean: []float32{0.5, 0.4, 0.3}, Std: []float32{0.2, 0.3, 0.25},
				Flip: device.FlipAlternating, Crop: 2, Cutout: 8, Seed: 11, Gather: gather, DType: o.DType,
			})
			if err != nil {
				return Work{}, err
			}
			if !gather {
				set = n
			}
			w := work(o, p, o.zeros(n, 32, 32, 3), o.pixels(set, 32, 32, 3), o.integers(set, n))
			return w, nil
		}}
	}
	train := func(o *Operands, p device.Augment, y, images, ids *device.Tensor) Work {
		epoch := o.integers(9, 1)
		return Work{Run: func() { p.Train(y, images, ids, epoch) }, Results: []*device.Tensor{y}, Bytes: bytesOf(y) + int64(y.Len())}
	}
	return []Call{
		call("augment", "Train", false, train),
		call("augment-gather", "Train", true, train),
		call("augment-normalize", "Normalize", true, func(o *Operands, p device.Augment, y, images, ids *device.Tensor) Work {
			return Work{Run: func() { p.Normalize(y, images, ids, 1, -1, true) }, Results: []*device.Tensor{y}, Bytes: bytesOf(y) + int64(y.Len())}
		}),
		call("augment-labels", "GatherLabels", true, func(o *Operands, p device.Augment, _, images, ids *device.Tensor) Work {
			labels, dst := o.integers(10, images.Rows()), o.tensor(device.Int32, ids.Len())
			return Work{Run: func() { p.GatherLabels(dst, labels, ids) }, Results: []*device.Tensor{dst}, Bytes: bytesOf(dst, dst, ids)}
		}),
	}
}

func panicsOfAugment(t *testing.T, dev device.Device) {
	m := memory{t, dev}
	s := device.AugmentSpec{N: 4, H: 8, W: 6, C: 1, Mean: []float32{0}, Std: []float32{1}}
	augment := plan(dev.NewAugment(s))(t)
	y, images := m.tensor(device.Float32, []int{4, 8, 6, 1}), m.tensor(device.Uint8, []int{4, 8, 6, 1})
	ids, epoch := m.tensor(device.Int32, []int{4}), m.tensor(device.Int32, []int{1})
	mustPanic(t, "images of another type", func() { augment.Train(y, y, ids, epoch) }, "images", "uint8")
	mustPanic(t, "too few ids", func() { augment.Train(y, images, epoch, epoch) }, "ids", "int32[1]", "4")
	mustPanic(t, "labels without Gather", func() { augment.GatherLabels(ids, ids, ids) })
	crop := s
	crop.Crop = 6
	mustPanic(t, "a shift as large as the image", func() { _, _ = dev.NewAugment(crop) }, "augment")
	cutout := s
	cutout.Cutout = 7
	mustPanic(t, "a cutout larger than the image", func() { _, _ = dev.NewAugment(cutout) }, "augment")
	mean := s
	mean.Mean = []float32{0, 0}
	mustPanic(t, "a mean for each of two channels", func() { _, _ = dev.NewAugment(mean) }, "augment")
}
