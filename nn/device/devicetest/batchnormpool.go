package devicetest

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"trainer/nn"
	"trainer/nn/device"
	"trainer/nn/device/reference"
)

// fusedPoolBatchNorm returns the device as a device.FusedPoolBatchNorm, or skips the test.
func fusedPoolBatchNorm(t *testing.T, dev device.Device) device.FusedPoolBatchNorm {
	t.Helper()
	fused, ok := dev.(device.FusedPoolBatchNorm)
	if !ok {
		t.Skip("the device has no FusedPoolBatchNorm")
	}
	return fused
}

// tilings are max poolings whose windows lie side by side, some of which leave a row or a column of pixels over.
func tilings(opt Options) []poolCase {
	var cases []poolCase
	for _, c := range []struct{ most, n, h, w, c, k int }{
		{3, 3, 8, 6, 24, 2}, {5, 4, 7, 9, 32, 2}, {2, 2, 3, 5, 8, 2}, {40, 37, 9, 8, 16, 2}, {3, 3, 6, 4, 5, 2},
		{9, 7, 3, 3, 40, 3}, {3, 3, 6, 9, 16, 3}, {400, 370, 3, 3, 8, 3}, {2, 2, 7, 6, 8, 3}, {2, 2, 6, 3, 10, 3},
	} {
		s := device.Pool2DSpec{Mode: device.MaxPool, N: c.most, H: c.h, W: c.w, C: c.c, KH: c.k, KW: c.k, StrideH: c.k, StrideW: c.k, DType: opt.storage}
		cases = append(cases, poolCase{fmt.Sprintf("%dx%d-of-%dx%dx%dx%d", c.k, c.k, c.n, c.h, c.w, c.c), s, c.n})
	}
	return cases
}

// testPoolBatchNorm checks y = f(batchnorm(maxpool(x))) and its gradients.
func testPoolBatchNorm(t *testing.T, dev device.Device, opt Options) {
	fused := fusedPoolBatchNorm(t, dev)
	activated, ok := dev.(device.FusedBatchNorm)
	if !ok {
		t.Skip("the device has no FusedBatchNorm")
	}
	for _, f := range []*device.Function{nn.GELU{}.Activation().Function, nn.ReLU{}.Activation().Function} {
		for _, c := range tilings(opt) {
			t.Run(f.Name+"/"+c.name, func(t *testing.T) {
				x := opt.round(newSource("pool batchnorm/"+c.name).between(c.n*c.spec.H*c.spec.W*c.spec.C, -1, 1.5))
				d := newFusedBatchNormData(opt, f, c.name, []int{c.n, c.spec.OutH(), c.spec.OutW(), c.spec.C}, narrowed(reference.Pool2DForward(c.spec, c.n, reference.Widen(x)).Value))
				d.spec.Rows = c.spec.N * c.spec.OutH() * c.spec.OutW()
				pool := plan(dev.NewPool2D(c.spec))(t)
				norm, err := activated.NewBatchNormActivation(d.spec, f)
				if errors.Is(err, device.ErrNotSupported) {
					t.Skipf("the device has no fused batch normalisation with %v", f)
				}
				joined, err := fused.NewPoolBatchNorm(pool, plan(norm, err)(t))
				if errors.Is(err, device.ErrNotSupported) {
					t.Skip("the device doesn't join these plans")
				}
				d.runPooled(t, dev, opt, plan(joined, err)(t), f, c, x)
			})
		}
	}
}

// runPooled runs the joined plans twice over, with a batch normalisation whose x is the pooling of xData.
func (d batchNormData) runPooled(t *testing.T, dev device.Device, opt Options, p device.PoolBatchNorm, f *device.Function, c poolCase, xData []float32) {
	act, s := device.ActivationSpec{Function: f, DType: opt.storage}, c.spec
	r := newRig(t, dev, opt)
	x, dy := r.input("x", xData, c.n, s.H, s.W, s.C), r.input("dy", d.dy, d.shape...)
	gamma, beta := d.parameters(r)
	mean, variance := r.inoutFloat32("runningMean", d.runningMean, s.C), r.inoutFloat32("runningVar", d.runningVar, s.C)
	pooled, y, dx := r.output("pooled", d.shape...), r.output("y", d.shape...), r.output("dx", c.n, s.H, s.W, s.C)
	dgamma, dbeta, again := r.outputFloat32("dgamma", s.C), r.outputFloat32("dbeta", s.C), r.output("dx without the parameters'", c.n, s.H, s.W, s.C)
	r.run(func() {
		p.Forward(y, pooled, x, gamma, beta, mean, variance)
		p.Backward(dx, dgamma, dbeta, dy, pooled, gamma, beta)
		p.Backward(again, nil, nil, dy, pooled, gamma, beta)
	})
	ref := d.reference()
	pre := ref.Forward(reference.Widen(d.x), reference.Widen(d.gamma), reference.Widen(d.beta))
	r.check(pooled, reference.Pool2DForward(s, c.n, reference.Widen(xData)))
	r.check(y, through(act, pre))
	wantMean, wantVar := ref.Running(reference.Widen(d.x), reference.Widen(d.runningMean), reference.Widen(d.runningVar))
	r.check(mean, wantMean)
	r.check(variance, wantVar)
	inner, wantGamma, wantBeta := d.fusedGradients(act, pre, d.dy)
	wantX := reference.Pool2DBackward(s, c.n, inner.Value, reference.Widen(xData))
	wantX.Ulps, wantX.Magnitude = inner.Ulps, reference.Pool2DBackward(s, c.n, inner.Magnitude, reference.Widen(xData)).Value
	r.check(dx, wantX)
	r.check(again, wantX)
	r.check(dgamma, wantGamma)
	r.check(dbeta, wantBeta)
}

// testBatchNormPool checks y = maxpool(f(batchnorm(x))) and its gradients, with an f that has few equal values.
func testBatchNormPool(t *testing.T, dev device.Device, opt Options) {
	fused := fusedPoolBatchNorm(t, dev)
	f := nn.GELU{}.Activation().Function
	for _, c := range tilings(opt) {
		t.Run(c.name, func(t *testing.T) {
			d := newFusedBatchNormData(opt, f, c.name, []int{c.n, c.spec.H, c.spec.W, c.spec.C}, nil)
			d.spec.Rows = c.spec.N * c.spec.H * c.spec.W
			norm, err := fused.NewBatchNormPool(d.spec, f, c.spec)
			if errors.Is(err, device.ErrNotSupported) {
				t.Skip("the device doesn't fuse these")
			}
			d.runBeforePool(t, dev, opt, plan(norm, err)(t), f, c)
		})
	}
}

func (d batchNormData) runBeforePool(t *testing.T, dev device.Device, opt Options, bn device.BatchNorm, f *device.Function, c poolCase) {
	act, s, ref := device.ActivationSpec{Function: f, DType: opt.storage}, c.spec, d.reference()
	pre := ref.Forward(reference.Widen(d.x), reference.Widen(d.gamma), reference.Widen(d.beta))
	activated := through(act, pre)
	pooledShape := []int{c.n, s.OutH(), s.OutW(), s.C}
	dyData := opt.round(newSource("batchnorm pool/" + c.name).values(c.n * s.OutH() * s.OutW() * s.C))
	clearTies(t, opt, dyData, activated, s, c.n)

	r := newRig(t, dev, opt)
	x, dy := r.input("x", d.x, d.shape...), r.input("dy", dyData, pooledShape...)
	gamma, beta := d.parameters(r)
	mean, variance := r.inoutFloat32("runningMean", d.runningMean, s.C), r.inoutFloat32("runningVar", d.runningVar, s.C)
	fixedMean, fixedVar := r.inputFloat32("fixed runningMean", d.runningMean, s.C), r.inputFloat32("fixed runningVar", d.runningVar, s.C)
	y, inference, dx := r.output("y", pooledShape...), r.output("inference y", pooledShape...), r.output("dx", d.shape...)
	dgamma, dbeta, again := r.outputFloat32("dgamma", s.C), r.outputFloat32("dbeta", s.C), r.output("dx without the parameters'", d.shape...)
	r.run(func() {
		bn.Forward(y, x, gamma, beta, mean, variance)
		bn.Inference(inference, x, gamma, beta, fixedMean, fixedVar)
		bn.Backward(dx, dgamma, dbeta, dy, x, gamma, beta)
		bn.Backward(again, nil, nil, dy, x, gamma, beta)
	})
	r.check(y, largestOf(s, c.n, activated))
	r.check(inference, largestOf(s, c.n, through(act, ref.Inference(reference.Widen(d.x), reference.Widen(d.gamma), reference.Widen(d.beta), reference.Widen(d.runningMean), reference.Widen(d.runningVar)))))
	wantMean, wantVar := ref.Running(reference.Widen(d.x), reference.Widen(d.runningMean), reference.Widen(d.runningVar))
	r.check(mean, wantMean)
	r.check(variance, wantVar)
	spread := narrowed(reference.Pool2DBackward(s, c.n, reference.Widen(dyData), activated.Value).Value)
	wantX, wantGamma, wantBeta := d.fusedGradients(act, pre, spread)
	r.check(dx, wantX)
	r.check(again, wantX)
	r.check(dgamma, wantGamma)
	r.check(dbeta, wantBeta)
}

// largestOf returns the largest element of each window of v, which is off by as much as the element of the window that is
// off most.
func largestOf(s device.Pool2DSpec, n int, v reference.Sums) reference.Sums {
	y := reference.Pool2DForward(s, n, v.Value)
	y.Ulps, y.Magnitude = v.Ulps, reference.Pool2DForward(s, n, v.Magnitude).Value
	return y
}

// clearTies sets dy to zero for the windows of v in which rounding, also that to the storage type, may decide where the
// maximum is. It fails the test if these are many.
func clearTies(t *testing.T, opt Options, dy []float32, v reference.Sums, s device.Pool2DSpec, n int) {
	t.Helper()
	pooled, cleared := largestOf(s, n, v), 0
	for at := range dy {
		margin := 4 * v.Ulps * reference.Ulp * pooled.Magnitude[at]
		if opt.dtype() != device.Float32 {
			margin += 2 * reference.FormatOf(opt.dtype()).Spacing(math.Abs(pooled.Value[at]))
		}
		c, j, i, image := at%s.C, at/s.C%s.OutW(), at/s.C/s.OutW()%s.OutH(), at/s.C/s.OutW()/s.OutH()
		near := 0
		for k := range s.KH * s.KW {
			if pooled.Value[at]-v.Value[((image*s.H+i*s.KH+k/s.KW)*s.W+j*s.KW+k%s.KW)*s.C+c] <= margin {
				near++
			}
		}
		if near > 1 {
			dy[at] = 0
			cleared++
		}
	}
	if cleared > len(dy)/3+1 {
		t.Fatalf("%d of %d windows have no certain maximum", cleared, len(dy))
	}
}

func poolBatchNormOperation() Operation {
	prepare := func(o *Operands) (p device.PoolBatchNorm, x, pooled *device.Tensor, v []*device.Tensor, err error) {
		fused, ok := o.Device.(device.FusedPoolBatchNorm)
		activated, activates := o.Device.(device.FusedBatchNorm)
		if !ok || !activates {
			return nil, nil, nil, nil, device.ErrNotSupported
		}
		s, n := tilingOperands(o, 31, 2)
		n.Rows = s.N * s.OutH() * s.OutW()
		pool, err := o.Device.NewPool2D(s)
		if err != nil {
			return nil, nil, nil, nil, err
		}
		norm, err := activated.NewBatchNormActivation(n, nn.GELU{}.Activation().Function)
		if err != nil {
			return nil, nil, nil, nil, err
		}
		p, err = fused.NewPoolBatchNorm(pool, norm)
		return p, o.uniform(-1, 3, s.N, s.H, s.W, s.C), o.zeros(s.N, s.OutH(), s.OutW(), s.C), normVectors(o, s.C), err
	}
	return Operation{
		Name: "fused-pool-batchnorm", Constructor: "NewPoolBatchNorm", Group: Elementwise, Types: allFloats, Test: testPoolBatchNorm,
		Calls: func(Size) []Call {
			return []Call{
				{"pool-batchnorm/forward", "Forward", func(o *Operands) (Work, error) {
					p, x, pooled, v, err := prepare(o)
					if err != nil {
						return Work{}, err
					}
					y := o.zeros(pooled.Shape()...)
					return Work{
						Run:     func() { p.Forward(y, pooled, x, v[0], v[1], v[2], v[3]) },
						Results: []*device.Tensor{y, pooled, v[2], v[3]}, Updated: v[2:], Bytes: bytesOf(x, pooled, pooled, y),
					}, nil
				}},
				{"pool-batchnorm/backward", "Backward", func(o *Operands) (Work, error) {
					p, x, pooled, v, err := prepare(o)
					if err != nil {
						return Work{}, err
					}
					dy, dx, dgamma, dbeta := o.uniform(-1, 1, pooled.Shape()...), o.zeros(x.Shape()...), o.zerosFloat32(v[0].Len()), o.zerosFloat32(v[0].Len())
					p.Forward(o.zeros(pooled.Shape()...), pooled, x, v[0], v[1], v[2], v[3])
					return Work{
						Run:     func() { p.Backward(dx, dgamma, dbeta, dy, pooled, v[0], v[1]) },
						Results: []*device.Tensor{dx, dgamma, dbeta}, Bytes: bytesOf(pooled, pooled, dy, dy, dx),
					}, nil
				}},
			}
		},
	}
}

func batchNormPoolOperation() Operation {
	construct := func(o *Operands) (device.BatchNorm, device.Pool2DSpec, error) {
		s, n := tilingOperands(o, 30, 3)
		fused, ok := o.Device.(device.FusedPoolBatchNorm)
		if !ok {
			return nil, s, device.ErrNotSupported
		}
		p, err := fused.NewBatchNormPool(n, nn.GELU{}.Activation().Function, s)
		return p, s, err
	}
	call := func(name, method string, work func(o *Operands, p device.BatchNorm, x, y *device.Tensor, v []*device.Tensor) Work) Call {
		return Call{"batchnorm-pool/" + name, method, func(o *Operands) (Work, error) {
			p, s, err := construct(o)
			if err != nil {
				return Work{}, err
			}
			return work(o, p, o.uniform(-1, 3, s.N, s.H, s.W, s.C), o.uniform(-1, 1, s.N, s.OutH(), s.OutW(), s.C), normVectors(o, s.C)), nil
		}}
	}
	return Operation{
		Name: "fused-batchnorm-pool", Constructor: "NewBatchNormPool", Group: Elementwise, Types: allFloats, Test: testBatchNormPool,
		Calls: func(Size) []Call {
			return []Call{
				call("forward", "Forward", func(_ *Operands, p device.BatchNorm, x, y *device.Tensor, v []*device.Tensor) Work {
					return Work{
						Run:     func() { p.Forward(y, x, v[0], v[1], v[2], v[3]) },
						Results: []*device.Tensor{y, v[2], v[3]}, Updated: v[2:], Bytes: bytesOf(x, x, y),
					}
				}),
				call("inference", "Inference", func(_ *Operands, p device.BatchNorm, x, y *device.Tensor, v []*device.Tensor) Work {
					return Work{Run: func() { p.Inference(y, x, v[0], v[1], v[2], v[3]) }, Results: []*device.Tensor{y}, Bytes: bytesOf(x, y)}
				}),
				call("backward", "Backward", func(o *Operands, p device.BatchNorm, x, dy *device.Tensor, v []*device.Tensor) Work {
					dx, dgamma, dbeta := o.zeros(x.Shape()...), o.zerosFloat32(v[0].Len()), o.zerosFloat32(v[0].Len())
					p.Forward(o.zeros(dy.Shape()...), x, v[0], v[1], v[2], v[3])
					return Work{
						Run:     func() { p.Backward(dx, dgamma, dbeta, dy, x, v[0], v[1]) },
						Results: []*device.Tensor{dx, dgamma, dbeta}, Bytes: bytesOf(x, x, dy, dy, dx),
					}
				}),
			}
		},
	}
}

// tilingOperands returns a max pooling by k x k of images [size, size], and a batch normalisation of these.
func tilingOperands(o *Operands, size, k int) (device.Pool2DSpec, device.BatchNormSpec) {
	s := device.Pool2DSpec{
		Mode: device.MaxPool, N: o.pick(7, 250, 1024), H: size, W: size, C: o.pick(24, 64, 64), KH: k, KW: k, StrideH: k, StrideW: k, DType: o.DType,
	}
	return s, device.BatchNormSpec{Rows: s.N * s.H * s.W, C: s.C, Epsilon: 1e-5, Momentum: 0.1, DType: o.DType}
}

// normVectors returns gamma, beta, and the running mean and variance of a batch normalisation.
func normVectors(o *Operands, c int) []*device.Tensor {
	return []*device.Tensor{o.uniformFloat32(0.5, 2, c), o.uniformFloat32(-1, 1, c), o.zerosFloat32(c), o.uniformFloat32(1, 2, c)}
}

// narrowed returns numbers that float32 holds.
func narrowed(v []float64) []float32 {
	n := make([]float32, len(v))
	for i, x := range v {
		n[i] = float32(x)
	}
	return n
}
