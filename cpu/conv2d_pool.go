package cpu

import (
	"fmt"
	"math"

	"trainer/cpu/internal/vector"
	"trainer/nn/device"
)

// convPool is 2 x 2 max pooling fused with a convolution. Each worker holds one image at
// a time, in its own memory: in the forward pass an image of the convolution's output, in the
// backward passes the gradient with respect to it. So neither is ever in main memory as a whole.
//
// Like maxPool it stores where each maximum was, and with ReLU passes no gradient to a
// maximum that was not positive.
type convPool struct {
	loops      vector.Pool[uint8]
	relu       bool
	h, w, c    int // the convolution's output
	outH, outW int
	arg        []uint8 // [n,outH,outW,c]
}

// NewConv2DMaxPool returns the plan of a convolution with max pooling, and optionally ReLU
// after it. It supports 2 x 2 windows that do not overlap, after convolutions that need no
// im2col matrix in any pass.
func (d *Device) NewConv2DMaxPool(s device.Conv2DSpec, pool device.Pool2DSpec, relu bool) (_ device.Conv2D, err error) {
	defer returnShortage(&err)
	if err := d.float32Only("conv2d", s.DType, pool.DType); err != nil {
		return nil, err
	}
	s.Check()
	pool.Check()
	if pool.N != s.N || pool.H != s.OutH() || pool.W != s.OutW() || pool.C != s.OutC {
		panic(fmt.Sprintf("conv2d with max pooling: the convolution gives [%d %d %d %d], the pooling is of [%d %d %d %d]",
			s.N, s.OutH(), s.OutW(), s.OutC, pool.N, pool.H, pool.W, pool.C))
	}
	if pool.Mode != device.MaxPool || !sideBySide2x2(pool) {
		return nil, fmt.Errorf("conv2d with a pooling other than max 2x2 side by side: %w", device.ErrNotSupported)
	}
	if !d.inBands(s) {
		return nil, fmt.Errorf("conv2d with max pooling, of this shape: %w", device.ErrNotSupported)
	}
	p := &convPool{loops: d.vector.Pool8, relu: relu, h: pool.H, w: pool.W, c: pool.C, outH: pool.OutH(), outW: pool.OutW()}
	p.arg = zeroed[uint8](s.N * p.outH * p.outW * p.c)
	return d.newConv2D(s, false, p), nil
}

// sideBySide2x2 reports whether windows are 2 x 2 without gaps between them, and none reaches outside the image.
func sideBySide2x2(s device.Pool2DSpec) bool {
	down, along := s.Rows(), s.Columns()
	return s.KH == 2 && s.KW == 2 && s.StrideH == 2 && s.StrideW == 2 && down.Dilation == 1 && along.Dilation == 1 && down.Within() && along.Within()
}

// imageLen returns the elements of one image before it is pooled, 0 without pooling.
func (p *convPool) imageLen() int {
	if p == nil {
		return 0
	}
	return p.h * p.w * p.c
}

// rows pools rows of image n, from the even row i on, to y, which holds all pooled images.
func (p *convPool) rows(y, x []float32, n, i int) {
	length := p.outW * p.c
	for row := 0; row+2 <= len(x)/(p.w*p.c); row += 2 {
		at := (n*p.outH + (i+row)/2) * length
		upper, lower := x[row*p.w*p.c:], x[(row+1)*p.w*p.c:]
		if p.relu {
			p.loops.Max2x2ReLU(y[at:at+length], p.arg[at:at+length], upper, lower, p.c)
			continue
		}
		p.loops.Max2x2(y[at:at+length], p.arg[at:at+length], upper, lower, p.c)
	}
}

// channels pools cols channels of image n, from channel o on; x has only these.
func (p *convPool) channels(y, x []float32, n, o, cols int) {
	pool := p.loops.Max2x2
	if p.relu {
		pool = p.loops.Max2x2ReLU
	}
	for i := range p.outH {
		upper, lower := x[2*i*p.w*cols:], x[(2*i+1)*p.w*cols:]
		for j := range p.outW {
			at := ((n*p.outH+i)*p.outW+j)*p.c + o
			pool(y[at:at+cols], p.arg[at:at+cols], upper[2*j*cols:], lower[2*j*cols:], cols)
		}
	}
}

// unpool writes image n of the gradient with respect to the convolution's output: dy at the
// maxima, 0 elsewhere.
func (p *convPool) unpool(image, dy []float32, n int) {
	length, row := p.outW*p.c, p.w*p.c
	for i := range p.outH {
		at := (n*p.outH + i) * length
		upper, lower := image[2*i*row:][:row], image[(2*i+1)*row:][:row]
		p.loops.Gather2x2(upper, lower, dy[at:at+length], p.arg[at:at+length], p.c)
		clear(upper[2*length:])
		clear(lower[2*length:])
	}
	clear(image[2*p.outH*row : p.h*row])
}

// imageReader hands the images to a pass, one after the other.
type imageReader struct {
	src      []float32
	perImage int
	pool     *convPool // nil if src holds the images themselves
	made     []float32 // the last image that was unpooled
	which    int
}

// newImageReader returns a reader of src, which holds pooled images unless pool is nil. made
// has room for one image.
func newImageReader(src []float32, perImage int, pool *convPool, made []float32) imageReader {
	return imageReader{src: src, perImage: perImage, pool: pool, made: made, which: math.MinInt}
}

// image returns image n. It is valid until the next call.
func (r *imageReader) image(n int) []float32 {
	if r.pool == nil {
		return r.src[n*r.perImage:][:r.perImage]
	}
	if r.which != n {
		r.pool.unpool(r.made[:r.perImage], r.src, n)
		r.which = n
	}
	return r.made[:r.perImage]
}
