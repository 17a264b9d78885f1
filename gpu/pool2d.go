//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"fmt"
	"math"

	"gorgonia.org/cu"

	"trainer/gpu/internal/cuda"
	"trainer/kernels"
	"trainer/nn/device"
)

// pool2D is the plan of pooling over windows of images [n,h,w,c], with outputs [n,outH,outW,c],
// followed by ReLU in the fused form, computed by the kernels in pool2d.cu.
//
//	max       y = the largest element      dx[it] += dy
//	average   y = 1/m sum                  dx[each] += dy/m
//
// Max pooling stores the position of each maximum. cuDNN's pooling would read x again in the backward pass, and doesn't
// define which of several equal elements it takes.
type pool2D struct {
	d                 *Device
	spec              device.Pool2DSpec
	relu              bool
	wide              bool // windows have more elements than a byte can index
	vector            bool // kernels process four channels at a time
	tiles             bool // windows tile the image: kernels of pool2d_tiles.cu
	inBits            bool // positions are packed: see tiles.cuh
	forward, backward *cuda.Kernel
	arg               *memory // positions of the maxima; for max pooling with a backward pass
	n                 int     // images of the last Forward
}

// NewPool2D makes a plan for pooling.
func (d *Device) NewPool2D(s device.Pool2DSpec) (device.Pool2D, error) { return d.newPool2D(s, false) }

// NewPool2DReLU makes a plan for pooling with ReLU after it.
func (d *Device) NewPool2DReLU(s device.Pool2DSpec) (device.Pool2D, error) {
	return d.newPool2D(s, true)
}

func (d *Device) newPool2D(s device.Pool2DSpec, relu bool) (device.Pool2D, error) {
	s.Check()
	s.DType = floatType("NewPool2D", s.DType)
	return build(d, "pool2d", func(b *builder) device.Pool2D {
		outputs := s.N * s.OutH() * s.OutW() * s.C
		b.elements(s.N * s.H * s.W * s.C)
		b.elements(outputs)
		p := &pool2D{d: d, spec: s, relu: relu, vector: kernels.Vector(s.C)}
		if s.Mode != device.MaxPool {
			p.forward, p.backward = b.family(kernels.Pool2DAverageForward, s.DType), b.family(kernels.Pool2DAverageBackward, s.DType)
			return p
		}
		numberBytes := 1
		if forward, backward, ok := poolTiles(s); ok {
			p.tiles, p.forward, p.backward = true, b.family(forward, s.DType), b.family(backward, s.DType)
			p.inBits = s.KH == 2 && !relu
		} else if s.KH*s.KW <= math.MaxUint8 {
			p.forward, p.backward = b.family(kernels.Pool2DMaxForward, s.DType), b.family(kernels.Pool2DMaxBackward, s.DType)
		} else {
			p.wide, p.vector, numberBytes = true, false, 4
			p.forward, p.backward = b.family(kernels.Pool2DMaxForwardWide, s.DType), b.family(kernels.Pool2DMaxBackwardWide, s.DType)
		}
		if !s.NoBackward {
			p.arg = b.memory(positionBytes(numberBytes*outputs, p.inBits))
		}
		return p
	})
}

// poolTiles returns the kernels of pool2d_tiles.cu for a max pooling that they compute.
func poolTiles(s device.Pool2DSpec) (forward, backward kernels.Family, ok bool) {
	rows, cols := s.Rows(), s.Columns()
	if s.StrideH != s.KH || s.StrideW != s.KW || s.KH != s.KW || s.PadH+s.PadW != 0 || rows.Dilation != 1 || cols.Dilation != 1 ||
		s.OutH()*s.KH > s.H || s.OutW()*s.KW > s.W || s.C%kernels.Pack(storage(s.DType)) != 0 {
		return "", "", false
	}
	switch s.KH {
	case 2:
		return kernels.Pool2DMaxForward2x2, kernels.Pool2DMaxBackward2x2, true
	case 3:
		return kernels.Pool2DMaxForward3x3, kernels.Pool2DMaxBackward3x3, true
	}
	return "", "", false
}

// positionBytes returns the bytes of the positions of maxima, with so many of them unless they are packed.
func positionBytes(bytes int, packed bool) int {
	if packed {
		return bytes / 4
	}
	return bytes
}

func (p *pool2D) Forward(y, x *device.Tensor) {
	const op = "pool2d forward"
	s, d := p.spec, p.d
	n := device.CheckRows(op, "x", x, s.DType, s.N, s.H, s.W, s.C)
	device.Check(op, "y", y, s.DType, n, s.OutH(), s.OutW(), s.C)
	p.n = n
	if !d.begin(op) {
		return
	}
	defer d.end()
	a := d.arguments().Pointer(d.data(y))
	if s.Mode == device.MaxPool {
		a.Pointer(p.positions())
	}
	a.Pointer(d.data(x))
	if p.tiles {
		tileArguments(a, s, n)
		a.Int32(flag(p.relu)).Int32(flag(p.inBits))
		d.launchTiles(p.forward, s, y.Len())
		return
	}
	p.geometry(a, n, s.OutW(), s.OutH())
	a.Int32(flag(p.relu))
	p.launch(p.forward, y.Len())
}

func (p *pool2D) Backward(dx, dy, y, x *device.Tensor) {
	const op = "pool2d backward"
	s, d := p.spec, p.d
	if s.NoBackward {
		panic(op + ": the plan was made with NoBackward")
	}
	n := device.CheckRows(op, "x", x, s.DType, s.N, s.H, s.W, s.C)
	device.Check(op, "dx", dx, s.DType, n, s.H, s.W, s.C)
	device.Check(op, "dy", dy, s.DType, n, s.OutH(), s.OutW(), s.C)
	device.Check(op, "y", y, s.DType, n, s.OutH(), s.OutW(), s.C)
	if n != p.n {
		panic(fmt.Sprintf("%s: x is %v, the last Forward had %d images", op, x, p.n))
	}
	if !d.begin(op) {
		return
	}
	defer d.end()
	a := d.arguments().Pointer(d.data(dx)).Pointer(d.data(dy))
	switch {
	case p.tiles:
		tileArguments(a.Pointer(p.positions()), s, n)
		a.Int32(flag(p.inBits))
		d.launchTiles(p.backward, s, dy.Len())
		return
	case s.Mode == device.MaxPool:
		p.geometry(a.Pointer(p.positions()), n, s.W, s.H)
	default:
		before := y
		if !p.relu {
			before = nil
		}
		p.geometry(a.Pointer(d.optional(before)), n, s.W, s.H).Int32(flag(p.relu))
	}
	p.launch(p.backward, dx.Len())
}

// positions returns the address of the maxima's positions, or 0 if they aren't stored.
func (p *pool2D) positions() cu.DevicePtr {
	if p.arg == nil {
		return 0
	}
	return p.d.at(p.arg)
}

// geometry adds the arguments that all kernels of pool2d.cu share, for n images, and for average pooling which elements
// count. The threads go through images of this width and height.
func (p *pool2D) geometry(a *cuda.Args, n, width, height int) *cuda.Args {
	s, dilationH, dilationW := p.spec, p.spec.Rows().Dilation, p.spec.Columns().Dilation
	for _, v := range [...]int{n, s.H, s.W, s.C, s.OutH(), s.OutW(), s.KH, s.KW, s.StrideH, s.StrideW, s.PadH, s.PadW, dilationH, dilationW} {
		a.Int32(int32(v))
	}
	packs := s.C
	if p.vector {
		packs /= 4
	}
	for _, v := range [...]int{packs, width, height, s.StrideH, s.StrideW} {
		divisor(a, v)
	}
	if s.Mode != device.MaxPool {
		a.Int32(int32(s.H + s.PadH + s.ExtraPadH)).Int32(int32(s.W + s.PadW + s.ExtraPadW)).Int32(flag(s.Mode == device.AvgPoolExcluding))
	}
	return a
}

// divisor adds a number by which a kernel divides.
func divisor(a *cuda.Args, d int) {
	v := kernels.DivisorOf(d)
	a.Int32(v.Multiplier).Int32(v.Shift)
}

// launch queues a kernel of pool2d.cu over n elements, with vector as its last argument if the kernel has that argument.
func (p *pool2D) launch(k *cuda.Kernel, n int) {
	if !p.wide {
		p.d.args.Int32(flag(p.vector))
	}
	p.d.launch(k, kernels.Pool(n, p.vector))
}

// tileArguments adds the arguments of pool2d_tiles.cu for n images.
func tileArguments(a *cuda.Args, s device.Pool2DSpec, n int) {
	for _, v := range [...]int{n * s.OutH() * s.OutW(), s.C / kernels.Pack(storage(s.DType)), s.H, s.W, s.OutH(), s.OutW()} {
		a.Int32(int32(v))
	}
}

// launchTiles queues a kernel of pool2d_tiles.cu for n outputs, with the divisors as its last arguments.
func (d *Device) launchTiles(k *cuda.Kernel, s device.Pool2DSpec, n int) {
	for _, v := range [...]int{s.C / kernels.Pack(storage(s.DType)), s.OutW(), s.OutH()} {
		divisor(&d.args, v)
	}
	d.launch(k, kernels.PoolTiles(n, storage(s.DType)))
}
