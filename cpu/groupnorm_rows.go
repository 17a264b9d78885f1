package cpu

import "trainer/nn/device"

// rowNorm is the plan for images of one row and one group: layer normalisation (Ba, Kiros and Hinton, "Layer
// Normalization", 2016). It takes a few rows at a time, which stay in the first-level cache, and of each
//
//	y = gamma*(r*x - mean*r) + beta
//	dx = r*u - x r^2/c sum u*xhat - (r/c sum u - mean r^2/c sum u*xhat)        sum u*xhat = r (sum u*x - mean sum u)
//
// with u = gamma*dy.
type rowNorm struct {
	normalization
	ones, zeros []float32 // [c]
	rows        []rowNormWorker
}

// rowNormWorker is the memory of one worker, for perTask rows.
type rowNormWorker struct {
	sum, sumX []float64
	a, b, e   []float32 // coefficients of a row
	xhat      []float32
}

func (d *Device) newRowNorm(s device.GroupNormSpec) *rowNorm {
	p := &rowNorm{normalization: d.newNormalization(s)}
	p.ones, p.zeros = aligned[float32](s.C), aligned[float32](s.C)
	for j := range p.ones {
		p.ones[j] = 1
	}
	for range d.pool.Workers() {
		n := p.perTask
		p.rows = append(p.rows, rowNormWorker{
			make([]float64, n), make([]float64, n), aligned[float32](n), aligned[float32](n), aligned[float32](n), aligned[float32](n * s.C),
		})
	}
	return p
}

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
	p.d.vector.RowProducts(w.sum[:n], w.sumX[:n], x, x, p.ones)
	for k := range n {
		p.setMoments(from+k, w.sum[k], w.sumX[k], p.c)
	}
	p.standardize(w, p.y[from*p.c:to*p.c], from, to, p.gamma, p.beta)
}

// standardize computes gamma*xhat + beta of rows [from, to).
func (p *rowNorm) standardize(w rowNormWorker, y []float32, from, to int, gamma, beta []float32) {
	n := to - from
	for k, r := range p.r[from:to] {
		w.a[k], w.e[k] = float32(r), float32(-p.mean[from+k]*r)
	}
	p.d.vector.AffineRows(y, p.x[from*p.c:to*p.c], w.a[:n], w.e[:n], gamma, beta)
}

// rowNormBackward is the loop over groups of rows for dx and the sums for dbeta and dgamma.
type rowNormBackward rowNorm

func (t *rowNormBackward) Do(i, worker int) {
	p := (*rowNorm)(t)
	dbeta, dgamma := p.workerSums(worker)
	end := min((i+1)*p.perSum, p.batch)
	for from := i * p.perSum; from < end; from += p.perTask {
		to, w := min(from+p.perTask, end), p.rows[worker]
		if p.dbeta != nil || p.dgamma != nil {
			xhat := w.xhat[:(to-from)*p.c]
			p.standardize(w, xhat, from, to, p.ones, p.zeros)
			p.d.vector.AddProducts(dbeta, dgamma, p.dy[from*p.c:to*p.c], xhat)
		}
		if p.dx != nil {
			p.gradient(w, from, to)
		}
	}
	sum, product := p.sumsOf(i)
	copy(sum, p.fold(dbeta))
	copy(product, p.fold(dgamma))
}

// gradient computes dx of rows [from, to).
func (p *rowNorm) gradient(w rowNormWorker, from, to int) {
	n, dx, dy, x := to-from, p.dx[from*p.c:to*p.c], p.dy[from*p.c:to*p.c], p.x[from*p.c:to*p.c]
	p.d.vector.RowProducts(w.sum[:n], w.sumX[:n], dy, x, p.gamma)
	for k := range n {
		mean, r := p.mean[from+k], p.r[from+k]
		b := -r * r / float64(p.c) * r * (w.sumX[k] - mean*w.sum[k])
		w.a[k], w.b[k], w.e[k] = float32(r), float32(b), float32(-r/float64(p.c)*w.sum[k]-b*mean)
	}
	p.d.vector.CombineRows(dx, dy, x, w.a[:n], w.b[:n], w.e[:n], p.gamma)
}
