package cpu

import (
	"math"

	"trainer/nn/device"
)

// NewGroupNorm returns a plan for group normalisation of x [batch, rows, c] (Wu and He, "Group Normalization", 2018). For
// each group of columns of an image, with m elements,
//
//	mean = 1/m sum x      var = 1/m sum (x-mean)^2      r = 1 / sqrt(var+epsilon)
//	xhat = r (x-mean)     y = gamma*xhat + beta
//
// The backward pass, with u = gamma*dy:
//
//	dbeta = sum dy        dgamma = sum dy*xhat        (over all images and rows)
//	dx = r (u - 1/m sum u - xhat 1/m sum u*xhat)
//
// Sums are taken in float64 in one pass, as in batch normalisation. A task takes its images one by one, so that an image
// is read a second time from the cache.
func (d *Device) NewGroupNorm(s device.GroupNormSpec) (_ device.GroupNorm, err error) {
	defer returnShortage(&err)
	s.Check()
	if err := d.float32Only("groupnorm", s.DType); err != nil {
		return nil, err
	}
	if s.Rows == 1 && s.Groups == 1 {
		return d.newRowNorm(s), nil
	}
	return d.newGroupNorm(s), nil
}

// normalization is what the plans for images (groupNorm) and for single rows (rowNorm) share. A row is an image of its own
// there.
type normalization struct {
	d    *Device
	spec device.GroupNormSpec
	columns
	perTask int       // images per task of the forward pass
	perSum  int       // images per task of the backward pass, which leaves its sums for dbeta and dgamma in partial
	partial []float64 // [tasks, 2, c]
	sums    [][]float64
	mean, r []float64 // of each group in the last Forward
	forward int       // batch of the last Forward

	// Operands of the current call.
	batch         int
	y, x, dx, dy  []float32
	gamma, beta   []float32
	dgamma, dbeta []float32
}

func (d *Device) newNormalization(s device.GroupNormSpec) normalization {
	n := s.Rows * s.C
	p := normalization{
		d: d, spec: s, columns: newColumns(s.C),
		perTask: max(1, chunk/n), perSum: max(1, elementsPerSum/n, divideUp(minRowsOfSum, s.Rows)),
		mean: zeroed[float64](s.Batch * s.Groups), r: zeroed[float64](s.Batch * s.Groups),
	}
	if s.Rows > 1 {
		p.reps = min(p.reps, s.Rows)
		p.width = p.reps * s.C
	}
	if !s.NoBackward {
		p.partial = zeroed[float64](divideUp(s.Batch, p.perSum) * 2 * s.C)
	}
	p.sums = make([][]float64, d.pool.Workers())
	for i := range p.sums {
		p.sums[i] = make([]float64, 2*p.width)
	}
	return p
}

// takeForward checks and keeps the operands of Forward, and returns the number of tasks.
func (p *normalization) takeForward(y, x, gamma, beta *device.Tensor) (tasks int) {
	p.batch = p.spec.CheckForward(y, x, gamma, beta)
	p.forward = p.batch
	p.y, p.x, p.gamma, p.beta = floats(y), floats(x), floats(gamma), floats(beta)
	return divideUp(p.batch, p.perTask)
}

// takeBackward checks and keeps the operands of Backward, and returns the number of tasks.
func (p *normalization) takeBackward(dx, dgamma, dbeta, dy, x, gamma *device.Tensor) (tasks int) {
	p.spec.CheckBackward(dx, dgamma, dbeta, dy, x, gamma, p.forward)
	p.batch = p.forward
	p.dx, p.dy, p.x, p.gamma = optionalFloats(dx), floats(dy), floats(x), floats(gamma)
	p.dgamma, p.dbeta = optionalFloats(dgamma), optionalFloats(dbeta)
	return divideUp(p.batch, p.perSum)
}

// setMoments computes mean and r of a group from the sums of its m elements and of their squares.
func (p *normalization) setMoments(group int, sum, squares float64, m int) (mean, r float64) {
	mean = sum / float64(m)
	r = 1 / math.Sqrt(max(squares/float64(m)-mean*mean, 0)+float64(p.spec.Epsilon))
	p.mean[group], p.r[group] = mean, r
	return mean, r
}

// workerSums returns the worker's two sums of width numbers each, set to 0.
func (p *normalization) workerSums(worker int) (first, second []float64) {
	s := p.sums[worker]
	clear(s)
	return s[:p.width], s[p.width:]
}

// fold adds the repetitions of a sum and returns the sums of the columns, in place.
func (p *normalization) fold(sum []float64) []float64 {
	folded := sum[:p.c]
	for at := p.c; at < p.width; at += p.c {
		for j, v := range sum[at : at+p.c] {
			folded[j] += v
		}
	}
	return folded
}

// sumsOf returns the sums that a task of the backward pass leaves for dbeta and dgamma.
func (p *normalization) sumsOf(task int) (dbeta, dgamma []float64) {
	s := p.partial[task*2*p.c:][:2*p.c]
	return s[:p.c], s[p.c:]
}

// normParameters is the loop over groups of columns that adds the sums of count tasks for dbeta and dgamma.
type normParameters normalization

func (p *normParameters) Do(i, _ int) {
	stride, count := 2*p.c, divideUp(p.batch, p.perSum)
	for j := i * columnsPerMerge; j < min((i+1)*columnsPerMerge, p.c); j++ {
		var dbeta, dgamma float64
		for at := j; at < count*stride; at += stride {
			dbeta += p.partial[at]
			dgamma += p.partial[at+p.c]
		}
		if p.dbeta != nil {
			p.dbeta[j] = float32(dbeta)
		}
		if p.dgamma != nil {
			p.dgamma[j] = float32(dgamma)
		}
	}
}

// groupNorm is the plan for images. It takes sums column by column, and adds those of each group.
type groupNorm struct {
	normalization
	coefficients []coefficients // of each worker
}

// coefficients are y = a*x + e, or dx = a*dy + b*x + e, of an image, [width] each.
type coefficients struct{ a, b, e []float32 }

func (d *Device) newGroupNorm(s device.GroupNormSpec) *groupNorm {
	p := &groupNorm{normalization: d.newNormalization(s)}
	for range d.pool.Workers() {
		p.coefficients = append(p.coefficients, coefficients{aligned[float32](p.width), aligned[float32](p.width), aligned[float32](p.width)})
	}
	return p
}

func (p *groupNorm) Forward(y, x, gamma, beta *device.Tensor) {
	p.d.pool.Run(p.takeForward(y, x, gamma, beta), (*groupNormForward)(p))
}

func (p *groupNorm) Backward(dx, dgamma, dbeta, dy, x, gamma *device.Tensor) {
	p.d.pool.Run(p.takeBackward(dx, dgamma, dbeta, dy, x, gamma), (*groupNormBackward)(p))
	p.d.pool.Run(p.merges(), (*normParameters)(&p.normalization))
}

// image returns the elements [from, to) of an image.
func (p *groupNorm) image(i int) (from, to int) {
	n := p.spec.Rows * p.c
	return i * n, (i + 1) * n
}

// groupNormForward is the loop over groups of images for y.
type groupNormForward groupNorm

func (t *groupNormForward) Do(i, worker int) {
	p := (*groupNorm)(t)
	for image := i * p.perTask; image < min((i+1)*p.perTask, p.batch); image++ {
		from, to := p.image(image)
		sum, squares := p.workerSums(worker)
		p.d.vector.AddMoments(sum, squares, p.x[from:to])
		w := p.coefficients[worker]
		p.setForward(w, image, p.fold(sum), p.fold(squares))
		p.d.vector.Affine(p.y[from:to], p.x[from:to], w.a, w.e)
	}
}

// setForward computes the coefficients of y = a*x + e, with a = gamma*r and e = beta - a*mean, from the sums of the columns.
func (p *groupNorm) setForward(w coefficients, image int, sum, squares []float64) {
	groups := p.spec.Groups
	width := p.c / groups
	for k := range groups {
		from, to := k*width, (k+1)*width
		mean, r := p.setMoments(image*groups+k, total(sum[from:to]), total(squares[from:to]), p.spec.Rows*width)
		for j := from; j < to; j++ {
			a := float64(p.gamma[j]) * r
			w.a[j], w.e[j] = float32(a), float32(float64(p.beta[j])-a*mean)
		}
	}
	p.tile(w.a[p.c:], w.a[:p.c])
	p.tile(w.e[p.c:], w.e[:p.c])
}

// total returns the sum of a few numbers.
func total(v []float64) (sum float64) {
	for _, x := range v {
		sum += x
	}
	return sum
}

// groupNormBackward is the loop over groups of images for dx and the sums for dbeta and dgamma.
type groupNormBackward groupNorm

func (t *groupNormBackward) Do(i, worker int) {
	p := (*groupNorm)(t)
	dbeta, dgamma := p.sumsOf(i)
	clear(dbeta)
	clear(dgamma)
	for image := i * p.perSum; image < min((i+1)*p.perSum, p.batch); image++ {
		from, to := p.image(image)
		dy, x := p.dy[from:to], p.x[from:to]
		sum, sumX := p.workerSums(worker)
		p.d.vector.AddProducts(sum, sumX, dy, x)
		w := p.coefficients[worker]
		p.setBackward(w, image, p.fold(sum), p.fold(sumX), dbeta, dgamma)
		if p.dx != nil {
			p.d.vector.CombineAffine(p.dx[from:to], dy, x, w.a, w.b, w.e)
		}
	}
}

// setBackward adds to dbeta and dgamma, and computes the coefficients of dx = a*dy + b*x + e, from sum dy and sum dy*x of
// each column:
//
//	sum dy*xhat = r (sum dy*x - mean sum dy)
//	a = gamma*r      b = -r^2/m sum u*xhat      e = -r/m sum u - b*mean
func (p *groupNorm) setBackward(w coefficients, image int, sum, sumX, dbeta, dgamma []float64) {
	groups := p.spec.Groups
	width := p.c / groups
	m := float64(p.spec.Rows * width)
	for k := range groups {
		from, to := k*width, (k+1)*width
		mean, r := p.mean[image*groups+k], p.r[image*groups+k]
		var sumU, sumUX float64 // of u and of u*xhat
		for j := from; j < to; j++ {
			product, gamma := r*(sumX[j]-mean*sum[j]), float64(p.gamma[j])
			dbeta[j] += sum[j]
			dgamma[j] += product
			sumU += gamma * sum[j]
			sumUX += gamma * product
			w.a[j] = float32(gamma * r)
		}
		b := -r * r * sumUX / m
		e := -r*sumU/m - b*mean
		for j := from; j < to; j++ {
			w.b[j], w.e[j] = float32(b), float32(e)
		}
	}
	p.tile(w.a[p.c:], w.a[:p.c])
	p.tile(w.b[p.c:], w.b[:p.c])
	p.tile(w.e[p.c:], w.e[:p.c])
}
