package cpu

import (
	"trainer/cpu/internal/vector"
	"trainer/nn/device"
)

// rowNorm is the plan for images of one row and one group: layer normalisation (Ba, Kiros and Hinton, "Layer
// Normalization", 2016). It takes a few rows at a time, which stay in the first-level cache, and of each
//
//	y = gamma*(r*x - mean*r) + beta
//	dx = r*u - x r^2/c sum u*xhat - (r/c sum u - mean r^2/c sum u*xhat)        sum u*xhat = r (sum u*x - mean sum u)
//
// with u = gamma*dy.
type rowNorm struct {
	normalization
	a, e []float32 // xhat = a*x + e of each row in the last Forward
	rows []rowNormWorker
}

// rowNormWorker is the memory of one worker, for perTask rows or a few more.
type rowNormWorker struct {
	sum, sumX []float64
	mean, r   []float64
	a, b, e   []float32 // coefficients of a row
}

func (d *Device) newRowNorm(s device.GroupNormSpec) *rowNorm {
	p := &rowNorm{normalization: d.newNormalization(s)}
	p.a, p.e = aligned[float32](s.Batch), aligned[float32](s.Batch)
	for range d.pool.Workers() {
		n := together(p.perTask)
		p.rows = append(p.rows, rowNormWorker{
			make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n),
			aligned[float32](n), aligned[float32](n), aligned[float32](n),
		})
	}
	return p
}

// together returns the number of rows that are computed with n rows. What the rest of them holds is computed in vain.
func together(n int) int { return divideUp(n, vector.RowsTogether) * vector.RowsTogether }

func (p *rowNorm) Forward(y, x, gamma, beta *device.Tensor) {
	p.d.pool.Run(p.takeForward(y, x, gamma, beta), (*rowNormForward)(p))
}

func (p *rowNorm) Backward(dx, dgamma, dbeta, dy, x, gamma *device.Tensor) {
	p.d.pool.Run(p.takeBackward(dx, dgamma, dbeta, dy, x, gamma), (*rowNormBackward)(p))
	p.d.pool.Run(p.merges(), (*normParameters)(&p.normalization))
}

// rowNormForward is the loop over groups of rows for y.
type rowNormForward rowNorm

func (t *rowNormForward) Do(i, worker int) {
	p, w := (*rowNorm)(t), t.rows[worker]
	from, to := i*p.perTask, min((i+1)*p.perTask, p.batch)
	n, x := to-from, p.x[from*p.c:to*p.c]
	p.d.vector.RowSums(w.sum[:n], w.sumX[:n], x, p.c)
	all := together(n)
	p.d.vector.RowMoments(w.mean[:all], w.r[:all], w.a[:all], w.e[:all], w.sum[:all], w.sumX[:all], p.c, float64(p.spec.Epsilon))
	copy(p.mean[from:to], w.mean)
	copy(p.r[from:to], w.r)
	copy(p.a[from:to], w.a)
	copy(p.e[from:to], w.e)
	p.d.vector.AffineRows(p.y[from*p.c:to*p.c], x, w.a[:n], w.e[:n], p.gamma, p.beta)
}

// rowNormBackward is the loop over groups of rows for dx and the sums for dbeta and dgamma.
type rowNormBackward rowNorm

func (t *rowNormBackward) Do(i, worker int) {
	p := (*rowNorm)(t)
	dbeta, dgamma := p.sumsOf(i)
	clear(dbeta)
	clear(dgamma)
	end := min((i+1)*p.perSum, p.batch)
	for from := i * p.perSum; from < end; from += p.perTask {
		to, w := min(from+p.perTask, end), p.rows[worker]
		if p.dbeta != nil || p.dgamma != nil {
			p.d.vector.AddRowProducts(dbeta, dgamma, p.dy[from*p.c:to*p.c], p.x[from*p.c:to*p.c], p.a[from:to], p.e[from:to])
		}
		if p.dx != nil {
			p.gradient(w, from, to)
		}
	}
}

// gradient computes dx of rows [from, to).
func (p *rowNorm) gradient(w rowNormWorker, from, to int) {
	n, dx, dy, x := to-from, p.dx[from*p.c:to*p.c], p.dy[from*p.c:to*p.c], p.x[from*p.c:to*p.c]
	p.d.vector.RowProducts(w.sum[:n], w.sumX[:n], dy, x, p.gamma)
	all := together(n)
	copy(w.mean, p.mean[from:to])
	copy(w.r, p.r[from:to])
	p.d.vector.RowGradients(w.a[:all], w.b[:all], w.e[:all], w.mean[:all], w.r[:all], w.sum[:all], w.sumX[:all], p.c)
	p.d.vector.CombineRows(dx, dy, x, w.a[:n], w.b[:n], w.e[:n], p.gamma)
}
