package devicetest

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"trainer/nn/device"
	"trainer/nn/device/reference"
)

// scaled is the state of a LossScaling after an update that found all gradients finite, and doubled the scale: the
// current gradients have the scale 1024.
var scaled = []float32{
	device.ScalingScale: 2048, device.ScalingInverse: 1.0 / 1024, device.ScalingSkip: 0, device.ScalingGoodSteps: 0,
}

// testScaling checks loss scaling and the operations that use its state: losses, clipping, update rules.
func testScaling(t *testing.T, dev device.Device, opt Options) {
	mixed, ok := dev.(device.MixedPrecision)
	if !ok {
		testScalingRefusal(t, dev)
		return
	}
	for _, c := range scalingCases() {
		t.Run("update/"+c.name, func(t *testing.T) { runScaling(t, dev, opt, mixed, c) })
	}
	for _, found := range []float32{0, float32(math.NaN()), float32(math.Inf(-1))} {
		t.Run(fmt.Sprintf("sources/%v", found), func(t *testing.T) { runScalingSources(t, dev, opt, mixed, found) })
	}
	for _, c := range lossCases() {
		t.Run("loss/"+c.name, func(t *testing.T) { runLossCase(t, dev, opt, c, scaled) })
	}
	for _, c := range clipCases() {
		t.Run("clip/"+c.name, func(t *testing.T) { runClip(t, dev, opt, c, scaled) })
	}
	for _, c := range optimizerCases() {
		c.scaling = optimizerScaling
		t.Run("optimizer/"+c.name, func(t *testing.T) { runOptimizer(t, dev, opt, c) })
		t.Run("optimizer-skips/"+c.name, func(t *testing.T) { runSkippedStep(t, dev, opt, c) })
		c.copyTypes = []device.DType{device.Float16, device.BFloat16}
		t.Run("optimizer-copies/"+c.name, func(t *testing.T) { runOptimizer(t, dev, opt, c) })
	}
	t.Run("steps", func(t *testing.T) { testScaledSteps(t, dev, opt, mixed) })
}

// testScalingRefusal checks that a device without loss scaling returns ErrNotSupported if a spec asks for it.
func testScalingRefusal(t *testing.T, dev device.Device) {
	state := zeros(t, dev, device.ScalingLen)
	for name, err := range map[string]error{
		"loss":      refusal(dev.NewLoss(device.LossSpec{Kind: device.SoftmaxCrossEntropy, N: 1, Classes: 2, Scaling: state})),
		"optimizer": refusal(dev.NewOptimizer(device.OptimizerSpec{Kind: device.SGD, Scaling: state})),
		"clip":      refusal(dev.NewClip(device.ClipSpec{MaxNorm: 1, Scaling: state})),
	} {
		if !errors.Is(err, device.ErrNotSupported) {
			t.Errorf("%s with loss scaling: the error is %v, want one that is ErrNotSupported from a device without MixedPrecision", name, err)
		}
	}
}

// scalingCase is a series of updates.
type scalingCase struct {
	name     string
	scale    float32
	interval int
	found    []float32 // for each step, 0 or the NaN or infinity that replaces one element of the gradients
}

func scalingCases() []scalingCase {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	return []scalingCase{
		{"grows-after-interval", 1024, 3, []float32{0, 0, 0, 0, 0, 0, 0}},
		{"grows-each-step", 4, 1, []float32{0, 0, 0}},
		{"halved-by-infinity", 1024, 4, []float32{0, 0, inf, 0, 0, 0, 0, 0}},
		{"halved-by-minus-infinity", 1024, 4, []float32{-inf, 0}},
		{"halved-by-NaN", 1024, 4, []float32{nan, nan, 0}},
		{"bad-step-at-the-interval", 1024, 2, []float32{0, inf, 0, 0}},
		{"least", 2, 5, []float32{nan, nan, nan, 0}},
		{"greatest", 1 << 23, 1, []float32{0, 0, 0, inf, 0}},
		{"no-power-of-two", 1000, 2, []float32{0, nan, 0, 0}},
		{"largest-finite-gradients", 8, 2, []float32{math.MaxFloat32, -math.MaxFloat32, 0}},
	}
}

// runScaling runs the updates and checks the state after each. The replaced element is a different one in each step,
// beginning with the last.
func runScaling(t *testing.T, dev device.Device, opt Options, mixed device.MixedPrecision, c scalingCase) {
	sizes := []int{1, 33, 4099}
	src := newSource("scaling/" + c.name)
	r := newRig(t, dev, opt)
	spec := device.LossScalingSpec{Interval: c.interval, State: r.inoutFloat32("state", []float32{c.scale, 1 / c.scale, 0, 0}, device.ScalingLen)}
	for i, n := range sizes {
		spec.Grads = append(spec.Grads, r.inoutFloat32(fmt.Sprintf("grad %d", i), make([]float32, n), n))
	}
	var grads [][]*device.Tensor // of each step
	var states []*device.Tensor  // after each
	for step, odd := range c.found {
		row := r.gradients(step, src, sizes, 1, func(data [][]float32) {
			if odd != 0 {
				chosen := data[len(data)-1-step%len(data)]
				chosen[len(chosen)-1-step%len(chosen)] = odd
			}
		})
		grads = append(grads, row)
		states = append(states, r.outputFloat32(fmt.Sprintf("state after step %d", step), device.ScalingLen))
	}
	scaling := plan(mixed.NewLossScaling(spec))(t)
	r.run(func() {
		for step := range c.found {
			copyAll(dev, spec.Grads, grads[step])
			scaling.Update()
			dev.Copy(states[step], spec.State)
		}
	})
	state := [device.ScalingLen]float64{device.ScalingScale: float64(c.scale)}
	for step, odd := range c.found {
		state = reference.LossScaling(state, math.IsNaN(float64(odd)) || math.IsInf(float64(odd), 0), c.interval)
		want := reference.NewSums(device.ScalingLen, reference.ElementwiseUlps)
		for i, v := range state {
			want.Set(i, v, 0) // exact, except for the inverse
		}
		want.Magnitude[device.ScalingInverse] = state[device.ScalingInverse]
		r.check(states[step], want)
	}
	for i, last := range grads[len(grads)-1] {
		if !bytes.Equal(r.bits(spec.Grads[i]), r.bits(last)) {
			t.Errorf("gradient %d was changed", i)
		}
	}
}

// runScalingSources checks an update of which some gradients have sources, the last element of one being found unless that is 0.
func runScalingSources(t *testing.T, dev device.Device, opt Options, mixed device.MixedPrecision, found float32) {
	src := newSource("scaling sources")
	r := newRig(t, dev, opt)
	spec := device.LossScalingSpec{Interval: 5, State: r.inoutFloat32("state", []float32{1024, 1, 0, 0}, device.ScalingLen)}
	var want [][]byte // of each gradient
	for i, n := range []int{1, 2051, 33, 4099} {
		values, before := src.values(n), make([]float32, n)
		var source *device.Tensor
		if i%2 == 1 {
			if i == 3 && found != 0 {
				values[n-1] = found
			}
			stored := elements(device.Float16, values)
			source = r.newOperand(fmt.Sprintf("source %d", i), input, device.Float16, stored, []int{n})
			values = nil
			for _, v := range reference.Unpack(device.Float16, stored) {
				values = append(values, float32(v))
			}
		} else {
			before = values
		}
		spec.Grads, spec.Sources = append(spec.Grads, r.inoutFloat32(fmt.Sprintf("grad %d", i), before, n)), append(spec.Sources, source)
		want = append(want, device.Bytes(values))
	}
	scaling := plan(mixed.NewLossScaling(spec))(t)
	r.run(scaling.Update)
	for i, w := range want {
		if got := r.result(spec.Grads[i]); !slices.EqualFunc(got, reference.Float32s(w), func(a, b float32) bool { return a == b || a != a && b != b }) {
			t.Errorf("gradient %d is not what its source holds", i)
		}
	}
	if skip := r.result(spec.State)[device.ScalingSkip]; (skip != 0) != (found != 0) {
		t.Errorf("the state's element Skip is %v with %v among the gradients", skip, found)
	}
}

// gradients makes the gradients of one step, random numbers times scale, after change has
// seen them.
func (r *rig) gradients(step int, src *source, sizes []int, scale float32, change func([][]float32)) []*device.Tensor {
	var data [][]float32
	for _, n := range sizes {
		values := src.values(n)
		for i := range values {
			values[i] *= scale
		}
		data = append(data, values)
	}
	if change != nil {
		change(data)
	}
	var row []*device.Tensor
	for i, values := range data {
		row = append(row, r.inputFloat32(fmt.Sprintf("grad %d of step %d", i, step), values, len(values)))
	}
	return row
}

func copyAll(dev device.Device, dst, src []*device.Tensor) {
	for i := range dst {
		dev.Copy(dst[i], src[i])
	}
}

// optimizerScaling are the states at the five steps of an optimizer's case. In the third step, which must be skipped,
// gradients are not finite.
var optimizerScaling = [][]float32{scaled, {2048, 1.0 / 2048, 0, 1}, {1024, 1.0 / 2048, 1, 0}, {1000, 1.0 / 1000, 0, 1}, {1, 1, 0, 0}}

// runSkippedStep checks that a step that must be skipped changes no bit of weights and states.
func runSkippedStep(t *testing.T, dev device.Device, opt Options, c optimizerCase) {
	sizes := []int{1, 10, 67, 1029}
	src := newSource("skip/" + c.name)
	r := newRig(t, dev, opt)
	spec := c.spec
	spec.Scaling = r.inputFloat32("scaling", []float32{512, 1.0 / 1024, 1, 0}, device.ScalingLen)
	for i, n := range sizes {
		grad := src.values(n)
		spoil(grad)
		slot := device.OptimizerParam{Group: i % len(c.hyper), Grad: r.inputFloat32(fmt.Sprintf("grad %d", i), grad, n)}
		// All of them are declared as inputs, so their bits must not change.
		slot.Value = r.inputFloat32(fmt.Sprintf("value %d", i), src.values(n), n)
		if c.state1 {
			slot.State1 = r.inputFloat32(fmt.Sprintf("state1 %d", i), src.between(n, 0, 1), n)
		}
		if c.state2 {
			slot.State2 = r.inputFloat32(fmt.Sprintf("state2 %d", i), src.between(n, 0, 1), n)
		}
		spec.Slots = append(spec.Slots, slot)
	}
	hyper := r.inputFloat32("hyper", c.hyperAt(1), len(c.hyper), device.HyperLen)
	optimizer := plan(dev.NewOptimizer(spec))(t)
	r.run(func() { optimizer.Step(hyper) })
}

// testScaledSteps runs whole updates: gradients with the current scale, LossScaling, Clip and an optimizer. The weights
// must equal those after the same steps without a scale, except for the step that overflows.
func testScaledSteps(t *testing.T, dev device.Device, opt Options, mixed device.MixedPrecision) {
	const (
		steps, overflow   = 7, 3
		interval          = 2
		maxNorm, maxValue = 9, 0.25 // both are reached
	)
	sizes := []int{1, 67, 1029}
	src := newSource("scaling/steps")
	r := newRig(t, dev, opt)
	row := [device.HyperLen]float32{device.HyperLR: 0.1, device.HyperWeightDecay: 0.01, device.HyperMomentum: 0.9, device.HyperGradScale: 1}
	hyper := r.inputFloat32("hyper", row[:], 1, device.HyperLen)
	state := [device.ScalingLen]float64{device.ScalingScale: 16}
	stateTensor := r.inoutFloat32("state", []float32{16, 1.0 / 16, 0, 0}, device.ScalingLen)
	scalingSpec := device.LossScalingSpec{State: stateTensor, Interval: interval}
	optimizerSpec := device.OptimizerSpec{Kind: device.SGD, Scaling: stateTensor}
	weights := make([][]reference.Parameter, len(sizes))
	count := 0
	for i, n := range sizes {
		count += n
		start := src.values(n)
		for _, w := range start {
			weights[i] = append(weights[i], reference.Parameter{W: float64(w), Magnitude: math.Abs(float64(w))})
		}
		slot := device.OptimizerParam{
			Value: r.inoutFloat32(fmt.Sprintf("value %d", i), start, n), Grad: r.inoutFloat32(fmt.Sprintf("grad %d", i), make([]float32, n), n),
			State1: r.inoutFloat32(fmt.Sprintf("velocity %d", i), make([]float32, n), n),
		}
		optimizerSpec.Slots = append(optimizerSpec.Slots, slot)
		scalingSpec.Grads = append(scalingSpec.Grads, slot.Grad)
	}
	var grads [][]*device.Tensor
	for step := range steps {
		scale, bad := state[device.ScalingScale], step == overflow
		var finite [][]float64
		grads = append(grads, r.gradients(step, src, sizes, float32(scale), func(data [][]float32) {
			for _, g := range data {
				finite = append(finite, unscaled(g, scale))
			}
			if bad {
				data[1][5] = float32(math.Inf(-1))
			}
		}))
		state = reference.LossScaling(state, bad, interval)
		if bad {
			continue
		}
		for i, g := range reference.Clip(maxNorm, maxValue, finite) {
			for j := range weights[i] {
				weights[i][j].Step(optimizerSpec, reference.Widen(row[:]), g.Value[j])
			}
		}
	}
	scaling := plan(mixed.NewLossScaling(scalingSpec))(t)
	clip := plan(dev.NewClip(device.ClipSpec{Grads: scalingSpec.Grads, MaxNorm: maxNorm, MaxValue: maxValue, Scaling: stateTensor}))(t)
	optimizer := plan(dev.NewOptimizer(optimizerSpec))(t)
	r.run(func() {
		for step := range steps {
			copyAll(dev, scalingSpec.Grads, grads[step])
			scaling.Update()
			clip.Run()
			optimizer.Step(hyper)
		}
	})
	for i, slot := range optimizerSpec.Slots {
		value := reference.NewSums(sizes[i], reference.ElementwiseUlps*steps+reference.SumUlps(count))
		velocity := reference.NewSums(sizes[i], reference.ElementwiseUlps*steps+reference.SumUlps(count))
		for j, p := range weights[i] {
			value.Set(j, p.W, p.Magnitude)
			velocity.Set(j, p.State1, p.Magnitude1)
		}
		r.check(slot.Value, value)
		r.check(slot.State1, velocity)
	}
	want := reference.NewSums(device.ScalingLen, 0)
	copy(want.Value, state[:])
	r.check(stateTensor, want)
}

// unscaled returns the gradients divided by the scale.
func unscaled(g []float32, scale float64) []float64 {
	v := reference.Widen(g)
	for i := range v {
		v[i] /= scale
	}
	return v
}

func lossScalingOperation() Operation {
	return Operation{
		Name: "scaling", Constructor: "NewLossScaling", Group: Elementwise, Types: float32Only, Test: testScaling, Panics: panicsOfLossScaling,
		Calls: scalingCalls,
	}
}

// scalingCalls are loss scaling and the operations that read its state.
func scalingCalls(Size) []Call {
	// state returns the state of a loss scaling, if the device has it.
	state := func(o *Operands) (*device.Tensor, error) {
		if _, ok := o.Device.(device.MixedPrecision); !ok {
			return nil, device.ErrNotSupported
		}
		return o.numbers([]float32{1024, 1.0 / 1024, 0, 0}, device.ScalingLen), nil
	}
	call := func(name, method string, work func(o *Operands, state *device.Tensor, grads []*device.Tensor) (Work, error)) Call {
		return Call{name, method, func(o *Operands) (Work, error) {
			s, err := state(o)
			if err != nil {
				return Work{}, err
			}
			var grads []*device.Tensor
			for _, n := range o.weightSizes() {
				grads = append(grads, o.uniformFloat32(-1, 1, n))
			}
			return work(o, s, grads)
		}}
	}
	return []Call{
		call("loss-scaling", "Update", func(o *Operands, state *device.Tensor, grads []*device.Tensor) (Work, error) {
			p, err := o.Device.(device.MixedPrecision).NewLossScaling(device.LossScalingSpec{Grads: grads, State: state, Interval: 2000})
			if err != nil {
				return Work{}, err
			}
			return Work{Run: p.Update, Results: []*device.Tensor{state}, Updated: []*device.Tensor{state}, Bytes: bytesOf(grads...)}, nil
		}),
		call("scaled-clip", "Run", func(o *Operands, state *device.Tensor, grads []*device.Tensor) (Work, error) {
			p, err := o.Device.NewClip(device.ClipSpec{Grads: grads, MaxNorm: 1, MaxValue: 1, Scaling: state})
			if err != nil {
				return Work{}, err
			}
			return Work{Run: p.Run, Results: grads, Updated: grads, Bytes: 3 * bytesOf(grads...)}, nil
		}),
		call("scaled-sgd", "Step", func(o *Operands, state *device.Tensor, grads []*device.Tensor) (Work, error) {
			s := device.OptimizerSpec{Kind: device.SGD, Scaling: state}
			w := Work{Bytes: bytesOf(grads...)}
			for _, g := range grads {
				value := o.uniformFloat32(-1, 1, g.Len())
				s.Slots, w.Updated = append(s.Slots, device.OptimizerParam{Value: value, Grad: g}), append(w.Updated, value)
			}
			p, err := o.Device.NewOptimizer(s)
			if err != nil {
				return Work{}, err
			}
			hyper := o.numbers([]float32{1e-3, 0, 0, 0, 1, 1, 1, 1, 1, 0}, 1, device.HyperLen)
			w.Run, w.Results = func() { p.Step(hyper) }, w.Updated
			w.Bytes += 2 * bytesOf(w.Updated...)
			return w, nil
		}),
		call("scaled-loss", "Backward", func(o *Operands, state *device.Tensor, _ []*device.Tensor) (Work, error) {
			const n, classes = 64, 10
			p, err := o.Device.NewLoss(device.LossSpec{Kind: device.SoftmaxCrossEntropy, N: n, Classes: classes, Scaling: state})
			if err != nil {
				return Work{}, err
			}
			z, dz, labels := o.uniformFloat32(-3, 3, n, classes), o.zerosFloat32(n, classes), o.integers(classes, n)
			return Work{Run: func() { p.Backward(dz, z, labels, nil) }, Results: []*device.Tensor{dz}, Bytes: bytesOf(z, dz, labels)}, nil
		}),
	}
}

func panicsOfLossScaling(t *testing.T, dev device.Device) {
	panicsOfScaling(t, dev, mixedPrecision(t, dev))
}

func panicsOfScaling(t *testing.T, dev device.Device, mixed device.MixedPrecision) {
	m := memory{t, dev}
	state, short := m.tensor(device.Float32, []int{device.ScalingLen}), m.tensor(device.Float32, []int{3})
	mustPanic(t, "loss scaling without a state", func() { _, _ = mixed.NewLossScaling(device.LossScalingSpec{Interval: 1}) }, "state")
	mustPanic(t, "a short state", func() { _, _ = mixed.NewLossScaling(device.LossScalingSpec{State: short, Interval: 1}) }, "float32[3]", "4")
	mustPanic(t, "an interval of 0", func() { _, _ = mixed.NewLossScaling(device.LossScalingSpec{State: state}) }, "interval", "0")
	mustPanic(t, "a source of another length", func() {
		_, _ = mixed.NewLossScaling(device.LossScalingSpec{State: state, Interval: 1, Grads: []*device.Tensor{m.tensor(device.Float32, []int{8})},
			Sources: []*device.Tensor{m.tensor(device.Float16, []int{7})}})
	}, "float16[7]", "8")
	mustPanic(t, "gradients of 16 bits", func() {
		_, _ = mixed.NewLossScaling(device.LossScalingSpec{State: state, Interval: 1, Grads: []*device.Tensor{m.tensor(device.Float16, []int{8})}})
	}, "float16[8]", "float32")
	mustPanic(t, "an optimizer with a short state", func() {
		_, _ = dev.NewOptimizer(device.OptimizerSpec{Kind: device.SGD, Scaling: short})
	}, "float32[3]", "4")
	mustPanic(t, "a loss with a short state", func() {
		_, _ = dev.NewLoss(device.LossSpec{Kind: device.SoftmaxCrossEntropy, N: 1, Classes: 2, Scaling: short})
	}, "float32[3]", "4")
	mustPanic(t, "a limit with a short state", func() { _, _ = dev.NewClip(device.ClipSpec{MaxNorm: 1, Scaling: short}) }, "float32[3]", "4")
}
