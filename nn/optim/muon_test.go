package optim

import (
	"errors"
	"math"
	"strings"
	"testing"

	"trainer/nn"
)

// matrix is a matrix as a list of rows.
type matrix [][]float64

func newMatrix(rows, columns int) matrix {
	m := make(matrix, rows)
	for i := range m {
		m[i] = make([]float64, columns)
	}
	return m
}

func (m matrix) transposed() matrix {
	t := newMatrix(len(m[0]), len(m))
	for i, row := range m {
		for j, x := range row {
			t[j][i] = x
		}
	}
	return t
}

func (m matrix) times(o matrix) matrix {
	p := newMatrix(len(m), len(o[0]))
	for i := range p {
		for j := range p[i] {
			for k, x := range m[i] {
				p[i][j] += x * o[k][j]
			}
		}
	}
	return p
}

// plus returns a*m + b*o.
func (m matrix) plus(a float64, o matrix, b float64) matrix {
	s := newMatrix(len(m), len(m[0]))
	for i, row := range m {
		for j, x := range row {
			s[i][j] = a*x + b*o[i][j]
		}
	}
	return s
}

func (m matrix) norm() float64 {
	sum := 0.0
	for _, row := range m {
		sum += norm(row) * norm(row)
	}
	return math.Sqrt(sum)
}

func norm(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v * v
	}
	return math.Sqrt(sum)
}

// newtonSchulz returns the iteration's result for x/|x|, and a bound, in the Frobenius norm, on the error of the same
// computation in float32. Within an iteration the rounding error is at most gamma = (inner dimensions + a few
// operations) * unit, relative to a|X| + b|X|^3 + c|X|^5. An error of X itself grows by at most 4: the derivative of an
// odd matrix polynomial p is bounded, on singular values in [0, 1.2], by max(|p'|, p(x)/x), which is 3.9 at 1.2.
func newtonSchulz(x matrix, steps int, epsilon, relative float64) (matrix, float64) {
	if len(x) > len(x[0]) {
		y, bound := newtonSchulz(x.transposed(), steps, epsilon, relative)
		return y.transposed(), bound
	}
	const a, b, c = 3.4445, -4.7750, 2.0315
	n := x.norm()
	x = x.plus(1/(n+epsilon), x, 0)
	bound := relative + unit*float64(len(x)*len(x[0])+4)
	for range steps {
		gram := x.times(x.transposed())
		n := x.norm()
		gamma := unit * float64(len(x[0])+2*len(x)+8)
		x = x.plus(a, gram.plus(b, gram.times(gram), c).times(x), 1)
		bound = 4*bound + gamma*(a*n-b*n*n*n+c*n*n*n*n*n)
	}
	return x, bound
}

// muon is airbench94_muon's rule. A bound holds for all of a parameter's weights together.
func muon(r Muon) func(shape []int) naive {
	return func(shape []int) naive {
		var v []float64
		return func(w, bound, g []float64, s naiveStep) {
			rows := shape[0]
			columns := len(w) / rows
			if v == nil {
				v = make([]float64, len(w))
			}
			d := newMatrix(rows, columns)
			error := 0.0 // of d, relative to the sum of the absolute values of its terms
			for i := range w {
				g, eg := s.gradient(w[i], bound[i], g[i])
				v[i] = r.Momentum*v[i] + g
				u := v[i]
				if r.Nesterov {
					u = g + r.Momentum*v[i]
				}
				d[i/columns][i%columns] = u
				// v is a sum of at most 10 gradients of at most 1, with weights that sum to 1/(1-momentum).
				error += math.Pow(2/(1-r.Momentum)*(eg+10*unit), 2)
			}
			if r.Normalize {
				n := shape[0]
				if len(shape) == 2 {
					n = shape[1]
				}
				factor := math.Sqrt(float64(n)) / (norm(w) + 1e-7)
				old := norm(bound)
				for i := range w {
					w[i] *= factor
					bound[i] = factor*(bound[i]+old) + unit*float64(len(w)+4)*math.Abs(w[i])
				}
			}
			// The norm of d/|d| is 1, so the error of d counts relative to its norm, and a second time as the error of
			// the norm.
			x, e := newtonSchulz(d, r.Steps, 1e-7, 2*math.Sqrt(error)/d.norm())
			for i := range w {
				w[i], bound[i] = s.descend(w[i], bound[i], x[i/columns][i%columns], e)
			}
		}
	}
}

func TestMuon(t *testing.T) {
	for name, cfg := range decays(Config{Rule: Muon{Momentum: 0.6, Nesterov: true}, LR: 0.05}) {
		t.Run(name, func(t *testing.T) {
			follow(t, composedRig(t), cfg, muon(Muon{Momentum: 0.6, Nesterov: true, Steps: 3}))
		})
	}
	for name, r := range map[string]Muon{
		"plain": {Steps: 1}, "momentum": {Momentum: 0.5, Steps: 2}, "five iterations": {Momentum: 0.6, Steps: 5},
		"normalized": {Momentum: 0.6, Nesterov: true, Normalize: true, Steps: 3},
	} {
		t.Run(name, func(t *testing.T) { follow(t, composedRig(t), Config{Rule: r, LR: 0.05}, muon(r)) })
	}
	t.Run("skipped steps", func(t *testing.T) { skips(t, Muon{Momentum: 0.6, Nesterov: true, Normalize: true}) })
}

// TestMuonStepsAreOrthogonal checks the step after 10 iterations: the singular values of a 3 x 4 and a 7 x 3 matrix are
// between 0.65 and 1.25, so the eigenvalues of the smaller product with the transpose, and with them its diagonal, are
// between the squares of these numbers.
func TestMuonStepsAreOrthogonal(t *testing.T) {
	r := composedRig(t)
	o := must(New(r.dev, r.params, nil, Config{Rule: Muon{Steps: 10}, LR: 1}, nil, 1, 1))(t)
	before := r.bits(o)
	for _, p := range r.params {
		r.upload(p.Grad, syntheticGradient(p, 0))
	}
	if err := o.Step(0); err != nil {
		t.Fatal(err)
	}
	for _, p := range r.params {
		rows := p.Value.Dim(0)
		x := newMatrix(rows, p.Value.Len()/rows)
		for i, w := range r.download(p.Value) {
			x[i/len(x[0])][i%len(x[0])] = float64(before[p.Name][i] - w)
		}
		if len(x) > len(x[0]) {
			x = x.transposed()
		}
		for i, row := range x.times(x.transposed()) {
			if !(row[i] > 0.65*0.65 && row[i] < 1.25*1.25) {
				t.Errorf("%s: row %d of the step has the norm %v", p.Name, i, math.Sqrt(row[i]))
			}
		}
	}
}

func TestMuonRefusesVectors(t *testing.T) {
	r := newRig(t)
	_, err := New(r.dev, r.params, nil, Config{Rule: Muon{}, LR: 1}, nil, 1, 1)
	var wrong *ConfigError
	if !errors.As(err, &wrong) || !strings.Contains(err.Error(), "muon: conv1.bias has the shape [3], need a matrix or filters") {
		t.Errorf("error %v, want a ConfigError that names conv1.bias", err)
	}
	cfg := Config{Rule: SGD{}, LR: 1, Groups: []Group{{Role: nn.Weight, Rule: Muon{Momentum: 0.6, Nesterov: true}, LR: 0.24}}}
	if _, err := New(r.dev, r.params, nil, cfg, nil, 1, 1); err != nil {
		t.Error(err)
	}
}
