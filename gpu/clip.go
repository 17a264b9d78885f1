//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"fmt"

	"gorgonia.org/cu"

	"trainer/gpu/internal/cuda"
	"trainer/kernels"
	"trainer/nn/device"
)

// clip is the plan of gradient clipping (Pascanu, Mikolov and Bengio, "On the Difficulty
// of Training Recurrent Neural Networks", 2013, for the norm), by the kernels of clip.cu:
//
//	g = g * min(1, MaxNorm / sqrt(sum of all g^2))      then      g = min(max(g, -MaxValue), MaxValue)
//
// Gradients of a scaled loss stay scaled: the norm is multiplied by the scale's inverse, and MaxValue is divided by
// that inverse. The norm stays on the device. With MaxNorm, a NaN makes all gradients NaN; with MaxValue, a NaN stays
// NaN.
type clip struct {
	d                *Device
	spec             device.ClipSpec // keeps the gradients alive: the kernels have only their addresses
	grads            list
	partial, factors cu.DevicePtr // offsets in the workspace: float64 [chunks], and the factor and the limit to apply, [2]

	squares, factor, apply *cuda.Kernel
}

// NewClip makes a plan for limiting gradients.
func (d *Device) NewClip(s device.ClipSpec) (device.Clip, error) {
	const op = "clip"
	if !(s.MaxNorm >= 0) || !(s.MaxValue >= 0) {
		panic(fmt.Sprintf("gpu: NewClip: largest norm %v, largest value %v, want 0 or more", s.MaxNorm, s.MaxValue))
	}
	d.checkScaling(op, s.Scaling)
	var table []uint64
	var lengths []int
	for i, t := range s.Grads {
		if t == nil || t.DType() != device.Float32 {
			panic(fmt.Sprintf("gpu: NewClip: gradient %d is %v, want float32", i, t))
		}
		table = append(table, d.address(op, "gradient", t))
		lengths = append(lengths, t.Len())
	}
	return build(d, op, func(b *builder) device.Clip {
		p := &clip{
			d: d, spec: s, grads: b.list(kernels.Table(table), lengths),
			squares: b.kernel(kernels.ClipSumSquares), factor: b.kernel(kernels.ClipFactor), apply: b.kernel(kernels.ClipApply),
		}
		var work layout
		p.partial, p.factors = work.place(8*p.grads.blocks), work.place(2*4)
		b.reserve(work.bytes)
		return p
	})
}

func (p *clip) Run() {
	d, s := p.d, p.spec
	if p.grads.empty() || s.MaxNorm == 0 && s.MaxValue == 0 || !d.begin("clip") {
		return
	}
	defer d.end()
	d.hold(p)
	partial, factors := d.scratch()+p.partial, d.scratch()+p.factors
	tensors, chunks, blocks := p.grads.tensors.address, p.grads.chunks.address, 0
	if s.MaxNorm > 0 {
		blocks = p.grads.blocks
		d.arguments().Pointer(partial).Pointer(tensors).Pointer(chunks)
		d.launch(p.squares, p.grads.grid())
	}
	d.arguments().Pointer(factors).Pointer(partial).Int32(int32(blocks)).Float32(s.MaxNorm).Float32(s.MaxValue).Pointer(d.optional(s.Scaling))
	d.launch(p.factor, oneBlock)
	d.arguments().Pointer(tensors).Pointer(chunks).Pointer(factors)
	d.launch(p.apply, p.grads.grid())
}
