package devicetest

import (
	"testing"

	"trainer/nn/device"
	"trainer/nn/device/reference"
)

// testTrainingLoss runs the losses with labels that count equally, in both passes at once. scaled is the state of a LossScaling.
func testTrainingLoss(t *testing.T, dev device.Device, opt Options) {
	fused, ok := dev.(device.FusedLoss)
	if !ok {
		t.Skip("the device has no FusedLoss")
	}
	for _, c := range plainLossCases() {
		if c.spec.Kind != device.SoftmaxCrossEntropy {
			continue
		}
		for _, scaling := range [][]float32{nil, scaled} {
			name := c.name
			if scaling != nil {
				name += "/scaled"
			}
			t.Run(name, func(t *testing.T) { runTrainingLoss(t, dev, opt, fused, c, scaling) })
		}
	}
}

// runTrainingLoss runs the plan twice, so that the stats add up.
func runTrainingLoss(t *testing.T, dev device.Device, opt Options, fused device.FusedLoss, c lossCase, scaling []float32) {
	if scaling != nil {
		if _, ok := dev.(device.MixedPrecision); !ok {
			t.Skip("the device has no LossScaling")
		}
	}
	n := c.rows()
	start := []float32{0.25, 3, 7, 42}
	c.outputs = opt.round(c.outputs)
	r := newRig(t, dev, opt)
	if scaling != nil {
		c.spec.Scaling = r.inputFloat32("scaling", scaling, device.ScalingLen)
	}
	loss := plan(fused.NewTrainingLoss(c.spec, opt.dtype()))(t)
	outputs, targets := r.input("outputs", c.outputs, n, c.spec.Classes), c.targets(r)
	stats, doutputs := r.inoutFloat32("stats", start, device.StatsLen), r.output("doutputs", n, c.spec.Classes)
	r.run(func() {
		loss.Run(stats, doutputs, outputs, targets)
		loss.Run(stats, doutputs, outputs, targets)
	})
	want, gradient := reference.Loss(c.spec, c.batch())
	for i, s := range start {
		want.Set(i, float64(s)+2*want.Value[i], float64(s)+2*want.Magnitude[i])
	}
	if scaling != nil {
		gradient = gradient.Times(float64(scaling[device.ScalingScale]))
	}
	r.check(stats, want)
	r.check(doutputs, gradient)
	for _, i := range []int{device.StatCorrect, device.StatCount, device.StatWeight} { // counts are exact
		if got := r.result(stats)[i]; float64(got) != want.Value[i] {
			t.Errorf("stats[%d] is %v, want %v", i, got, want.Value[i])
		}
	}
}

func trainingLossOperation() Operation {
	return Operation{
		Name: "training loss", Constructor: "NewTrainingLoss", Group: Elementwise, Types: allFloats, Test: testTrainingLoss,
		Panics: panicsOfTrainingLoss, Calls: trainingLossCalls,
	}
}

func trainingLossCalls(Size) []Call {
	return []Call{{"cross-entropy-train", "Run", func(o *Operands) (Work, error) {
		const classes = 10
		fused, ok := o.Device.(device.FusedLoss)
		if !ok {
			return Work{}, device.ErrNotSupported
		}
		n := o.pick(1031, 1<<18, 1<<22)
		p, err := fused.NewTrainingLoss(device.LossSpec{Kind: device.SoftmaxCrossEntropy, N: n, Classes: classes, Smoothing: 0.2}, o.DType)
		if err != nil {
			return Work{}, err
		}
		stats, z, dz, labels := o.zerosFloat32(device.StatsLen), o.uniform(-3, 3, n, classes), o.zeros(n, classes), o.integers(classes, n)
		return Work{
			Run: func() { p.Run(stats, dz, z, labels) }, Results: []*device.Tensor{stats, dz}, Updated: []*device.Tensor{stats}, Bytes: bytesOf(z, dz, labels),
		}, nil
	}}}
}

func panicsOfTrainingLoss(t *testing.T, dev device.Device) {
	fused, ok := dev.(device.FusedLoss)
	if !ok {
		t.Skip("the device has no FusedLoss")
	}
	m := memory{t, dev}
	f32 := func(shape ...int) *device.Tensor { return m.tensor(device.Float32, shape) }
	labels, stats := m.tensor(device.Int32, []int{8}), f32(device.StatsLen)
	loss := plan(fused.NewTrainingLoss(device.LossSpec{Kind: device.SoftmaxCrossEntropy, N: 8, Classes: 10}, device.Float32))(t)
	mustPanic(t, "outputs of another number of classes", func() { loss.Run(stats, f32(8, 9), f32(8, 9), labels) }, "outputs", "float32[8 9]", "10]")
	mustPanic(t, "a gradient of fewer rows", func() { loss.Run(stats, f32(7, 10), f32(8, 10), labels) }, "doutputs", "float32[7 10]", "8")
	mustPanic(t, "labels of another type", func() { loss.Run(stats, f32(8, 10), f32(8, 10), f32(8)) }, "labels", "float32[8]", "int32")
	mustPanic(t, "short stats", func() { loss.Run(f32(3), f32(8, 10), f32(8, 10), labels) }, "stats", "float32[3]", "4")
}
