package devicetest

import (
	"math"
	"testing"

	"trainer/nn/device"
	"trainer/nn/device/reference"
)

// lossCase is a loss on a batch.
type lossCase struct {
	name    string
	spec    device.LossSpec
	outputs []float32
	labels  []int32
}

func lossCases() []lossCase {
	var cases []lossCase
	add := func(name string, s device.LossSpec, n int, low, high float32) *lossCase {
		src := newSource("loss/" + name)
		cases = append(cases, lossCase{name, s, src.between(n*s.Classes, low, high), src.labels(n, s.Classes)})
		return &cases[len(cases)-1]
	}
	const ce, mse = device.SoftmaxCrossEntropy, device.MeanSquaredError
	add("cross-entropy", device.LossSpec{Kind: ce, N: 17, Classes: 10}, 17, -3, 3)
	add("cross-entropy-sum", device.LossSpec{Kind: ce, N: 17, Classes: 10, Sum: true}, 17, -3, 3)
	add("cross-entropy-smoothing", device.LossSpec{Kind: ce, N: 17, Classes: 10, Smoothing: 0.2}, 17, -3, 3)
	add("cross-entropy-smoothing-sum", device.LossSpec{Kind: ce, N: 17, Classes: 10, Smoothing: 0.1, Sum: true}, 17, -3, 3)
	add("cross-entropy-smaller-batch", device.LossSpec{Kind: ce, N: 64, Classes: 10}, 5, -3, 3)
	add("cross-entropy-one-example", device.LossSpec{Kind: ce, N: 1, Classes: 2}, 1, -3, 3)
	add("cross-entropy-one-class", device.LossSpec{Kind: ce, N: 3, Classes: 1}, 3, -3, 3)
	add("cross-entropy-many-classes", device.LossSpec{Kind: ce, N: 5, Classes: 1003, Smoothing: 0.1}, 5, -3, 3)
	add("cross-entropy-many-examples", device.LossSpec{Kind: ce, N: 1031, Classes: 10}, 1031, -3, 3)
	add("cross-entropy-huge-logits", device.LossSpec{Kind: ce, N: 33, Classes: 10}, 33, -1e4, 1e4)
	add("cross-entropy-huge-logits-smoothing", device.LossSpec{Kind: ce, N: 33, Classes: 10, Smoothing: 0.2}, 33, -1e4, 1e4)
	add("mse", device.LossSpec{Kind: mse, N: 17, Classes: 10}, 17, -2, 2)
	add("mse-sum", device.LossSpec{Kind: mse, N: 17, Classes: 10, Sum: true}, 17, -2, 2)
	add("mse-one-example", device.LossSpec{Kind: mse, N: 4, Classes: 3}, 1, -2, 2)

	confident := add("cross-entropy-right-and-wrong-by-1e4", device.LossSpec{Kind: ce, N: 20, Classes: 10}, 20, 0, 0)
	for i, label := range confident.labels {
		confident.outputs[i*10+(int(label)+i%2)%10] = 1e4
		confident.outputs[i*10+(int(label)+5)%10] = -1e4
	}
	ties := add("cross-entropy-ties", device.LossSpec{Kind: ce, N: 50, Classes: 7}, 50, 0, 0)
	copy(ties.outputs, newSource("loss/coarse").coarse(len(ties.outputs)))
	mseTies := add("mse-ties", device.LossSpec{Kind: mse, N: 50, Classes: 7}, 50, 0, 0)
	copy(mseTies.outputs, ties.outputs)
	for _, kind := range []device.LossKind{ce, mse} {
		for _, label := range []int32{-1, 10, 255, math.MinInt32, math.MaxInt32} {
			bad := add("label-out-of-range", device.LossSpec{Kind: kind, N: 9, Classes: 10}, 9, -3, 3)
			bad.labels[4] = label
		}
	}
	return cases
}

func testLoss(t *testing.T, dev device.Device, opt Options) {
	for _, c := range lossCases() {
		t.Run(c.name, func(t *testing.T) { runLossCase(t, dev, opt, c, nil) })
	}
}

// runLossCase runs Forward twice, so that the stats add up, then Backward. scaling is the state of a LossScaling,
// or nil.
func runLossCase(t *testing.T, dev device.Device, opt Options, c lossCase, scaling []float32) {
	n := len(c.labels)
	start := []float32{0.25, 3, 7, 42}
	r := newRig(t, dev, opt)
	if scaling != nil {
		c.spec.Scaling = r.inputFloat32("scaling", scaling, device.ScalingLen)
	}
	loss := plan(dev.NewLoss(c.spec))(t)
	outputs, labels := r.input("outputs", c.outputs, n, c.spec.Classes), r.inputInt32("labels", c.labels, n)
	stats, doutputs := r.inout("stats", start, device.StatsLen), r.output("doutputs", n, c.spec.Classes)
	r.run(func() {
		loss.Forward(stats, outputs, labels)
		loss.Forward(stats, outputs, labels)
		loss.Backward(doutputs, outputs, labels)
	})
	want, gradient := reference.Loss(c.spec, reference.Widen(c.outputs), c.labels)
	for i, s := range start {
		want.Set(i, float64(s)+2*want.Value[i], float64(s)+2*want.Magnitude[i])
	}
	if scaling != nil {
		gradient = gradient.Times(float64(scaling[device.ScalingScale]))
	}
	r.check(stats, want)
	r.check(doutputs, gradient)
	// The counts, and the element that means nothing, are exact.
	for _, i := range []int{device.StatCorrect, device.StatCount, 3} {
		if got := r.result(stats)[i]; float64(got) != want.Value[i] {
			t.Errorf("stats[%d] is %v, want %v", i, got, want.Value[i])
		}
	}
}

func lossOperation() Operation {
	return Operation{
		Name: "loss", Constructor: "NewLoss", Group: Elementwise, Types: float32Only, Test: testLoss, Panics: panicsOfLoss,
		Calls: lossCalls,
	}
}

// lossCalls are the two passes of each loss: for a GPU also those of a recipe's batch, in which the launch takes the time.
func lossCalls(size Size) []Call {
	kinds := []struct {
		name string
		kind device.LossKind
		n    int // 0 means many
	}{{"cross-entropy", device.SoftmaxCrossEntropy, 0}, {"mse", device.MeanSquaredError, 0}, {"cross-entropy-1024x10", device.SoftmaxCrossEntropy, 1024}}
	var calls []Call
	for _, k := range kinds {
		if k.n != 0 && size != Huge {
			continue
		}
		prepare := func(o *Operands) (p device.Loss, z, labels *device.Tensor, err error) {
			const classes = 10
			n := o.pick(1031, 1<<18, 1<<22)
			if k.n != 0 && !o.Dry {
				n = k.n
			}
			if p, err = o.Device.NewLoss(device.LossSpec{Kind: k.kind, N: n, Classes: classes, Smoothing: 0.2}); err != nil {
				return nil, nil, nil, err
			}
			return p, o.uniformFloat32(-3, 3, n, classes), o.integers(classes, n), nil
		}
		calls = append(calls,
			Call{k.name + "/forward", "Forward", func(o *Operands) (Work, error) {
				p, z, labels, err := prepare(o)
				if err != nil {
					return Work{}, err
				}
				stats := o.zerosFloat32(device.StatsLen)
				return Work{
					Run: func() { p.Forward(stats, z, labels) }, Results: []*device.Tensor{stats}, Updated: []*device.Tensor{stats}, Bytes: bytesOf(z, labels),
				}, nil
			}},
			Call{k.name + "/backward", "Backward", func(o *Operands) (Work, error) {
				p, z, labels, err := prepare(o)
				if err != nil {
					return Work{}, err
				}
				dz := o.zerosFloat32(z.Shape()...)
				return Work{Run: func() { p.Backward(dz, z, labels) }, Results: []*device.Tensor{dz}, Bytes: bytesOf(z, dz, labels)}, nil
			}})
	}
	return calls
}

func panicsOfLoss(t *testing.T, dev device.Device) {
	m := memory{t, dev}
	f32 := func(shape ...int) *device.Tensor { return m.tensor(device.Float32, shape) }
	i32 := func(n int) *device.Tensor { return m.tensor(device.Int32, []int{n}) }
	loss := plan(dev.NewLoss(device.LossSpec{Kind: device.SoftmaxCrossEntropy, N: 8, Classes: 10}))(t)
	stats := f32(device.StatsLen)
	mustPanic(t, "outputs of another number of classes", func() { loss.Forward(stats, f32(8, 9), i32(8)) }, "outputs", "float32[8 9]", "10]")
	mustPanic(t, "fewer labels than outputs", func() { loss.Forward(stats, f32(8, 10), i32(7)) }, "labels", "int32[7]", "8")
	mustPanic(t, "labels of another type", func() { loss.Forward(stats, f32(8, 10), f32(8)) }, "labels", "float32[8]", "int32")
	mustPanic(t, "short stats", func() { loss.Forward(f32(3), f32(8, 10), i32(8)) }, "stats", "float32[3]", "4")
}
