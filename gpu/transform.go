//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"gorgonia.org/cu"

	"trainer/gpu/internal/cuda"
	"trainer/kernels"
	"trainer/nn/device"
)

// transform is the plan that applies a list of operations to images, as device.TransformSpec defines:
//
//	x = image / 255        x = op(x) for each operation in order        y = (x - mean) / std
//
// x is float32 in the workspace. Each operation is one launch of its kernel, image_NAME, with one block per image; if
// the operation is off for an image, the block ends at once. An invalid id gives an image of NaN: checking the ids on
// the host would mean waiting for the GPU.
type transform struct {
	d                        *Device
	spec                     device.TransformSpec
	mean, std                *memory
	load, normalize, targets *cuda.Kernel
	ops                      []*cuda.Kernel
	x, scratch               cu.DevicePtr // offsets in the workspace
}

// NewTransform makes a plan for a list of operations on images. If an operation in the list has no kernel, package
// reference computes the list.
func (d *Device) NewTransform(s device.TransformSpec) (device.Transform, error) {
	s.Check()
	for _, op := range s.Ops {
		if !kernels.Has(imageKernel(op)) {
			return d.Operations.NewTransform(s)
		}
	}
	s.DType = floatType("NewTransform", s.DType)
	return build(d, "transform", func(b *builder) device.Transform {
		if !b.elements(s.N * s.H * s.W * s.C) {
			return nil
		}
		var l layout
		p := &transform{
			d: d, spec: s, mean: b.table(device.Bytes(s.Mean)), std: b.table(device.Bytes(s.Std)),
			load: b.family(kernels.TransformLoad, s.DType), normalize: b.family(kernels.TransformNormalize, s.DType),
			targets: b.family(kernels.TransformTargets, s.DType),
			x:       l.place(4 * s.N * s.H * s.W * s.C), scratch: l.place(4 * s.N * s.H * s.W * s.C),
		}
		b.reserve(l.bytes)
		for _, op := range s.Ops {
			p.ops = append(p.ops, b.kernel(imageKernel(op)))
		}
		return p
	})
}

// imageKernel returns the name of an operation's kernel.
func imageKernel(op *device.ImageOp) kernels.Name { return kernels.Name("image_" + op.Name) }

func (p *transform) Run(y, images, ids, drawn *device.Tensor) {
	const op = "transform"
	s, d := p.spec, p.d
	n := s.CheckRun(op, y, images, ids, drawn)
	if !s.Gather {
		ids = nil // not read
	}
	if !d.begin(op) {
		return
	}
	defer d.end()
	size, set, grid := s.H*s.W*s.C, int32(images.Rows()), kernels.Grid{X: n, Y: 1}
	x, scratch := d.scratch()+p.x, d.scratch()+p.scratch
	d.arguments().Pointer(x).Pointer(d.data(images)).Pointer(d.optional(ids)).Int32(int32(size)).Int32(set)
	d.launch(p.load, grid)
	for k, kernel := range p.ops {
		if s.Ops[k].Mixes {
			d.copyWithin(scratch, x, int64(4*n*size))
		}
		d.arguments().Pointer(x).Pointer(scratch).Pointer(d.data(drawn)).Pointer(d.at(p.mean)).
			Int32(int32(s.H)).Int32(int32(s.W)).Int32(int32(s.C)).Int32(int32(s.Columns())).Int32(int32(s.Column(k)))
		d.launch(kernel, grid)
	}
	d.arguments().Pointer(d.data(y)).Pointer(x).Pointer(d.optional(ids)).Pointer(d.at(p.mean)).Pointer(d.at(p.std)).
		Int32(int32(size)).Int32(int32(s.C)).Int32(set)
	d.launch(p.normalize, grid)
}

func (p *transform) Targets(dst, labels, drawn *device.Tensor) {
	const op = "transform targets"
	s, d := p.spec, p.d
	n := s.CheckTargets(op, dst, labels, drawn)
	partners := 0
	if mixes := s.Mixes(); mixes > 0 {
		partners = 1 + mixes
	}
	if !d.begin(op) {
		return
	}
	defer d.end()
	d.arguments().Pointer(d.data(dst)).Pointer(d.data(labels)).Pointer(d.data(drawn)).
		Int32(int32(n)).Int32(int32(s.Classes)).Int32(int32(s.Columns())).Int32(int32(partners))
	d.launch(p.targets, kernels.OnePerThread(n))
}
