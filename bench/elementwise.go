package bench

import (
	"testing"

	"trainer/nn"
	"trainer/nn/device"
)

// The activations of a batch of 250 images of 31 x 31 with 64 channels: far more than
// the caches hold, as in training.
const (
	images, pixels, channels = 250, 31 * 31, 64
	elements                 = images * pixels * channels
)

// runElementwise measures the operations that are bound by memory, beside a copy, which
// is the most that memory gives.
func runElementwise(b *testing.B) {
	d := open(b)
	x, y, dy := tensor(b, d, images*pixels, channels), tensor(b, d, images*pixels, channels), tensor(b, d, images*pixels, channels)
	const size = 4 * elements

	b.Run("copy", func(b *testing.B) {
		loop(b, d, func() { d.Copy(y, x) })
		reportBytes(b, 2*size)
	})
	for _, f := range nn.Functions() {
		plan := must(d.NewActivation(device.ActivationSpec{Function: f, Alpha: 0.1, Len: elements}))(b)
		b.Run(f.Name+"/forward", func(b *testing.B) {
			loop(b, d, func() { plan.Forward(y, x) })
			reportBytes(b, 2*size)
		})
		b.Run(f.Name+"/backward", func(b *testing.B) {
			loop(b, d, func() { plan.Backward(dy, dy, x, y) })
			reportBytes(b, 4*size)
		})
	}
	b.Run("dropout/forward", func(b *testing.B) {
		plan := must(d.NewDropout(device.DropoutSpec{Len: elements, Rate: 0.3, Seed: 1, Stream: device.StreamDropout}))(b)
		step, err := d.NewTensor(device.Int32, 1)
		if err != nil {
			b.Fatal(err)
		}
		loop(b, d, func() { plan.Forward(y, x, step) })
		reportBytes(b, 2*size)
	})
	b.Run("combine", func(b *testing.B) {
		plan := must(d.NewWeightedSum(device.WeightedSumSpec{Len: elements, Alpha: 1, Beta: 1}))(b)
		loop(b, d, func() { plan.Run(y, x, dy) })
		reportBytes(b, 3*size)
	})
	runNorm(b, d, x, y, dy)
	runPool(b, d)
	runOptimizer(b, d)
}

func runNorm(b *testing.B, d device.Device, x, y, dy *device.Tensor) {
	spec := device.BatchNormSpec{Rows: images * pixels, C: channels, Epsilon: 1e-5, Momentum: 0.1}
	gamma, beta, mean, variance := tensor(b, d, channels), tensor(b, d, channels), tensor(b, d, channels), tensor(b, d, channels)
	dgamma, dbeta := tensor(b, d, channels), tensor(b, d, channels)
	plans := map[string]device.BatchNorm{"batch-norm": must(d.NewBatchNorm(spec))(b)}
	if f, ok := d.(device.FusedBatchNorm); ok {
		plans["batch-norm-gelu"] = must(f.NewBatchNormActivation(spec, nn.GELU{}.Activation().Function))(b)
		plans["batch-norm-relu"] = must(f.NewBatchNormActivation(spec, nn.ReLU{}.Activation().Function))(b)
	}
	for _, name := range []string{"batch-norm", "batch-norm-gelu", "batch-norm-relu"} {
		plan, ok := plans[name]
		if !ok {
			continue
		}
		b.Run(name+"/forward", func(b *testing.B) {
			loop(b, d, func() { plan.Forward(y, x, gamma, beta, mean, variance) })
			reportBytes(b, 3*4*elements)
		})
		b.Run(name+"/backward", func(b *testing.B) {
			plan.Forward(y, x, gamma, beta, mean, variance)
			loop(b, d, func() { plan.Backward(dy, dgamma, dbeta, dy, x, gamma, beta) })
			reportBytes(b, 5*4*elements)
		})
	}
}

func runPool(b *testing.B, d device.Device) {
	spec := device.Pool2DSpec{Mode: device.MaxPool, N: images, H: 31, W: 31, C: channels, KH: 2, KW: 2, StrideH: 2, StrideW: 2}
	plan := must(d.NewPool2D(spec))(b)
	x, dx := tensor(b, d, images, 31, 31, channels), tensor(b, d, images, 31, 31, channels)
	y := tensor(b, d, images, spec.OutH(), spec.OutW(), channels)
	size := 4 * int64(x.Len()+y.Len())
	b.Run("max-pool/forward", func(b *testing.B) {
		loop(b, d, func() { plan.Forward(y, x) })
		reportBytes(b, size)
	})
	b.Run("max-pool/backward", func(b *testing.B) {
		plan.Forward(y, x)
		loop(b, d, func() { plan.Backward(dx, y, y, x) })
		reportBytes(b, size)
	})
}

// runOptimizer updates two million weights, as many as airbench94 has.
func runOptimizer(b *testing.B, d device.Device) {
	const n = 2_000_000
	slot := device.OptimizerParam{Value: tensor(b, d, n), Grad: tensor(b, d, n), State1: tensor(b, d, n), State2: tensor(b, d, n)}
	d.Zero(slot.State1)
	d.Zero(slot.State2)
	hyper := tensor(b, d, 1, device.HyperLen)
	row := make([]float32, device.HyperLen)
	row[device.HyperLR], row[device.HyperMomentum], row[device.HyperBeta2] = 1e-3, 0.9, 0.999
	row[device.HyperCorrection1], row[device.HyperCorrection2], row[device.HyperGradScale] = 1, 1, 1
	if err := d.Upload(hyper, device.Bytes(row)); err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		spec  device.OptimizerSpec
		bytes int64
	}{
		{"sgd-nesterov", device.OptimizerSpec{Kind: device.SGD, Nesterov: true}, 5 * 4 * n},
		{"adam", device.OptimizerSpec{Kind: device.Adam, Epsilon: 1e-8}, 7 * 4 * n},
	} {
		s := slot
		if c.spec.Kind == device.SGD {
			s.State2 = nil
		}
		c.spec.Slots = []device.OptimizerParam{s}
		plan := must(d.NewOptimizer(c.spec))(b)
		b.Run(c.name, func(b *testing.B) {
			loop(b, d, func() { plan.Step(hyper) })
			reportBytes(b, c.bytes)
		})
	}
}
