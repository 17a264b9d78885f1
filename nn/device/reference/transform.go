package reference

import (
	"math"

	"trainer/nn/device"
)

// loadError is the largest error, in units of 2^-23, of a pixel that is a byte divided by 255 and rounded to float32.
const loadError = 1

// Transform applies a spec's operations to n images [n,H,W,C], using the formulas in float64 and the table of
// parameters [n, Columns()], and normalises. A magnitude is the allowed error, in units of 2^-23, from the operations'
// error analysis.
func Transform(s device.TransformSpec, images []uint8, drawn []float64, n int) Sums {
	size, columns := s.H*s.W*s.C, s.Columns()
	x, off := make([]device.Image, n), make([]float64, n)
	for i := range x {
		x[i] = device.Image{H: s.H, W: s.W, C: s.C, Pix: make([]float64, size), Mean: Widen(s.Mean)}
		for k := range size {
			x[i].Pix[k] = float64(images[i*size+k]) / 255
		}
		off[i] = loadError
	}
	for k, op := range s.Ops {
		y, offY := make([]device.Image, n), make([]float64, n)
		for i := range x {
			row := drawn[i*columns+s.Column(k):]
			if row[0] == 0 {
				y[i], offY[i] = x[i], off[i]
				continue
			}
			p, partner := row[1:][:op.Params], (i+1)%n
			y[i] = x[i]
			y[i].Pix = make([]float64, size)
			op.Apply(y[i], x[i], x[partner], p)
			e := off[i]
			if op.Mixes {
				e = math.Max(e, off[partner])
			}
			gain, ulps := op.Error(x[i], p)
			offY[i] = gain*e + ulps
		}
		x, off = y, offY
	}
	y := NewSums(n*size, 1)
	for i := range x {
		for k, v := range x[i].Pix {
			mean, std := float64(s.Mean[k%s.C]), float64(s.Std[k%s.C])
			y.Set(i*size+k, (v-mean)/std, (off[i]+ElementwiseUlps*(math.Abs(v)+math.Abs(mean)))/std)
		}
	}
	return y
}

// Targets returns the rows of target probabilities for the table of parameters.
func Targets(s device.TransformSpec, labels []int32, drawn []float64) Sums {
	n, columns := len(labels), s.Columns()
	t := NewSums(n*s.Classes, ElementwiseUlps)
	for i := range n {
		if s.Mixes() == 0 {
			t.Set(i*s.Classes+int(labels[i]), 1, 0)
		}
		for k := 0; s.Mixes() > 0 && k <= s.Mixes(); k++ {
			t.Add(i*s.Classes+int(labels[(i+k)%n]), drawn[i*columns+s.Column(len(s.Ops))+k])
		}
	}
	return t
}

type transform struct {
	*Operations
	s device.TransformSpec
}

// NewTransform makes a plan of a list of operations on images.
func (o *Operations) NewTransform(s device.TransformSpec) (device.Transform, error) {
	s.Check()
	s.DType = s.DType.OrFloat32()
	return made[device.Transform](o, "transform", transform{o, s}, o.accepts(s.DType))
}

func (p transform) Run(y, images, ids, drawn *device.Tensor) {
	const op = "transform"
	n := p.s.CheckRun(op, y, images, ids, drawn)
	if !p.begin(op) {
		return
	}
	batch := p.bytes(images)
	if p.s.Gather {
		size := p.s.H * p.s.W * p.s.C
		gathered := make([]uint8, 0, n*size)
		for _, id := range p.loadInts(ids) {
			gathered = append(gathered, batch[int(id)*size:][:size]...)
		}
		batch = gathered
	}
	p.store(op, y, Transform(p.s, batch, p.load(drawn), n).Value)
}

func (p transform) Targets(dst, labels, drawn *device.Tensor) {
	const op = "transform targets"
	p.s.CheckTargets(op, dst, labels, drawn)
	if p.begin(op) {
		p.store(op, dst, Targets(p.s, p.loadInts(labels), p.load(drawn)).Value)
	}
}
