package cpu

import "trainer/nn/device"

// avgPool is the plan of average pooling. With m the number of elements of the window inside the padded image, or
// with AvgPoolExcluding the number of those inside the image:
//
//	y = 1/m sum over the window       dx[each of the window] += dy/m
//
// With ReLU after it, only dy where y > 0 counts.
type avgPool struct {
	pool2D
	share [][]float32 // one per worker, [c]: dy/m of one window, or a part of a long sum
}

func newAvgPool(g pool2D) *avgPool {
	p := &avgPool{pool2D: g, share: make([][]float32, g.d.pool.Workers())}
	for i := range p.share {
		p.share[i] = make([]float32, g.spec.C)
	}
	return p
}

func (p *avgPool) Forward(y, x *device.Tensor) {
	p.d.pool.Run(p.takeForward(y, x), (*avgPoolForward)(p))
}

func (p *avgPool) Backward(dx, dy, y, x *device.Tensor) {
	tasks := p.takeBackward(dx, dy, y, x)
	if p.disjoint {
		p.d.pool.Run(tasks, (*avgPoolSpread)(p))
		return
	}
	p.d.pool.Run(tasks, (*avgPoolAdd)(p))
}

// weight returns 1/m of window (i, j).
func (p *avgPool) weight(i, j int, w poolWindow) float32 {
	switch {
	case p.spec.Mode == device.AvgPoolExcluding:
		return 1 / float32(w.rows*w.columns)
	case p.spec.Ceil:
		return 1 / float32(p.down.InsidePadded(i)*p.along.InsidePadded(j))
	}
	return 1 / float32(p.spec.KH*p.spec.KW)
}

// add adds the elements of a window of image n to y, row by row. block is scratch: see addManyRows.
func (p *avgPool) add(y []float32, n int, w poolWindow, block []float32) {
	runs, pixels, step := p.run(w)
	for a := range w.rows {
		for b := range runs {
			at := p.pixel(n, w.y+a*p.dilationH, w.x+b*step)
			p.d.addManyRows(y, p.x[at:at+pixels*p.spec.C], block, p.spec.KH*p.spec.KW)
		}
	}
}

// avgPoolForward is the loop over groups of rows of outputs.
type avgPoolForward avgPool

func (t *avgPoolForward) Do(task, worker int) {
	p := (*avgPool)(t)
	c, block := p.spec.C, p.share[worker]
	for r := task * p.rows; r < min((task+1)*p.rows, p.n*p.outH); r++ {
		for j := 0; j < p.outW; j++ {
			w := p.window(r%p.outH, j)
			y := p.y[p.output(r, j):][:c]
			clear(y)
			p.add(y, r/p.outH, w, block)
			p.d.vector.Scaled(y, y, p.weight(r%p.outH, j, w))
			if p.relu {
				p.d.vector.ReLU.Forward(y, y, 0)
			}
		}
	}
}

// shareOf returns dy/m of window (r, j); r counts the rows of all images.
func (p *avgPool) shareOf(r, j, worker int, w poolWindow) []float32 {
	share := p.share[worker]
	at := p.output(r, j)
	p.d.vector.Scaled(share, p.dy[at:][:len(share)], p.weight(r%p.outH, j, w))
	if p.relu {
		p.d.vector.ReLU.Backward(share, share, p.y[at:][:len(share)], 0)
	}
	return share
}

// avgPoolSpread is Backward for disjoint windows, over groups of rows of windows.
type avgPoolSpread avgPool

func (t *avgPoolSpread) Do(task, worker int) {
	p := (*avgPool)(t)
	s := p.spec
	for r := task * p.rows; r < min((task+1)*p.rows, p.n*p.outH); r++ {
		n := r / p.outH
		from, to := p.covered(r % p.outH)
		if s.StrideH != s.KH || s.StrideW*p.outW != s.W || s.StrideW != s.KW || to-from != s.KH {
			clear(p.dx[p.pixel(n, from, 0):p.pixel(n, to, 0)])
		}
		for j := 0; j < p.outW; j++ {
			w := p.window(r%p.outH, j)
			share := p.shareOf(r, j, worker, w)
			for a := range w.rows {
				dx := p.dx[p.pixel(n, w.y+a, w.x):p.pixel(n, w.y+a, w.x+w.columns)]
				for ; len(dx) > 0; dx = dx[s.C:] {
					copy(dx, share)
				}
			}
		}
	}
}

// avgPoolAdd is Backward for overlapping windows, over images.
type avgPoolAdd avgPool

func (t *avgPoolAdd) Do(n, worker int) {
	p := (*avgPool)(t)
	clear(p.dx[p.pixel(n, 0, 0):p.pixel(n+1, 0, 0)])
	for i := 0; i < p.outH; i++ {
		for j := 0; j < p.outW; j++ {
			w := p.window(i, j)
			share := p.shareOf(n*p.outH+i, j, worker, w)
			for a := range w.rows {
				for b := range w.columns {
					p.d.vector.AddRows(p.dx[p.pixel(n, w.y+a*p.dilationH, w.x+b*p.dilationW):][:p.spec.C], share)
				}
			}
		}
	}
}
