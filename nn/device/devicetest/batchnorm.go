package devicetest

import (
	"fmt"
	"math"
	"testing"

	"trainer/nn/device"
	"trainer/nn/device/reference"
)

// batchNormData is a batch normalisation with its operands.
type batchNormData struct {
	spec                    device.BatchNormSpec
	shape                   []int // of x, the last dimension being c
	x, dy                   []float32
	gamma, beta             []float32
	runningMean, runningVar []float32
}

// newBatchNormData returns data whose channels have the given mean and a spread of about 1.
func newBatchNormData(opt Options, name string, maxRows int, shape []int, mean float32) batchNormData {
	src := newSource("batchnorm/" + name)
	c := shape[len(shape)-1]
	n := 1
	for _, d := range shape {
		n *= d
	}
	return batchNormData{
		spec:  device.BatchNormSpec{Rows: maxRows, C: c, Epsilon: 1e-5, Momentum: 0.1, DType: opt.storage},
		shape: shape,
		x:     opt.round(src.between(n, mean-1, mean+1)), dy: opt.round(src.values(n)),
		gamma: src.values(c), beta: src.values(c),
		runningMean: src.values(c), runningVar: src.between(c, 0.1, 2),
	}
}

func (d batchNormData) reference() reference.BatchNorm {
	return reference.BatchNorm{Rows: len(d.x) / d.spec.C, C: d.spec.C, Epsilon: float64(d.spec.Epsilon), Momentum: float64(d.spec.Momentum)}
}

func batchNormCases(opt Options) map[string]batchNormData {
	cases := map[string]batchNormData{
		"one-number":         newBatchNormData(opt, "one-number", 1, []int{1, 1}, 0),
		"one-row":            newBatchNormData(opt, "one-row", 1, []int{1, 9}, 0),
		"two-rows":           newBatchNormData(opt, "two-rows", 2, []int{2, 3}, 0),
		"dense":              newBatchNormData(opt, "dense", 17, []int{17, 33}, 0),
		"image":              newBatchNormData(opt, "image", 3*5*7, []int{3, 5, 7, 24}, 0),
		"one-channel":        newBatchNormData(opt, "one-channel", 300, []int{300, 1}, 0),
		"64-channels":        newBatchNormData(opt, "64-channels", 17*8*8, []int{17, 8, 8, 64}, 0.5),
		"130-channels":       newBatchNormData(opt, "130-channels", 37, []int{37, 130}, 0),
		"smaller-batch":      newBatchNormData(opt, "smaller-batch", 9*4*4, []int{2, 4, 4, 16}, 0),
		"large-mean":         newBatchNormData(opt, "large-mean", 200, []int{200, 5}, 100),
		"far-from-zero":      newBatchNormData(opt, "far-from-zero", 2100, []int{2100, 8}, 4096),
		"many-rows":          newBatchNormData(opt, "many-rows", 4099, []int{4099, 3}, 0),
		"momentum-1":         newBatchNormData(opt, "momentum-1", 12, []int{12, 7}, 0),
		"momentum-0":         newBatchNormData(opt, "momentum-0", 12, []int{12, 7}, 0),
		"constant-channels":  newBatchNormData(opt, "constant-channels", 16, []int{16, 6}, 0),
		"large-epsilon":      newBatchNormData(opt, "large-epsilon", 20, []int{20, 4}, 0),
		"gamma-zero-channel": newBatchNormData(opt, "gamma-zero-channel", 20, []int{20, 4}, 0),
	}
	m1, m0 := cases["momentum-1"], cases["momentum-0"]
	m1.spec.Momentum, m0.spec.Momentum = 1, 0
	cases["momentum-1"], cases["momentum-0"] = m1, m0
	eps := cases["large-epsilon"]
	eps.spec.Epsilon = 0.5
	cases["large-epsilon"] = eps
	cases["gamma-zero-channel"].gamma[2] = 0
	// The mean of powers of two over 16 rows is exact, so the variance must be 0.
	constant := cases["constant-channels"]
	for i := range constant.x {
		constant.x[i] = float32(math.Exp2(float64(i%6 - 3)))
	}
	return cases
}

func testBatchNorm(t *testing.T, dev device.Device, opt Options) {
	for name, d := range batchNormCases(opt) {
		t.Run(name, func(t *testing.T) {
			bn := plan(dev.NewBatchNorm(d.spec))(t)
			t.Run("forward", func(t *testing.T) { d.testForward(t, dev, opt, bn) })
			t.Run("inference", func(t *testing.T) { d.testInference(t, dev, opt, bn) })
			t.Run("backward", func(t *testing.T) { d.testBackward(t, dev, opt, bn, true, false) })
			t.Run("backward-in-place", func(t *testing.T) { d.testBackward(t, dev, opt, bn, true, true) })
			t.Run("backward-data-only", func(t *testing.T) { d.testBackward(t, dev, opt, bn, false, false) })
		})
	}
	t.Run("no-backward", func(t *testing.T) {
		d := newBatchNormData(opt, "no-backward", 20, []int{20, 8}, 0)
		d.spec.NoBackward = true
		bn := plan(dev.NewBatchNorm(d.spec))(t)
		d.testForward(t, dev, opt, bn)
		d.testInference(t, dev, opt, bn)
	})
}

// parameters returns gamma and beta as inputs of r.
func (d batchNormData) parameters(r *rig) (gamma, beta *device.Tensor) {
	return r.inputFloat32("gamma", d.gamma, d.spec.C), r.inputFloat32("beta", d.beta, d.spec.C)
}

func (d batchNormData) testForward(t *testing.T, dev device.Device, opt Options, bn device.BatchNorm) {
	r := newRig(t, dev, opt)
	x := r.input("x", d.x, d.shape...)
	gamma, beta := d.parameters(r)
	mean, variance := r.inoutFloat32("runningMean", d.runningMean, d.spec.C), r.inoutFloat32("runningVar", d.runningVar, d.spec.C)
	y := r.output("y", d.shape...)
	r.run(func() { bn.Forward(y, x, gamma, beta, mean, variance) })
	ref := d.reference()
	r.check(y, ref.Forward(reference.Widen(d.x), reference.Widen(d.gamma), reference.Widen(d.beta)))
	wantMean, wantVar := ref.Running(reference.Widen(d.x), reference.Widen(d.runningMean), reference.Widen(d.runningVar))
	r.check(mean, wantMean)
	r.check(variance, wantVar)
}

func (d batchNormData) testInference(t *testing.T, dev device.Device, opt Options, bn device.BatchNorm) {
	r := newRig(t, dev, opt)
	x := r.input("x", d.x, d.shape...)
	gamma, beta := d.parameters(r)
	mean, variance := r.inputFloat32("runningMean", d.runningMean, d.spec.C), r.inputFloat32("runningVar", d.runningVar, d.spec.C)
	y := r.output("y", d.shape...)
	r.run(func() { bn.Inference(y, x, gamma, beta, mean, variance) })
	r.check(y, d.reference().Inference(reference.Widen(d.x), reference.Widen(d.gamma), reference.Widen(d.beta), reference.Widen(d.runningMean), reference.Widen(d.runningVar)))
}

// testBackward runs Forward, then Inference on other data, which must not change what
// Forward kept, and then Backward.
func (d batchNormData) testBackward(t *testing.T, dev device.Device, opt Options, bn device.BatchNorm, parameters, inPlace bool) {
	r := newRig(t, dev, opt)
	x, other := r.input("x", d.x, d.shape...), r.input("other", d.dy, d.shape...)
	gamma, beta := d.parameters(r)
	mean, variance := r.inoutFloat32("runningMean", d.runningMean, d.spec.C), r.inoutFloat32("runningVar", d.runningVar, d.spec.C)
	y := r.output("y", d.shape...)
	var dx, dy, dgamma, dbeta *device.Tensor
	if inPlace {
		dy = r.inout("dy and dx", d.dy, d.shape...)
		dx = dy
	} else {
		dy, dx = r.input("dy", d.dy, d.shape...), r.output("dx", d.shape...)
	}
	if parameters {
		dgamma, dbeta = r.outputFloat32("dgamma", d.spec.C), r.outputFloat32("dbeta", d.spec.C)
	}
	r.run(func() {
		bn.Forward(y, x, gamma, beta, mean, variance)
		bn.Inference(y, other, gamma, beta, mean, variance)
		bn.Backward(dx, dgamma, dbeta, dy, x, gamma, beta)
	})
	wantX, wantGamma, wantBeta := d.reference().Backward(reference.Widen(d.dy), reference.Widen(d.x), reference.Widen(d.gamma))
	r.check(dx, wantX)
	if parameters {
		r.check(dgamma, wantGamma)
		r.check(dbeta, wantBeta)
	}
}

func batchNormOperation() Operation {
	return Operation{
		Name: "batchnorm", Constructor: "NewBatchNorm", Group: Elementwise, Types: allFloats, Test: testBatchNorm, Panics: panicsOfBatchNorm,
		Calls: func(size Size) []Call { return batchNormCalls(size, "batch-norm", device.Device.NewBatchNorm) },
	}
}

// batchNormCalls are the passes of a batch normalisation: for benchmarks of one shape, for tests of several.
func batchNormCalls(size Size, name string, construct func(device.Device, device.BatchNormSpec) (device.BatchNorm, error)) []Call {
	shapes := [][2]int{{0, 0}}
	if size == Small {
		shapes = [][2]int{{3001, 24}, {259, 512}, {40001, 1}}
	}
	var calls []Call
	for _, shape := range shapes {
		name := name
		if size == Small {
			name = fmt.Sprintf("%s-%dx%d", name, shape[0], shape[1])
		}
		add := func(pass, method string, work func(o *Operands, p device.BatchNorm, x *device.Tensor, v []*device.Tensor) Work) {
			calls = append(calls, Call{name + "/" + pass, method, func(o *Operands) (Work, error) {
				rows, c := shape[0], shape[1]
				if size != Small {
					rows, c = o.pick(31*31, 250*31*31, 1024*31*31), 64
				}
				p, err := construct(o.Device, device.BatchNormSpec{Rows: rows, C: c, Epsilon: 1e-5, Momentum: 0.1, DType: o.DType})
				if err != nil {
					return Work{}, err
				}
				vectors := []*device.Tensor{o.uniformFloat32(0.5, 2, c), o.uniformFloat32(-1, 1, c), o.zerosFloat32(c), o.uniformFloat32(1, 2, c)}
				return work(o, p, o.uniform(-1, 3, rows, c), vectors), nil
			}})
		}
		add("forward", "Forward", func(o *Operands, p device.BatchNorm, x *device.Tensor, v []*device.Tensor) Work {
			y := o.zeros(x.Shape()...)
			return Work{
				Run:     func() { p.Forward(y, x, v[0], v[1], v[2], v[3]) },
				Results: []*device.Tensor{y, v[2], v[3]}, Updated: v[2:], Bytes: bytesOf(x, x, y),
			}
		})
		add("inference", "Inference", func(o *Operands, p device.BatchNorm, x *device.Tensor, v []*device.Tensor) Work {
			y := o.zeros(x.Shape()...)
			return Work{Run: func() { p.Inference(y, x, v[0], v[1], v[2], v[3]) }, Results: []*device.Tensor{y}, Bytes: bytesOf(x, y)}
		})
		add("backward", "Backward", func(o *Operands, p device.BatchNorm, x *device.Tensor, v []*device.Tensor) Work {
			dy, dx := o.uniform(-1, 1, x.Shape()...), o.zeros(x.Shape()...)
			dgamma, dbeta := o.zerosFloat32(v[0].Len()), o.zerosFloat32(v[0].Len())
			p.Forward(dx, x, v[0], v[1], v[2], v[3])
			return Work{
				Run:     func() { p.Backward(dx, dgamma, dbeta, dy, x, v[0], v[1]) },
				Results: []*device.Tensor{dx, dgamma, dbeta}, Bytes: bytesOf(x, x, dy, dy, dx),
			}
		})
	}
	return calls
}

func panicsOfBatchNorm(t *testing.T, dev device.Device) {
	m := memory{t, dev}
	f32 := func(shape ...int) *device.Tensor { return m.tensor(device.Float32, shape) }
	bn := plan(dev.NewBatchNorm(device.BatchNormSpec{Rows: 8, C: 3, Epsilon: 1e-5, Momentum: 0.1}))(t)
	x, y, c := f32(8, 3), f32(8, 3), f32(3)
	mustPanic(t, "another number of channels", func() { bn.Forward(y, f32(8, 4), c, c, c, c) }, "x", "float32[8 4]", "3")
	mustPanic(t, "another gamma", func() { bn.Forward(y, x, f32(4), c, c, c) }, "gamma", "float32[4]", "3")
	mustPanic(t, "too many rows", func() { bn.Forward(f32(9, 3), f32(9, 3), c, c, c, c) }, "9")
	bn.Forward(y, x, c, f32(3), f32(3), f32(3))
	mustPanic(t, "another dx", func() { bn.Backward(f32(7, 3), f32(3), f32(3), y, x, c, c) }, "dx", "float32[7 3]")
	if _, mixed := dev.(device.MixedPrecision); mixed {
		const f16 = device.Float16
		bn := plan(dev.NewBatchNorm(device.BatchNormSpec{Rows: 2, C: 2, Epsilon: 1e-5, DType: f16}))(t)
		c, in, out := f32(2), m.tensor(f16, []int{2, 2}), m.tensor(f16, []int{2, 2})
		mustPanic(t, "parameters of a normalisation in 16 bits", func() { bn.Forward(out, in, m.tensor(f16, []int{2}), c, c, c) }, "gamma", "float16[2]", "float32")
	}
}
