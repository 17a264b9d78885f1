package inspect

import (
	"math"

	"gonum.org/v1/gonum/mat"

	"trainer/nn"
	"trainer/nn/device"
)

// Projection is a picture of many points in two dimensions.
type Projection struct {
	X []float32 `json:"x"`
	Y []float32 `json:"y"`
	// Explained is the fraction of the variance that each of the two directions has.
	Explained [2]float64 `json:"explained"`
}

// The limits of PCA.
const (
	blockOfDirections = 8  // found together, so that the first two are soon exact
	manyIterations    = 32 // at most
	enoughDigits      = 1e-7
)

// PCA projects points, [n, width], on the two directions of largest variance (principal component analysis: Pearson, "On
// Lines and Planes of Closest Fit to Systems of Points in Space", 1901). The sign of each direction is such that its element
// of largest absolute value is positive.
//
// With X the points less their mean, the directions are the eigenvectors of X^T X of largest eigenvalue. They are found by
// subspace iteration, V = orthonormal basis of X^T X V from a random V, which takes time in proportion to the points' numbers
// (Halko, Martinsson and Tropp, "Finding Structure with Randomness", 2011, algorithm 4.4).
func PCA(points []float32, width int) (*Projection, error) {
	if width < 2 || len(points)%width != 0 || len(points) < 3*width {
		return nil, argument("%d numbers for points of %d dimensions, want 3 or more points of 2 or more", len(points), width)
	}
	for _, v := range points {
		if v-v != 0 {
			return nil, argument("a point has the value %v, want finite numbers", v)
		}
	}
	x := centred(points, width)
	n := len(points) / width
	total := 0.0 // n times the variance of all dimensions together
	for _, v := range x.RawMatrix().Data {
		total += v * v
	}
	if total == 0 { // all points are the same
		return &Projection{X: make([]float32, n), Y: make([]float32, n)}, nil
	}
	directions, values := principal(x)
	p := &Projection{}
	for k, into := range []*[]float32{&p.X, &p.Y} {
		direction := mat.Col(nil, k, directions)
		orient(direction)
		var projected mat.VecDense
		projected.MulVec(x, mat.NewVecDense(width, direction))
		for i := range n {
			*into = append(*into, float32(projected.AtVec(i)))
		}
		p.Explained[k] = values[k] / total
	}
	return p, nil
}

// centred returns the points less their mean.
func centred(points []float32, width int) *mat.Dense {
	values, means := float64s(points), make([]float64, width)
	n := float64(len(points) / width)
	for i, v := range values {
		means[i%width] += v / n
	}
	for i := range values {
		values[i] -= means[i%width]
	}
	return mat.NewDense(len(values)/width, width, values)
}

// principal returns directions, as columns, with the eigenvalues of x^T x, the largest first.
func principal(x *mat.Dense) (directions *mat.Dense, values []float64) {
	_, width := x.Dims()
	k := min(blockOfDirections, width)
	v := mat.NewDense(width, k, float64s(start(width*k)))
	for range manyIterations {
		orthonormalize(v)
		var image mat.Dense
		image.Mul(x, v)
		last := values
		u, now := ritz(&image)
		directions, values = &mat.Dense{}, now
		directions.Mul(v, u)
		if last != nil && math.Abs(values[1]-last[1]) <= enoughDigits*values[0] {
			break
		}
		v.Mul(x.T(), &image)
	}
	return directions, values
}

// start returns the random numbers of the first directions, the same for all points.
func start(n int) []float32 {
	x := make([]float32, n)
	nn.InitContext{Stream: device.StreamShuffle}.Normal(x, 1)
	return x
}

// orthonormalize makes the columns orthonormal (Gram and Schmidt; twice, because rounding spoils the first time). A column
// that depends on those before it becomes 0.
func orthonormalize(m *mat.Dense) {
	rows, columns := m.Dims()
	for c := range columns {
		v := mat.VecDenseCopyOf(m.ColView(c))
		size := mat.Norm(v, 2)
		for range 2 {
			for before := range c {
				v.AddScaledVec(v, -mat.Dot(v, m.ColView(before)), m.ColView(before))
			}
		}
		rest := mat.Norm(v, 2)
		if rest <= 1e-12*size {
			v.Zero()
		} else {
			v.ScaleVec(1/rest, v)
		}
		for i := range rows {
			m.Set(i, c, v.AtVec(i))
		}
	}
}

// ritz returns the eigenvectors u of image^T image, as columns, with their eigenvalues, the largest first: with image = x v
// for orthonormal v, the best directions within the space of v are v u.
func ritz(image *mat.Dense) (u *mat.Dense, values []float64) {
	_, k := image.Dims()
	var product mat.Dense
	product.Mul(image.T(), image)
	symmetric := mat.NewSymDense(k, nil)
	for i := range k {
		for j := i; j < k; j++ {
			symmetric.SetSym(i, j, product.At(i, j))
		}
	}
	var eigen mat.EigenSym
	if !eigen.Factorize(symmetric, true) {
		panic("inspect: a symmetric matrix of finite numbers has no eigenvectors")
	}
	var vectors mat.Dense
	eigen.VectorsTo(&vectors)
	u, values = mat.NewDense(k, k, nil), make([]float64, k)
	for c, value := range eigen.Values(nil) { // the smallest first
		values[k-1-c] = max(value, 0)
		u.SetCol(k-1-c, mat.Col(nil, c, &vectors))
	}
	return u, values
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
