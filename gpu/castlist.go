//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"fmt"

	"trainer/gpu/internal/cuda"
	"trainer/kernels"
	"trainer/nn/device"
)

// castList is the plan that converts a list of tensors, from float32 to a 16-bit type (a network's weights before a
// step) or the other way round (their gradients after it), to nearest, ties to even, in one launch of a kernel in
// cast.cu.
type castList struct {
	d      *Device
	spec   device.CastListSpec // keeps the tensors alive: the kernel has only their addresses
	pairs  list
	kernel *cuda.Kernel // nil for an empty list
}

// NewCastList makes a plan for converting tensors. It panics unless all pairs have the same two types.
func (d *Device) NewCastList(s device.CastListSpec) (device.CastList, error) {
	const op = "cast of a list"
	if len(s.Dst) != len(s.Src) {
		panic(fmt.Sprintf("gpu: NewCastList: %d destinations for %d sources", len(s.Dst), len(s.Src)))
	}
	var table []kernels.Pair
	var lengths []int
	for i, dst := range s.Dst {
		src := s.Src[i]
		checkPair(i, dst, src, s.Dst[0], s.Src[0])
		table = append(table, kernels.Pair{Dst: d.address(op, "destination", dst), Src: d.address(op, "source", src)})
		lengths = append(lengths, dst.Len())
	}
	return build(d, op, func(b *builder) device.CastList {
		p := &castList{d: d, spec: s, pairs: b.list(kernels.Table(table), lengths)}
		switch {
		case len(s.Dst) == 0:
		case s.Src[0].DType() == device.Float32:
			p.kernel = b.family(kernels.CastListFromFloat32, s.Dst[0].DType())
		default:
			p.kernel = b.family(kernels.CastListToFloat32, s.Src[0].DType())
		}
		return p
	})
}

// checkPair panics unless pair i can be converted like the first pair.
func checkPair(i int, dst, src, firstDst, firstSrc *device.Tensor) {
	op := fmt.Sprintf("gpu: NewCastList: pair %d", i)
	if dst == nil || src == nil {
		panic(fmt.Sprintf("%s: from %v to %v, want two tensors", op, src, dst))
	}
	from, to := src.DType(), dst.DType()
	if !isFloat(from) || !isFloat(to) || (from == device.Float32) == (to == device.Float32) {
		panic(fmt.Sprintf("%s: from %v to %v, want one of float32, and the other of float16 or bfloat16", op, src, dst))
	}
	if from != firstSrc.DType() || to != firstDst.DType() {
		panic(fmt.Sprintf("%s: from %v to %v, the first from %v to %v", op, src, dst, firstSrc, firstDst))
	}
	device.CheckLen(op, "source", src, from, dst.Len())
}

// Run converts every tensor.
func (p *castList) Run() {
	d := p.d
	if p.pairs.empty() || !d.begin("cast of a list") {
		return
	}
	defer d.end()
	d.hold(p)
	d.arguments().Pointer(p.pairs.tensors.address).Pointer(p.pairs.chunks.address)
	d.launch(p.kernel, p.pairs.grid())
}
