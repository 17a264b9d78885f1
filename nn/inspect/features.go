package inspect

import (
	"context"
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"

	"trainer/nn"
	"trainer/nn/device"
)

// FeaturePlace returns the place of the values that the last layer with a weight reads: what the network makes of a picture
// before it decides.
func (s *Session) FeaturePlace() int {
	for k := len(s.places) - 1; k > 0; k-- {
		if p := s.places[k]; p.layer != nil && hasWeight(p) && len(p.Inputs) == 1 {
			return p.Inputs[0]
		}
	}
	return s.outputPlace()
}

// hasWeight reports whether a layer has weights that are multiplied with its input.
func hasWeight(p *place) bool {
	for _, t := range p.Tensors {
		if len(t.Shape) > 1 {
			return true
		}
	}
	return false
}

// Features returns the values of FeaturePlace for each picture of bytes [h w c]: [pictures, width]. progress, unless nil, is
// called after each picture with the number of those that are done. Afterwards the pass is that of the last Forward again.
func (s *Session) Features(ctx context.Context, pictures [][]byte, progress func(done int)) (features []float32, width int, err error) {
	place := s.FeaturePlace()
	defer s.lock()()
	if s.closed {
		return nil, 0, ErrClosed
	}
	for k, p := range pictures {
		if len(p) != s.opt.Input.Len() {
			return nil, 0, argument("picture %d has %d bytes, want %d: %v", k, len(p), s.opt.Input.Len(), s.opt.Input)
		}
	}
	width = s.shape(place).Len()
	features = make([]float32, len(pictures)*width)
	defer func() { err = errors.Join(err, s.restore()) }()
	for k, p := range pictures {
		if err := ctx.Err(); err != nil {
			return nil, 0, err
		}
		if err := s.dev.Upload(s.bytes, p); err != nil {
			return nil, 0, fmt.Errorf("inspect: %w", err)
		}
		s.normalize.Normalize(s.x, s.bytes, nil, 0, 0, false)
		s.net.Forward(s.x, nn.Inference)
		if err := s.dev.Download(device.Bytes(features[k*width:][:width]), s.places[place].probe.y); err != nil {
			return nil, 0, fmt.Errorf("inspect: %w", err)
		}
		if progress != nil {
			progress(k + 1)
		}
	}
	return features, width, nil
}

// Projection is a picture of many points in two dimensions.
type Projection struct {
	X []float32 `json:"x"`
	Y []float32 `json:"y"`
	// Explained is the fraction of the variance that each of the two directions has.
	Explained [2]float64 `json:"explained"`
}

// mostWidth is the largest number of dimensions from which PCA projects: the time grows with its third power.
const mostWidth = 1 << 11

// PCA projects points, [n, width], on the two directions of largest variance (principal component analysis: Pearson, "On
// Lines and Planes of Closest Fit to Systems of Points in Space", 1901). The sign of each direction is such that its element
// of largest absolute value is positive. Points of more than 2048 dimensions must be projected by the caller first.
func PCA(points []float32, width int) (*Projection, error) {
	if width < 2 || width > mostWidth || len(points)%width != 0 || len(points) < 3*width {
		return nil, argument("%d numbers for points of %d dimensions, want 3 or more points of 2 to %d", len(points), width, mostWidth)
	}
	for _, v := range points {
		if v-v != 0 {
			return nil, argument("a point has the value %v, want finite numbers", v)
		}
	}
	n := len(points) / width
	m := mat.NewDense(n, width, float64s(points))
	centre(m)
	var covariance mat.SymDense
	stat.CovarianceMatrix(&covariance, m, nil)
	var eigen mat.EigenSym
	if !eigen.Factorize(&covariance, true) {
		return nil, errors.New("inspect: the principal components of the points can't be computed")
	}
	var vectors mat.Dense
	eigen.VectorsTo(&vectors)
	values, total := eigen.Values(nil), 0.0 // the smallest first
	for _, v := range values {
		total += max(v, 0)
	}
	p := &Projection{}
	for k, into := range []*[]float32{&p.X, &p.Y} {
		direction := mat.Col(nil, width-1-k, &vectors)
		orient(direction)
		var projected mat.VecDense
		projected.MulVec(m, mat.NewVecDense(width, direction))
		for i := range n {
			*into = append(*into, float32(projected.AtVec(i)))
		}
		if total > 0 {
			p.Explained[k] = max(values[width-1-k], 0) / total
		}
	}
	return p, nil
}

// centre subtracts the mean of each column.
func centre(m *mat.Dense) {
	n, width := m.Dims()
	for c := range width {
		mean := stat.Mean(mat.Col(nil, c, m), nil)
		for i := range n {
			m.Set(i, c, m.At(i, c)-mean)
		}
	}
}

// orient makes the element of largest absolute value positive.
func orient(v []float64) {
	largest := 0
	for k := range v {
		if math.Abs(v[k]) > math.Abs(v[largest]) {
			largest = k
		}
	}
	if v[largest] < 0 {
		for k := range v {
			v[k] = -v[k]
		}
	}
}
