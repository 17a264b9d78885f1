package devicetest

import (
	"bytes"
	"fmt"
	"math"
	"testing"

	"trainer/nn/device"
	"trainer/nn/device/reference"
)

// optimizerCase is an update rule with the hyperparameters of its groups. The Adam
// corrections are filled in for each step.
type optimizerCase struct {
	name           string
	spec           device.OptimizerSpec // without the parameters
	hyper          [][device.HyperLen]float32
	state1, state2 bool // whether the parameters have these states
	// scaling is the state of a LossScaling at each step, or nil.
	scaling [][]float32
	// copyTypes are the types of the parameters' copies, in turn; nil for none.
	copyTypes []device.DType
}

func optimizerCases() []optimizerCase {
	// The columns: learning rate, weight decay, momentum or beta1, beta2, two
	// corrections, gradient scale.
	plain := [][device.HyperLen]float32{{0.1, 0, 0, 0, 1, 1, 1}}
	heavy := [][device.HyperLen]float32{{0.1, 0.01, 0.9, 0, 1, 1, 1}}
	groups := [][device.HyperLen]float32{{0.1, 0.01, 0.9, 0, 1, 1, 1}, {0.02, 0, 0.5, 0, 1, 1, 0.5}, {0, 0.1, 0.9, 0, 1, 1, 1}}
	adam := [][device.HyperLen]float32{{0.01, 0, 0.9, 0.999, 1, 1, 1}}
	adamGroups := [][device.HyperLen]float32{{0.01, 0.05, 0.9, 0.999, 1, 1, 1}, {0.001, 0, 0.7, 0.9, 1, 1, 1.0 / 128}}
	rms := [][device.HyperLen]float32{{0.01, 0, 0, 0.9, 1, 1, 1}}
	rmsGroups := [][device.HyperLen]float32{{0.01, 0.05, 0.9, 0.9, 1, 1, 1}, {0.02, 0, 0.5, 0.99, 1, 1, 2}}
	const sgd, eps = device.SGD, 1e-8
	return []optimizerCase{
		{"sgd", device.OptimizerSpec{Kind: sgd}, plain, false, false, nil, nil},
		{"sgd-weight-decay", device.OptimizerSpec{Kind: sgd}, [][device.HyperLen]float32{{0.1, 0.05, 0, 0, 1, 1, 0.25}}, false, false, nil, nil},
		{"sgd-decoupled", device.OptimizerSpec{Kind: sgd, Decoupled: true}, [][device.HyperLen]float32{{0.1, 0.05, 0, 0, 1, 1, 1}}, false, false, nil, nil},
		{"sgd-momentum", device.OptimizerSpec{Kind: sgd}, heavy, true, false, nil, nil},
		{"sgd-nesterov", device.OptimizerSpec{Kind: sgd, Nesterov: true}, heavy, true, false, nil, nil},
		{"sgd-nesterov-decoupled", device.OptimizerSpec{Kind: sgd, Nesterov: true, Decoupled: true}, heavy, true, false, nil, nil},
		{"sgd-groups", device.OptimizerSpec{Kind: sgd}, groups, true, false, nil, nil},
		{"sgd-nesterov-groups", device.OptimizerSpec{Kind: sgd, Nesterov: true}, groups, true, false, nil, nil},
		{"adam", device.OptimizerSpec{Kind: device.Adam, Epsilon: eps}, adam, true, true, nil, nil},
		{"adam-large-epsilon", device.OptimizerSpec{Kind: device.Adam, Epsilon: 0.1}, adam, true, true, nil, nil},
		{"adam-coupled-groups", device.OptimizerSpec{Kind: device.Adam, Epsilon: eps}, adamGroups, true, true, nil, nil},
		{"adamw-groups", device.OptimizerSpec{Kind: device.Adam, Epsilon: eps, Decoupled: true}, adamGroups, true, true, nil, nil},
		{"rmsprop", device.OptimizerSpec{Kind: device.RMSProp, Epsilon: eps}, rms, true, false, nil, nil},
		{"rmsprop-momentum-groups", device.OptimizerSpec{Kind: device.RMSProp, Epsilon: eps}, rmsGroups, true, true, nil, nil},
		{"rmsprop-decoupled", device.OptimizerSpec{Kind: device.RMSProp, Epsilon: eps, Decoupled: true}, rmsGroups, true, true, nil, nil},
	}
}

func testOptimizer(t *testing.T, dev device.Device, opt Options) {
	for _, c := range optimizerCases() {
		t.Run(c.name, func(t *testing.T) { runOptimizer(t, dev, opt, c) })
	}
}

// hyperAt returns the hyperparameters of a step, counted from 1.
func (c optimizerCase) hyperAt(step int) []float32 {
	var flat []float32
	for _, row := range c.hyper {
		device.SetBetas(row[:], float64(row[device.HyperMomentum]), float64(row[device.HyperBeta2]))
		if c.spec.Kind == device.Adam {
			row[device.HyperCorrection1] = float32(1 / (1 - math.Pow(float64(row[device.HyperMomentum]), float64(step))))
			row[device.HyperCorrection2] = float32(1 / (1 - math.Pow(float64(row[device.HyperBeta2]), float64(step))))
		}
		flat = append(flat, row[:]...)
	}
	return flat
}

// optimizerSteps is the number of steps per case.
const optimizerSteps = 5

// skips reports whether a step must change nothing.
func (c optimizerCase) skips(step int) bool {
	return c.scaling != nil && c.scaling[step][device.ScalingSkip] != 0
}

// inverse returns the factor of a step's gradients.
func (c optimizerCase) inverse(step int) float32 {
	if c.scaling == nil {
		return 1
	}
	return c.scaling[step][device.ScalingInverse]
}

// runOptimizer runs a case's steps, starting with zero states, over parameters of several sizes. Each step has new
// gradients, new hyperparameters and a new state of the loss scaling.
func runOptimizer(t *testing.T, dev device.Device, opt Options, c optimizerCase) {
	const steps = optimizerSteps
	sizes := []int{1, 10, 67, 1029}
	src := newSource("optimizer/" + c.name)
	r := newRig(t, dev, opt)
	spec := c.spec
	var starts [][]float32
	var grads [][]*device.Tensor // of each step
	for i, n := range sizes {
		start := src.values(n)
		starts = append(starts, start)
		slot := device.OptimizerParam{Value: r.inout(fmt.Sprintf("value %d", i), start, n), Group: i % len(c.hyper)}
		slot.Grad = r.inout(fmt.Sprintf("grad %d", i), make([]float32, n), n)
		if c.state1 {
			slot.State1 = r.inout(fmt.Sprintf("state1 %d", i), make([]float32, n), n)
		}
		if c.state2 {
			slot.State2 = r.inout(fmt.Sprintf("state2 %d", i), make([]float32, n), n)
		}
		if types := c.copyTypes; len(types) > 0 {
			slot.Copy = r.newOperand(fmt.Sprintf("copy %d", i), output, types[i%len(types)], nil, []int{n})
		}
		spec.Slots = append(spec.Slots, slot)
	}
	hyper := r.inout("hyper", c.hyperAt(1), len(c.hyper), device.HyperLen)
	if c.scaling != nil {
		spec.Scaling = r.inout("scaling", c.scaling[0], device.ScalingLen)
	}
	var hypers, scalings []*device.Tensor
	for step := 0; step < steps; step++ {
		grads = append(grads, r.gradients(step, src, sizes, 1/c.inverse(step), func(data [][]float32) {
			if c.skips(step) {
				spoil(data[len(data)-1])
			}
		}))
		hypers = append(hypers, r.input(fmt.Sprintf("hyper of step %d", step), c.hyperAt(step+1), len(c.hyper), device.HyperLen))
		if c.scaling != nil {
			scalings = append(scalings, r.input(fmt.Sprintf("scaling of step %d", step), c.scaling[step], device.ScalingLen))
		}
	}
	optimizer := plan(dev.NewOptimizer(spec))(t)
	r.run(func() {
		for step := 0; step < steps; step++ {
			for i, slot := range spec.Slots {
				dev.Copy(slot.Grad, grads[step][i])
			}
			dev.Copy(hyper, hypers[step])
			if c.scaling != nil {
				dev.Copy(spec.Scaling, scalings[step])
			}
			optimizer.Step(hyper)
		}
	})
	for i, slot := range spec.Slots {
		value, state := c.want(r, slot.Group, starts[i], grads, i)
		r.check(slot.Value, value)
		if slot.Copy != nil {
			checkCopy(t, r, slot)
		}
		if c.state1 && c.spec.Kind != device.RMSProp {
			r.check(slot.State1, state)
		}
		last := r.result(grads[steps-1][i])
		for j, g := range r.result(slot.Grad) {
			if g != last[j] {
				t.Fatalf("the gradient of slot %d was changed", i)
			}
		}
	}
}

// checkCopy checks that a parameter's copy is the value, rounded to 16 bits.
func checkCopy(t *testing.T, r *rig, slot device.OptimizerParam) {
	t.Helper()
	dtype := slot.Copy.DType()
	if !bytes.Equal(r.bits(slot.Copy), reference.Round(dtype, reference.Widen(r.result(slot.Value)))) {
		t.Errorf("a copy in %v of %d elements is not the rounded value", dtype, slot.Copy.Len())
	}
}

// want returns a parameter's expected values after all steps, and its State1.
func (c optimizerCase) want(r *rig, group int, start []float32, grads [][]*device.Tensor, slot int) (value, state reference.Sums) {
	value = reference.NewSums(len(start), reference.ElementwiseUlps*float64(len(grads)))
	state = reference.NewSums(len(start), reference.ElementwiseUlps*float64(len(grads)))
	all := make([]reference.Parameter, len(start))
	for j, w := range start {
		all[j] = reference.Parameter{W: float64(w), Magnitude: math.Abs(float64(w))}
	}
	for step := range grads {
		if c.skips(step) {
			continue
		}
		h := reference.Widen(c.hyperAt(step + 1))[group*device.HyperLen : (group+1)*device.HyperLen]
		h[device.HyperGradScale] *= float64(c.inverse(step))
		for j, g := range r.result(grads[step][slot]) {
			all[j].Step(c.spec, h, float64(g))
		}
	}
	for j, p := range all {
		value.Set(j, p.W, p.Magnitude)
		state.Set(j, p.State1, p.Magnitude1)
	}
	return value, state
}

func optimizerOperation() Operation {
	return Operation{
		Name: "optimizer", Constructor: "NewOptimizer", Group: Elementwise, Types: float32Only, Test: testOptimizer, Panics: panicsOfOptimizer,
		Calls: optimizerCalls,
	}
}

// weightSizes are the lengths of parameters: for benchmarks of a CPU those of airbench94, and for a GPU more than any
// cache holds.
func (o *Operands) weightSizes() []int {
	if n := o.pick(0, 2_000_000, 64_000_000); n > 0 {
		return []int{n}
	}
	return []int{3*4096 + 5, 24, 1, 7000}
}

// optimizerCalls are a step of each rule; for a GPU also of airbench94's weights, which fit in caches.
func optimizerCalls(size Size) []Call {
	rules := []struct {
		name   string
		spec   device.OptimizerSpec
		states int
		sizes  []int // nil means weightSizes
	}{
		{"sgd", device.OptimizerSpec{Kind: device.SGD}, 0, nil},
		{"sgd-nesterov", device.OptimizerSpec{Kind: device.SGD, Nesterov: true}, 1, nil},
		{"adam", device.OptimizerSpec{Kind: device.Adam, Decoupled: true, Epsilon: 1e-8}, 2, nil},
		{"rmsprop", device.OptimizerSpec{Kind: device.RMSProp, Epsilon: 1e-8}, 2, nil},
		{"sgd-nesterov-of-2M", device.OptimizerSpec{Kind: device.SGD, Nesterov: true}, 1, []int{2_000_000}},
		{"adam-of-2M", device.OptimizerSpec{Kind: device.Adam, Epsilon: 1e-8}, 2, []int{2_000_000}},
	}
	var calls []Call
	for _, r := range rules {
		if r.sizes != nil && size != Huge {
			continue
		}
		calls = append(calls, Call{r.name, "Step", func(o *Operands) (Work, error) {
			s, sizes := r.spec, o.weightSizes()
			if r.sizes != nil && !o.Dry {
				sizes = r.sizes
			}
			var w Work
			for i, n := range sizes {
				slot := device.OptimizerParam{Value: o.uniformFloat32(-1, 1, n), Grad: o.uniformFloat32(-1, 1, n), Group: i % 2}
				w.Updated = append(w.Updated, slot.Value)
				for _, at := range []**device.Tensor{&slot.State1, &slot.State2}[:r.states] {
					*at = o.uniformFloat32(0, 1, n)
					w.Updated = append(w.Updated, *at)
				}
				s.Slots = append(s.Slots, slot)
				w.Bytes += bytesOf(slot.Grad)
			}
			p, err := o.Device.NewOptimizer(s)
			if err != nil {
				return Work{}, err
			}
			hyper := o.numbers([]float32{
				1e-3, 0.01, 0.9, 0.999, 1.5, 1.25, 0.5, 0.1, 0.001, 0,
				2e-3, 0, 0.5, 0.9, 2, 3, 1, 0.5, 0.1, 0,
			}, 2, device.HyperLen)
			w.Run, w.Results = func() { p.Step(hyper) }, w.Updated
			w.Bytes += 2 * bytesOf(w.Updated...) // read and written
			return w, nil
		}})
	}
	return calls
}

func panicsOfOptimizer(t *testing.T, dev device.Device) {
	m := memory{t, dev}
	f32 := func(n int) *device.Tensor { return m.tensor(device.Float32, []int{n}) }
	mustPanic(t, "a gradient of another size", func() {
		_, _ = dev.NewOptimizer(device.OptimizerSpec{Kind: device.SGD, Slots: []device.OptimizerParam{{Value: f32(8), Grad: f32(7)}}})
	}, "7", "8")
	mustPanic(t, "Adam without a second moment", func() {
		_, _ = dev.NewOptimizer(device.OptimizerSpec{Kind: device.Adam, Slots: []device.OptimizerParam{{Value: f32(8), Grad: f32(8), State1: f32(8)}}})
	})
}
