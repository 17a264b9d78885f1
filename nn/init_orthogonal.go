package nn

import (
	"fmt"

	"gonum.org/v1/gonum/mat"

	"trainer/nn/setting"
)

// Orthogonal gives the weight, seen as a matrix with the first dimension as rows and all
// others as columns, orthonormal rows or columns, whichever are fewer: it keeps the lengths
// of vectors (Saxe, McClelland and Ganguli, "Exact Solutions to the Nonlinear Dynamics of
// Learning in Deep Linear Neural Networks", 2014).
//
// The matrix is the Q of A = Q R for a tall matrix A of normal numbers. R's diagonal is
// made positive, which makes Q unique and every orthogonal matrix as likely as any other.
type Orthogonal struct {
	Gain float64 // factor by which the matrix is multiplied
}

func orthogonalKind() InitializerKind {
	return InitializerKind{Name: "orthogonal", Doc: "a random orthogonal matrix (Saxe et al. 2013)", New: func() Initializer { return Orthogonal{} }}
}

// Settings declares the keys of recipes.
func (i *Orthogonal) Settings(s *setting.List) {
	s.Float64(&i.Gain, "gain", 1, setting.Positive, "factor")
}

// Fill draws the matrix.
func (i Orthogonal) Fill(dst []float32, c InitContext) error {
	if len(c.Shape) < 2 {
		return fmt.Errorf("orthogonal initialisation of %v: needs at least two dimensions", c.Shape)
	}
	setting.Complete(&i)
	rows := c.Shape[0]
	cols := len(dst) / rows
	tall, few := max(rows, cols), min(rows, cols)
	normal := make([]float32, len(dst))
	c.Normal(normal, 1)
	a := mat.NewDense(tall, few, nil)
	for r := range tall {
		for k := range few {
			a.Set(r, k, float64(normal[r*few+k]))
		}
	}
	var qr mat.QR
	qr.Factorize(a)
	var q, r mat.Dense
	qr.QTo(&q)
	qr.RTo(&r)
	for row := range rows {
		for col := range cols {
			t, f := row, col
			if rows < cols {
				t, f = col, row
			}
			v := i.Gain * q.At(t, f)
			if r.At(f, f) < 0 {
				v = -v
			}
			dst[row*cols+col] = float32(v)
		}
	}
	return nil
}
