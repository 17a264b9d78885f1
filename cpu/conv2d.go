package cpu

import (
	"fmt"

	"trainer/nn/device"
)

// conv2D computes convolutions in one of four ways. The first is a matrix product with the
// im2col matrix, of which only a few rows exist at a time, gathered into the cache (see
// window):
//
//	Forward         Y[p, o]  = sum_k X[p, k] W[o, k]        X the patches of x, p = (n, i, j)
//	BackwardData    dX[p, c] = sum_k D[p, k] W'[c, k]       D the patches of dy, W' the flipped filters
//	BackwardFilter  dW[o, k] = sum_p dY[p, o] X[p, k]
//
// The direct method computes the same products, but reads the image in place, so that no
// part of the im2col matrix exists (see direct). Winograd's method, for 3 x 3 and 5 x 5
// filters of many channels, needs a quarter to a half of the multiplications (see
// winogradProduct, winogradFilter). Each call first packs the filters into panels, which the
// micro-kernel reads from end to end. If every channel has its own filter, there is no matrix
// product (see depthwise).
type conv2D struct {
	d    *Device
	spec device.Conv2DSpec
	relu bool
	pool *convPool // or nil

	forward  convProduct
	backward convProduct
	filter   convFilter

	depthwise *depthwise // instead of these three, or nil
}

// NewConv2D returns the plan of a convolution.
func (d *Device) NewConv2D(spec device.Conv2DSpec) (_ device.Conv2D, err error) {
	defer returnShortage(&err)
	if err := d.float32Only("conv2d", spec.DType); err != nil {
		return nil, err
	}
	return d.newConv2D(spec, false, nil), nil
}

// NewConv2DReLU returns the plan of a convolution whose output goes through ReLU.
func (d *Device) NewConv2DReLU(spec device.Conv2DSpec) (_ device.Conv2D, err error) {
	defer returnShortage(&err)
	if err := d.float32Only("conv2d", spec.DType); err != nil {
		return nil, err
	}
	return d.newConv2D(spec, true, nil), nil
}

// newConv2D returns a plan; pool is nil, or the max pooling of the output.
func (d *Device) newConv2D(s device.Conv2DSpec, relu bool, pool *convPool) *conv2D {
	s.Check()
	p := &conv2D{d: d, spec: s, relu: relu, pool: pool}
	if pool == nil && isDepthwise(s) {
		p.depthwise = newDepthwise(d, s, relu)
		return p
	}
	in, out := s.InC/s.Groups, s.OutC/s.Groups
	p.forward.pool, p.backward.unpool, p.filter.unpool = pool, pool, pool
	p.forward.init(d, forwardWindow(s), s.Groups, out, s.N)
	if !s.NoBackward && !s.NoBackwardData {
		p.backward.init(d, backwardWindow(s), s.Groups, in, s.N)
	}
	if !s.NoBackward {
		p.filter.init(d, forwardWindow(s), s)
	}
	return p
}

// forwardWindow describes how the forward pass and the backward pass for the filters read x.
func forwardWindow(s device.Conv2DSpec) window {
	return (&window{
		srcH: s.H, srcW: s.W, srcC: s.InC, channels: s.InC / s.Groups, outH: s.OutH(), outW: s.OutW(), kH: s.KH, kW: s.KW,
		strideH: s.StrideH, strideW: s.StrideW, padH: s.PadH, padW: s.PadW, endH: s.PadH + s.ExtraPadH, endW: s.PadW + s.ExtraPadW,
		dilationH: s.DilationH, dilationW: s.DilationW, upH: 1, upW: 1,
	}).finish()
}

// backwardWindow describes how the backward pass for the data reads dy.
func backwardWindow(s device.Conv2DSpec) window {
	reachH, reachW := s.DilationH*(s.KH-1), s.DilationW*(s.KW-1)
	return (&window{
		srcH: s.OutH(), srcW: s.OutW(), srcC: s.OutC, channels: s.OutC / s.Groups, outH: s.H, outW: s.W, kH: s.KH, kW: s.KW,
		strideH: 1, strideW: 1, padH: reachH - s.PadH, padW: reachW - s.PadW, endH: reachH - s.PadH - s.ExtraPadH, endW: reachW - s.PadW - s.ExtraPadW,
		dilationH: s.DilationH, dilationW: s.DilationW, upH: s.StrideH, upW: s.StrideW,
	}).finish()
}

// inBands reports whether every pass reads and writes whole rows of images: with the direct
// method or Winograd's.
func (d *Device) inBands(s device.Conv2DSpec) bool {
	read := func(w window, out int) bool {
		_, tiles := tilesOf(d.kernel, &w, out, s.N)
		return tiles || w.direct()
	}
	return read(forwardWindow(s), s.OutC) && (s.NoBackward || s.NoBackwardData || read(backwardWindow(s), s.InC))
}

// Algorithm returns the names of the forward pass's method and of the instruction set.
func (p *conv2D) Algorithm() string {
	if p.depthwise != nil {
		return "depthwise, " + p.d.kernel.Name
	}
	method := "gathered patches"
	if w := p.forward.winograd; w != nil {
		method = fmt.Sprintf("Winograd F(%dx%d,%dx%d)", w.m, w.m, w.r, w.r)
	} else if p.forward.direct != nil {
		method = "direct"
	}
	return method + ", " + p.d.kernel.Name
}

// Workspace returns the bytes that the plan owns. The working memory of Winograd's method is
// not among them: all plans of the device share it.
func (p *conv2D) Workspace() int64 {
	if p.depthwise != nil {
		return int64(4 * p.depthwise.len())
	}
	n := int64(4 * (p.forward.len() + p.backward.len() + p.filter.len()))
	if p.pool != nil {
		n += int64(len(p.pool.arg))
	}
	return n
}

// outputShape returns the height and width of y: with pooling, of the pooled images.
func (p *conv2D) outputShape() (h, w int) {
	if p.pool != nil {
		return p.pool.outH, p.pool.outW
	}
	return p.spec.OutH(), p.spec.OutW()
}

// Forward computes y.
func (p *conv2D) Forward(y, x, w, bias *device.Tensor) {
	const op = "conv2d forward"
	s := p.spec
	n := device.CheckRows(op, "x", x, device.Float32, s.N, s.H, s.W, s.InC)
	h, width := p.outputShape()
	device.Check(op, "y", y, device.Float32, n, h, width, s.OutC)
	p.checkFilters(op, "w", w)
	if (bias != nil) != s.Bias {
		panic(fmt.Sprintf("%s: bias given: %v, by the spec: %v", op, bias != nil, s.Bias))
	}
	if bias != nil {
		device.Check(op, "bias", bias, device.Float32, s.OutC)
	}
	if p.depthwise != nil {
		p.depthwise.forward.run(floats(y), optionalFloats(bias), floats(x), floats(w), n)
		return
	}
	p.forward.run(floats(y), floats(x), floats(w), optionalFloats(bias), n, false, p.relu)
}

// BackwardData computes dx.
func (p *conv2D) BackwardData(dx, dy, w *device.Tensor) {
	const op = "conv2d backward data"
	s := p.spec
	if s.NoBackward || s.NoBackwardData {
		panic(op + ": the plan was made without it")
	}
	n := device.CheckRows(op, "dx", dx, device.Float32, s.N, s.H, s.W, s.InC)
	h, width := p.outputShape()
	device.Check(op, "dy", dy, device.Float32, n, h, width, s.OutC)
	p.checkFilters(op, "w", w)
	if p.depthwise != nil {
		p.depthwise.backward.run(floats(dx), nil, floats(dy), floats(w), n)
		return
	}
	p.backward.run(floats(dx), floats(dy), floats(w), nil, n, true, false)
}

// BackwardFilter computes dw and dbias.
func (p *conv2D) BackwardFilter(dw, dbias, dy, x *device.Tensor) {
	const op = "conv2d backward filter"
	s := p.spec
	if s.NoBackward {
		panic(op + ": the plan was made without it")
	}
	n := device.CheckRows(op, "x", x, device.Float32, s.N, s.H, s.W, s.InC)
	h, width := p.outputShape()
	device.Check(op, "dy", dy, device.Float32, n, h, width, s.OutC)
	if dw != nil {
		p.checkFilters(op, "dw", dw)
	}
	if dbias != nil {
		device.Check(op, "dbias", dbias, device.Float32, s.OutC)
	}
	if p.depthwise != nil {
		p.depthwise.filter.run(optionalFloats(dw), optionalFloats(dbias), floats(dy), floats(x), n)
		return
	}
	p.filter.run(optionalFloats(dw), optionalFloats(dbias), floats(dy), floats(x), n)
}

func (p *conv2D) checkFilters(op, operand string, t *device.Tensor) {
	s := p.spec
	device.Check(op, operand, t, device.Float32, s.OutC, s.KH, s.KW, s.InC/s.Groups)
}
