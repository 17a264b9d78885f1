//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"fmt"

	"trainer/gpu/internal/cuda"
	"trainer/kernels"
	"trainer/nn/device"
)

// augment is the plan that shifts, mirrors, cuts out and normalises uint8 images, with output of
// the spec's type, as device.AugmentSpec defines. The kernels in augment.cu compute
//
//	y[i,j,c] = (x[i',j',c]/255 - mean[c]) / std[c]
//	i' = reflect(i+dy)      j' = reflect(j+dx), or W-1-reflect(j+dx) if mirrored
//
// Because a pixel has only 256 values, normalisation is a table. An invalid id gives an image of NaN and the label -1:
// checking the ids on the host would mean waiting for the GPU.
type augment struct {
	d                        *Device
	spec                     device.AugmentSpec
	seed                     seed
	table                    *memory // float32 [c, 256]
	train, normalize, gather *cuda.Kernel
}

var _ device.LabelledAugment = (*augment)(nil)

// NewAugment makes a plan for augmentation.
func (d *Device) NewAugment(s device.AugmentSpec) (device.Augment, error) {
	s.Check()
	s.DType = floatType("NewAugment", s.DType)
	return build(d, "augment", func(b *builder) device.Augment {
		b.elements(s.N * s.H * s.W * s.C)
		return &augment{
			d: d, spec: s, seed: b.seed(s.Seed), table: b.table(device.Bytes(normalization(s))),
			train: b.family(kernels.AugmentTrain, s.DType), normalize: b.family(kernels.AugmentNormalize, s.DType),
			gather: b.family(kernels.GatherLabels, s.DType), // from the module that is loaded anyway
		}
	})
}

// normalization returns (v/255 - mean[c]) / std[c] for each value v and each channel, [c, 256].
func normalization(s device.AugmentSpec) []float32 {
	table := make([]float32, 0, 256*s.C)
	for c := range s.C {
		for v := range 256 {
			table = append(table, float32((float64(v)/255-float64(s.Mean[c]))/float64(s.Std[c])))
		}
	}
	return table
}

func (p *augment) Train(y, images, ids, epoch *device.Tensor) { p.run(y, images, nil, nil, ids, epoch) }

// TrainLabelled does Train and GatherLabels in one launch.
func (p *augment) TrainLabelled(y, images, dst, labels, ids, epoch *device.Tensor) {
	const op = "augment train labelled"
	if !p.spec.Gather {
		panic(op + ": the plan was made without Gather")
	}
	device.Check(op, "images", images, device.Uint8, -1, p.spec.H, p.spec.W, p.spec.C)
	device.CheckLen(op, "labels", labels, device.Int32, images.Rows())
	device.Check(op, "ids", ids, device.Int32, -1)
	device.CheckLen(op, "dst", dst, device.Int32, ids.Len())
	p.run(y, images, dst, labels, ids, epoch)
}

// run is Train, and GatherLabels too unless dst is nil.
func (p *augment) run(y, images, dst, labels, ids, epoch *device.Tensor) {
	const op = "augment train"
	s, d := p.spec, p.d
	device.CheckLen(op, "epoch", epoch, device.Int32, 1)
	n := p.check(op, y, images)
	device.CheckLen(op, "ids", ids, device.Int32, n)
	if !d.begin(op) {
		return
	}
	defer d.end()
	d.arguments().Pointer(d.data(y)).Pointer(d.data(images)).Pointer(d.data(ids)).Pointer(d.data(epoch)).Pointer(d.data(p.seed.tensor)).Pointer(d.at(p.table)).
		Pointer(d.optional(dst)).Pointer(d.optional(labels)).
		Int32(int32(s.H)).Int32(int32(s.W)).Int32(int32(s.C)).Int32(int32(s.Flip)).Int32(int32(s.Crop)).Int32(int32(s.Cutout)).
		Uint32(uint32(device.StreamAugment)).
		Int32(flag(s.Gather)).Int32(int32(images.Rows()))
	d.launch(p.train, kernels.Grid{X: n, Y: 1})
}

func (p *augment) Normalize(y, images, ids *device.Tensor, dy, dx int, mirror bool) {
	const op = "augment normalize"
	s, d := p.spec, p.d
	if max(dy, -dy) >= s.H || max(dx, -dx) >= s.W {
		panic(fmt.Sprintf("%s: a shift by (%d, %d) of %dx%d images", op, dy, dx, s.H, s.W))
	}
	n := p.check(op, y, images)
	if s.Gather {
		device.CheckLen(op, "ids", ids, device.Int32, n)
	} else {
		ids = nil // not read
	}
	if !d.begin(op) {
		return
	}
	defer d.end()
	d.arguments().Pointer(d.data(y)).Pointer(d.data(images)).Pointer(d.optional(ids)).Pointer(d.at(p.table)).
		Int32(int32(s.H)).Int32(int32(s.W)).Int32(int32(s.C)).Int32(int32(dy)).Int32(int32(dx)).Int32(flag(mirror)).
		Int32(flag(s.Gather)).Int32(int32(images.Rows()))
	d.launch(p.normalize, kernels.Grid{X: n, Y: 1})
}

func (p *augment) Reseed(seed uint64) { p.seed.set(p.d, seed) }

// check panics unless y and images fit, and returns the number of images in the batch.
func (p *augment) check(op string, y, images *device.Tensor) int {
	s := p.spec
	n := device.CheckRows(op, "y", y, s.DType, s.N, s.H, s.W, s.C)
	rows := n
	if s.Gather {
		rows = -1
	}
	device.Check(op, "images", images, device.Uint8, rows, s.H, s.W, s.C)
	return n
}

func (p *augment) GatherLabels(dst, labels, ids *device.Tensor) {
	const op = "gather labels"
	if !p.spec.Gather {
		panic(op + ": the plan was made without Gather")
	}
	device.Check(op, "labels", labels, device.Int32, -1)
	device.Check(op, "ids", ids, device.Int32, -1)
	n := ids.Len()
	device.CheckLen(op, "dst", dst, device.Int32, n)
	d := p.d
	if !d.begin(op) {
		return
	}
	defer d.end()
	d.arguments().Pointer(d.data(dst)).Pointer(d.data(labels)).Pointer(d.data(ids)).Int32(int32(n)).Int32(int32(labels.Len()))
	d.launch(p.gather, kernels.OnePerThread(n))
}
