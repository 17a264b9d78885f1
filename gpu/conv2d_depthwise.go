//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"fmt"

	"trainer/gpu/internal/cuda"
	"trainer/kernels"
	"trainer/nn/device"
)

// depthwise is the plan of a convolution in which every channel has a filter of its own, by the kernels of depthwise.cu:
// the work is bound by memory, and cuDNN's algorithms are made for products of matrices. Bias and ReLU are part of the
// forward kernel; dbias is the sum of columns of reduce.cu.
type depthwise struct {
	d    *Device
	spec device.Conv2DSpec
	relu bool

	forward, data  *cuda.Kernel
	filter, finish *cuda.Kernel
	sum            columnReduction // of dbias
}

// isDepthwise reports whether every channel has one filter of its own.
func isDepthwise(s device.Conv2DSpec) bool {
	return s.Groups > 1 && s.Groups == s.InC && s.InC == s.OutC
}

// newDepthwise makes the plan.
func (b *builder) newDepthwise(s device.Conv2DSpec, relu bool) *depthwise {
	p := &depthwise{d: b.d, spec: s, relu: relu, forward: b.family(kernels.DepthwiseForward, s.DType)}
	if s.NoBackward {
		return p
	}
	if !s.NoBackwardData {
		p.data = b.family(kernels.DepthwiseData, s.DType)
	}
	rows := s.N * s.OutH() * s.OutW()
	p.filter, p.finish = b.family(kernels.DepthwiseFilter, s.DType), b.family(kernels.DepthwiseFilterFinish, s.DType)
	b.reserve(4 * int64(kernels.MaxDepthwiseBlocks(rows, s.OutC)) * int64(s.KH*s.KW*s.OutC))
	if s.Bias {
		p.sum = b.columnReduction(reductionOf(device.ReduceSum), s.DType, 1, s.OutC)
		b.reserve(columnSums(rows, s.OutC))
	}
	return p
}

// Algorithm returns "depthwise".
func (p *depthwise) Algorithm() string { return "depthwise" }

// Workspace returns 0: partial sums are in memory that all plans of the device share.
func (p *depthwise) Workspace() int64 { return 0 }

// geometry adds the arguments that all passes have.
func (p *depthwise) geometry(a *cuda.Args) *cuda.Args {
	s := p.spec
	return a.Int32(int32(s.H)).Int32(int32(s.W)).Int32(int32(s.OutC)).Int32(int32(s.OutH())).Int32(int32(s.OutW())).
		Int32(int32(s.KH)).Int32(int32(s.KW)).Int32(int32(s.StrideH)).Int32(int32(s.StrideW)).
		Int32(int32(s.PadH)).Int32(int32(s.PadW)).Int32(int32(s.DilationH)).Int32(int32(s.DilationW))
}

// Forward computes y.
func (p *depthwise) Forward(y, x, w, bias *device.Tensor) {
	const op = "conv2d forward"
	s, d := p.spec, p.d
	n := device.CheckRows(op, "x", x, s.DType, s.N, s.H, s.W, s.InC)
	device.Check(op, "y", y, s.DType, n, s.OutH(), s.OutW(), s.OutC)
	p.checkFilters(op, "w", w)
	if (bias != nil) != s.Bias {
		panic(fmt.Sprintf("%s: bias given: %v, by the spec: %v", op, bias != nil, s.Bias))
	}
	if bias != nil {
		device.Check(op, "bias", bias, device.Float32, s.OutC)
	}
	if !d.begin(op) {
		return
	}
	defer d.end()
	vector := kernels.Vector(s.OutC)
	a := d.arguments().Pointer(d.data(y)).Pointer(d.data(x)).Pointer(d.data(w)).Pointer(d.optional(bias)).Int32(int32(n))
	p.geometry(a).Int32(flag(p.relu)).Int32(flag(vector))
	d.launch(p.forward, kernels.DepthwiseStrips(n*s.OutH(), s.OutW(), s.OutC, vector))
}

// BackwardData computes dx.
func (p *depthwise) BackwardData(dx, dy, w *device.Tensor) {
	const op = "conv2d backward data"
	s, d := p.spec, p.d
	if s.NoBackward || s.NoBackwardData {
		panic(op + ": the plan was made without it")
	}
	n := device.CheckRows(op, "dx", dx, s.DType, s.N, s.H, s.W, s.InC)
	device.Check(op, "dy", dy, s.DType, n, s.OutH(), s.OutW(), s.OutC)
	p.checkFilters(op, "w", w)
	if !d.begin(op) {
		return
	}
	defer d.end()
	vector := kernels.Vector(s.InC)
	a := d.arguments().Pointer(d.data(dx)).Pointer(d.data(dy)).Pointer(d.data(w)).Int32(int32(n))
	p.geometry(a).Int32(flag(vector))
	d.launch(p.data, kernels.DepthwiseStrips(n*s.H, s.W, s.InC, vector))
}

// BackwardFilter computes dw and dbias.
func (p *depthwise) BackwardFilter(dw, dbias, dy, x *device.Tensor) {
	const op = "conv2d backward filter"
	s, d := p.spec, p.d
	if s.NoBackward {
		panic(op + ": the plan was made without it")
	}
	n := device.CheckRows(op, "x", x, s.DType, s.N, s.H, s.W, s.InC)
	device.Check(op, "dy", dy, s.DType, n, s.OutH(), s.OutW(), s.OutC)
	if dw != nil {
		p.checkFilters(op, "dw", dw)
	}
	if dbias != nil {
		device.Check(op, "dbias", dbias, device.Float32, s.OutC)
		if !s.Bias {
			panic(op + ": dbias given, but the spec has no bias")
		}
	}
	if !d.begin(op) {
		return
	}
	defer d.end()
	if dw != nil {
		p.sumTaps(dw, dy, x, n*s.OutH()*s.OutW())
	}
	if dbias != nil {
		d.reduceColumns(p.sum, dbias, dy, nil, columnShape{1, 1, dy.Len() / s.OutC, s.OutC}, 1)
	}
}

// sumTaps queues dw, a few taps per launch.
func (p *depthwise) sumTaps(dw, dy, x *device.Tensor, rows int) {
	d, s := p.d, p.spec
	l, taps := kernels.DepthwiseFilterLaunch(rows, s.OutC), s.KH*s.KW
	for first := 0; first < taps; first += kernels.TapsAtOnce {
		a := d.arguments().Pointer(d.scratch()).Pointer(d.data(dy)).Pointer(d.data(x)).Int32(int32(rows))
		p.geometry(a).Int32(int32(first)).Int32(int32(l.RowsPerBlock))
		d.launch(p.filter, l.Grid)
	}
	d.arguments().Pointer(d.data(dw)).Pointer(d.scratch()).Int32(int32(l.Grid.X)).Int32(int32(taps)).Int32(int32(s.OutC))
	d.launch(p.finish, kernels.ColumnsFinish(taps*s.OutC))
}

func (p *depthwise) checkFilters(op, operand string, t *device.Tensor) {
	s := p.spec
	device.Check(op, operand, t, s.DType, s.OutC, s.KH, s.KW, 1)
}
