package cpu

import (
	"math"

	"trainer/nn/device"
)

// transform is the plan that applies a list of operations to images, as device.TransformSpec defines:
//
//	x = image / 255        x = op(x) for each operation in order        y = (x - mean) / std
//
// A task is one image: it goes through all operations in the cache of one core. An operation that mixes images needs
// each image's partner as it was before the operation. So the list is cut before such an operation, and all images
// are in memory between the parts.
type transform struct {
	d      *Device
	spec   device.TransformSpec
	ops    []imageOp
	mean   []float32
	std    []float32
	begins []int     // the first operation of each part, then the number of operations
	own    []picture // one per worker
	batch  []float32 // [N,H,W,C], if an operation mixes images
	before []float32 // the images before the operation that mixes them

	// Operands of the current call, and the current part.
	y      []float32
	images []uint8
	ids    []int32 // nil without Gather
	drawn  []float32
	n      int
	part   int
}

// NewTransform returns a plan for a list of operations on images.
func (d *Device) NewTransform(s device.TransformSpec) (_ device.Transform, err error) {
	defer returnShortage(&err)
	if err := d.float32Only("transform", s.DType); err != nil {
		return nil, err
	}
	s.Check()
	s.DType = device.Float32
	p := &transform{d: d, spec: s, mean: s.Mean, std: s.Std, begins: []int{0}, own: make([]picture, d.pool.Workers())}
	for k, op := range s.Ops {
		p.ops = append(p.ops, imageOpOf(op, s))
		if op.Mixes {
			p.begins = append(p.begins, k)
		}
	}
	p.begins = append(p.begins, len(s.Ops))
	size := s.H * s.W * s.C
	for i := range p.own {
		p.own[i] = picture{h: s.H, w: s.W, c: s.C, x: aligned[float32](size), scratch: aligned[float32](size), mean: s.Mean}
	}
	if s.Mixes() > 0 {
		p.batch, p.before = aligned[float32](s.N*size), aligned[float32](s.N*size)
	}
	return p, nil
}

func (p *transform) Run(y, images, ids, drawn *device.Tensor) {
	const op = "cpu: transform"
	p.n = p.spec.CheckRun(op, y, images, ids, drawn)
	p.y, p.images, p.drawn, p.ids = floats(y), uint8s(images), floats(drawn), nil
	if p.spec.Gather {
		p.ids = ints(ids)
		checkIDs(op, p.ids, images.Rows())
	}
	for p.part = range len(p.begins) - 1 {
		if p.part > 0 {
			copy(p.before, p.batch[:len(p.y)])
		}
		p.d.pool.Run(p.n, (*transformImage)(p))
	}
}

func (p *transform) Targets(dst, labels, drawn *device.Tensor) {
	s := p.spec
	n := s.CheckTargets("cpu: transform targets", dst, labels, drawn)
	to, from, table := floats(dst), ints(labels), floats(drawn)
	columns, partners := s.Columns(), 1+s.Mixes()
	for i := range n {
		row := to[i*s.Classes:][:s.Classes]
		clear(row)
		if partners == 1 {
			row[from[i]] = 1
			continue
		}
		for k, share := range table[i*columns:][:columns][columns-partners:] {
			row[from[(i+k)%n]] += share
		}
	}
}

// transformImage is the loop over images.
type transformImage transform

func (p *transformImage) Do(n, worker int) {
	s := p.spec
	size := s.H * s.W * s.C
	first, last := p.part == 0, p.part == len(p.begins)-2
	m := &p.own[worker]
	if p.batch != nil {
		m.x, m.other = p.batch[n*size:][:size], p.before[(n+1)%p.n*size:][:size]
	}
	if first {
		from := n
		if p.ids != nil {
			from = int(p.ids[n])
		}
		for i, v := range p.images[from*size:][:size] {
			m.x[i] = float32(v) / 255
		}
	}
	columns := s.Columns()
	row := p.drawn[n*columns:][:columns]
	for k := p.begins[p.part]; k < p.begins[p.part+1]; k++ {
		at := s.Column(k)
		if row[at] != 0 {
			p.ops[k](m, row[at+1:][:s.Ops[k].Params])
		}
	}
	if last {
		p.normalize(p.y[n*size:][:size], m.x)
	}
}

// normalize computes y = (x - mean) / std.
func (p *transformImage) normalize(y, x []float32) {
	channels := len(p.mean)
	for c, mean := range p.mean {
		std := p.std[c]
		for i := c; i < len(x); i += channels {
			y[i] = (x[i] - mean) / std
		}
	}
}

// picture is one image, with the memory that operations need. They change x in place.
type picture struct {
	h, w, c int
	x       []float32 // [h,w,c], in [0,1]
	scratch []float32 // of the same size
	other   []float32 // the partner's image, if the operation mixes images
	mean    []float32 // of each channel
}

// imageOp is the code of a device.ImageOp. The code of each is in image_NAME.go.
type imageOp func(m *picture, p []float32)

// imageOpOf returns the code of an operation, or, without code for it, its formula in float64.
func imageOpOf(op *device.ImageOp, s device.TransformSpec) imageOp {
	if code := imageOps()[op.Name]; code != nil {
		return code
	}
	return func(m *picture, p []float32) {
		x := device.Image{H: m.h, W: m.w, C: m.c, Pix: float64s(m.x), Mean: float64s(s.Mean)}
		y, other := x, x
		y.Pix, other.Pix = make([]float64, len(m.x)), float64s(m.other)
		op.Apply(y, x, other, float64s(p))
		for i, v := range y.Pix {
			m.x[i] = float32(v)
		}
	}
}

func float64s(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

// imageOps returns the operations that have code for this device, by name.
func imageOps() map[string]imageOp {
	return map[string]imageOp{
		"affine":        affine,
		"brightness":    brightness,
		"contrast":      contrast,
		"saturation":    saturation,
		"hue":           hue,
		"blur":          blur,
		"sharpness":     sharpness,
		"posterize":     posterize,
		"solarize":      solarize,
		"auto_contrast": autoContrast,
		"equalize":      equalize,
		"erase":         erase,
		"mix":           mix,
	}
}

// gray returns the brightness of a pixel of c channels, as device.Image.Gray.
func gray(p []float32) float32 {
	if len(p) == 3 {
		return 0.299*p[0] + 0.587*p[1] + 0.114*p[2]
	}
	sum := float32(0)
	for _, v := range p {
		sum += v
	}
	return sum / float32(len(p))
}

// clamp returns the number in [0,1] that is nearest to v.
func clamp(v float32) float32 { return min(max(v, 0), 1) }

// quantized returns the byte that is nearest to 255 times the pixel.
func quantized(v float32) float32 { return float32(math.Floor(float64(255*clamp(v) + 0.5))) }
