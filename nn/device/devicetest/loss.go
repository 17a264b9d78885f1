package devicetest

import (
	"math"
	"testing"

	"trainer/nn/device"
	"trainer/nn/device/reference"
)

// lossCase is a loss on a batch.
type lossCase struct {
	name         string
	spec         device.LossSpec
	outputs      []float32
	labels       []int32   // nil with soft targets
	soft         []float32 // nil with labels
	classWeights []float32 // or nil
	weights      []float32 // or nil
}

// rows returns the number of examples.
func (c lossCase) rows() int { return len(c.outputs) / c.spec.Classes }

// batch returns the reference's input.
func (c lossCase) batch() reference.LossBatch {
	b := reference.LossBatch{Outputs: reference.Widen(c.outputs), Labels: c.labels}
	if c.soft != nil {
		b.Soft = reference.Widen(c.soft)
	}
	if c.classWeights != nil {
		b.ClassWeights = reference.Widen(c.classWeights)
	}
	if c.weights != nil {
		b.Weights = reference.Widen(c.weights)
	}
	return b
}

// newLossCase returns a case with outputs from low to high, and labels.
func newLossCase(name string, s device.LossSpec, n int, low, high float32) lossCase {
	src := newSource("loss/" + name)
	return lossCase{name: name, spec: s, outputs: src.between(n*s.Classes, low, high), labels: src.labels(n, s.Classes)}
}

// lossCases returns all cases.
func lossCases() []lossCase { return append(plainLossCases(), weightedLossCases()...) }

// plainLossCases are losses whose examples have labels and count equally.
func plainLossCases() []lossCase {
	var cases []lossCase
	add := func(name string, s device.LossSpec, n int, low, high float32) *lossCase {
		cases = append(cases, newLossCase(name, s, n, low, high))
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

// weightedLossCases have soft targets, weights or ignored labels.
func weightedLossCases() []lossCase {
	var cases []lossCase
	for _, kind := range []device.LossKind{device.SoftmaxCrossEntropy, device.MeanSquaredError} {
		name := map[device.LossKind]string{device.SoftmaxCrossEntropy: "cross-entropy", device.MeanSquaredError: "mse"}[kind]
		add := func(suffix string, n, classes int, change func(c *lossCase)) {
			c := newLossCase(name+"-"+suffix, device.LossSpec{Kind: kind, N: n + n/3, Classes: classes}, n, -3, 3)
			change(&c)
			cases = append(cases, c)
		}
		for _, sum := range []bool{false, true} {
			for _, smoothing := range []float32{0, 0.25} {
				suffix := map[bool]string{false: "", true: "-sum"}[sum] + map[bool]string{false: "", true: "-smoothing"}[smoothing > 0]
				set := func(changes ...func(*lossCase)) func(*lossCase) {
					return func(c *lossCase) {
						c.spec.Sum, c.spec.Smoothing = sum, smoothing
						for _, change := range changes {
							change(c)
						}
					}
				}
				add("soft"+suffix, 17, 10, set(softTargets))
				add("class-weights"+suffix, 17, 10, set(withClassWeights))
				add("example-weights"+suffix, 17, 10, set(withWeights))
				add("ignore"+suffix, 17, 10, set(ignoring(3)))
				add("soft-weights"+suffix, 17, 10, set(softTargets, withClassWeights, withWeights))
				add("label-weights"+suffix, 17, 10, set(ignoring(-100), withClassWeights, withWeights))
			}
		}
		add("soft-one-example", 1, 2, softTargets)
		add("soft-one-class", 3, 1, softTargets)
		add("soft-many-classes", 5, 1003, func(c *lossCase) { softTargets(c); withClassWeights(c); withWeights(c) })
		add("soft-many-examples", 1031, 10, func(c *lossCase) { softTargets(c); withWeights(c) })
		add("weights-many-examples", 2063, 33, func(c *lossCase) { withWeights(c); withClassWeights(c); ignoring(7)(c) })
		add("soft-one-hot", 17, 10, oneHotTargets)
		add("soft-ties", 50, 7, func(c *lossCase) { // ties of outputs and of targets
			softTargets(c)
			copy(c.outputs, newSource("loss/coarse").coarse(len(c.outputs)))
			for i := range c.soft {
				c.soft[i] = float32(i*i%3) / 8
			}
		})
		add("ignore-everything", 9, 10, func(c *lossCase) {
			c.spec.Ignore, c.spec.IgnoreIndex = true, 4
			for i := range c.labels {
				c.labels[i] = 4
			}
		})
		add("weights-of-zero", 9, 10, func(c *lossCase) { c.spec.Weights, c.weights = true, make([]float32, 9) })
		add("no-weights-given", 9, 10, func(c *lossCase) { c.spec.Weights = true })
		add("ignore-NaN", 9, 10, func(c *lossCase) { // outputs that don't count may be anything
			ignoring(-100)(c)
			for i, label := range c.labels {
				if label == -100 {
					c.outputs[i*10+i] = float32(math.NaN())
				}
			}
		})
		for _, label := range []int32{-1, 10, math.MinInt32, math.MaxInt32} {
			add("weighted-label-out-of-range", 9, 10, func(c *lossCase) {
				withClassWeights(c)
				withWeights(c)
				ignoring(2)(c)
				c.labels[4] = label
			})
		}
	}
	huge := newLossCase("cross-entropy-soft-huge-logits", device.LossSpec{Kind: device.SoftmaxCrossEntropy, N: 33, Classes: 10}, 33, -1e4, 1e4)
	softTargets(&huge)
	withClassWeights(&huge)
	return append(cases, huge)
}

// softTargets gives the case rows of probabilities instead of Labels: most spread over all classes, every fourth
// over two of them, as mixup makes them.
func softTargets(c *lossCase) {
	classes := c.spec.Classes
	src := newSource("loss/soft/" + c.name)
	c.spec.SoftTargets, c.soft = true, src.between(len(c.outputs), 0.01, 1)
	for i, label := range c.labels {
		row := c.soft[i*classes : (i+1)*classes]
		if i%4 == 1 {
			clear(row)
			row[label] += 0.75
			row[(int(label)+i)%classes] += 0.25
			continue
		}
		sum := float32(0)
		for _, p := range row {
			sum += p
		}
		for k := range row {
			row[k] /= sum
		}
	}
	c.labels = nil
}

// oneHotTargets gives the case a row with a single 1 for each label.
func oneHotTargets(c *lossCase) {
	c.spec.SoftTargets, c.soft = true, make([]float32, len(c.outputs))
	for i, label := range c.labels {
		c.soft[i*c.spec.Classes+int(label)] = 1
	}
	c.labels = nil
}

// withClassWeights gives the case class weights, one of which is 0.
func withClassWeights(c *lossCase) {
	c.classWeights = newSource("loss/class-weights/"+c.name).between(c.spec.Classes, 0.125, 4)
	if c.spec.Classes > 1 {
		c.classWeights[c.spec.Classes/2] = 0
	}
}

// withWeights gives the case example weights, some of which are 0.
func withWeights(c *lossCase) {
	c.weights = newSource("loss/weights/"+c.name).between(c.rows(), 0.125, 4)
	c.spec.Weights = true
	for i := 2; i < len(c.weights); i += 5 {
		c.weights[i] = 0
	}
}

// ignoring gives every third example the label index, and makes the loss ignore that label.
func ignoring(index int32) func(*lossCase) {
	return func(c *lossCase) {
		c.spec.Ignore, c.spec.IgnoreIndex = true, index
		for i := 0; i < len(c.labels); i += 3 {
			c.labels[i] = index
		}
	}
}

func testLoss(t *testing.T, dev device.Device, opt Options) {
	for _, c := range lossCases() {
		t.Run(c.name, func(t *testing.T) { runLossCase(t, dev, opt, c, nil) })
	}
}

// runLossCase runs Forward twice, so that the stats add up, then Backward. scaling is the state of a LossScaling,
// or nil.
func runLossCase(t *testing.T, dev device.Device, opt Options, c lossCase, scaling []float32) {
	n := c.rows()
	start := []float32{0.25, 3, 7, 42}
	r := newRig(t, dev, opt)
	if scaling != nil {
		c.spec.Scaling = r.inputFloat32("scaling", scaling, device.ScalingLen)
	}
	if c.classWeights != nil {
		c.spec.ClassWeights = r.inputFloat32("class weights", c.classWeights, c.spec.Classes)
	}
	loss := plan(dev.NewLoss(c.spec))(t)
	outputs, targets, weights := r.input("outputs", c.outputs, n, c.spec.Classes), c.targets(r), c.exampleWeights(r)
	stats, doutputs := r.inout("stats", start, device.StatsLen), r.output("doutputs", n, c.spec.Classes)
	r.run(func() {
		loss.Forward(stats, outputs, targets, weights)
		loss.Forward(stats, outputs, targets, weights)
		loss.Backward(doutputs, outputs, targets, weights)
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
	// The counts are exact, and so is the weight if it is a count.
	exact := []int{device.StatCorrect, device.StatCount}
	if c.classWeights == nil && c.weights == nil {
		exact = append(exact, device.StatWeight)
	}
	for _, i := range exact {
		if got := r.result(stats)[i]; float64(got) != want.Value[i] {
			t.Errorf("stats[%d] is %v, want %v", i, got, want.Value[i])
		}
	}
}

// targets returns the labels or the rows of probabilities.
func (c lossCase) targets(r *rig) *device.Tensor {
	if c.soft != nil {
		return r.inputFloat32("targets", c.soft, c.rows(), c.spec.Classes)
	}
	return r.inputInt32("labels", c.labels, c.rows())
}

// exampleWeights returns the weights of the examples, or nil.
func (c lossCase) exampleWeights(r *rig) *device.Tensor {
	if c.weights == nil {
		return nil
	}
	return r.inputFloat32("weights", c.weights, c.rows())
}

func lossOperation() Operation {
	return Operation{
		Name: "loss", Constructor: "NewLoss", Group: Elementwise, Types: float32Only, Test: testLoss, Panics: panicsOfLoss,
		Calls: lossCalls,
	}
}

// lossCall is a loss to measure.
type lossCall struct {
	name           string
	kind           device.LossKind
	n              int  // 0 means many
	weighted, soft bool // weights of classes and examples; rows of probabilities as targets
}

// lossCalls are the two passes of each loss: for a GPU also with a recipe's batch, for which the launch dominates the
// time.
func lossCalls(size Size) []Call {
	const ce, mse = device.SoftmaxCrossEntropy, device.MeanSquaredError
	kinds := []lossCall{
		{"cross-entropy", ce, 0, false, false}, {"mse", mse, 0, false, false},
		{"cross-entropy-weighted", ce, 0, true, false}, {"cross-entropy-soft", ce, 0, false, true}, {"cross-entropy-soft-weighted", ce, 0, true, true},
		{"mse-weighted", mse, 0, true, false}, {"mse-soft", mse, 0, false, true},
		{"cross-entropy-1024x10", ce, 1024, false, false}, {"cross-entropy-soft-1024x10", ce, 1024, false, true},
	}
	var calls []Call
	for _, k := range kinds {
		if k.n == 0 || size == Huge {
			calls = append(calls, Call{k.name + "/forward", "Forward", k.forward}, Call{k.name + "/backward", "Backward", k.backward})
		}
	}
	return calls
}

// prepare makes the plan and its operands; weights is nil if there are none.
func (k lossCall) prepare(o *Operands) (p device.Loss, z, targets, weights *device.Tensor, err error) {
	const classes = 10
	n := o.pick(1031, 1<<18, 1<<22)
	if k.n != 0 && !o.Dry {
		n = k.n
	}
	s := device.LossSpec{Kind: k.kind, N: n, Classes: classes, Smoothing: 0.2, SoftTargets: k.soft}
	if k.weighted {
		s.Weights, s.ClassWeights, weights = true, o.uniformFloat32(0, 2, classes), o.uniformFloat32(0, 2, n)
		s.Ignore, s.IgnoreIndex = !k.soft, 3
	}
	if p, err = o.Device.NewLoss(s); err != nil {
		return nil, nil, nil, nil, err
	}
	z = o.uniformFloat32(-3, 3, n, classes)
	if k.soft {
		return p, z, o.uniformFloat32(0, 0.2, n, classes), weights, nil
	}
	return p, z, o.integers(classes, n), weights, nil
}

// bytes returns the number of bytes read and written.
func (k lossCall) bytes(weights *device.Tensor, others ...*device.Tensor) int64 {
	if weights != nil {
		others = append(others, weights)
	}
	return bytesOf(others...)
}

func (k lossCall) forward(o *Operands) (Work, error) {
	p, z, targets, weights, err := k.prepare(o)
	if err != nil {
		return Work{}, err
	}
	stats := o.zerosFloat32(device.StatsLen)
	return Work{
		Run: func() { p.Forward(stats, z, targets, weights) }, Results: []*device.Tensor{stats}, Updated: []*device.Tensor{stats},
		Bytes: k.bytes(weights, z, targets),
	}, nil
}

func (k lossCall) backward(o *Operands) (Work, error) {
	p, z, targets, weights, err := k.prepare(o)
	if err != nil {
		return Work{}, err
	}
	dz := o.zerosFloat32(z.Shape()...)
	return Work{
		Run: func() { p.Backward(dz, z, targets, weights) }, Results: []*device.Tensor{dz}, Bytes: k.bytes(weights, z, dz, targets),
	}, nil
}

func panicsOfLoss(t *testing.T, dev device.Device) {
	m := memory{t, dev}
	f32 := func(shape ...int) *device.Tensor { return m.tensor(device.Float32, shape) }
	i32 := func(n int) *device.Tensor { return m.tensor(device.Int32, []int{n}) }
	loss := plan(dev.NewLoss(device.LossSpec{Kind: device.SoftmaxCrossEntropy, N: 8, Classes: 10}))(t)
	stats := f32(device.StatsLen)
	mustPanic(t, "outputs of another number of classes", func() { loss.Forward(stats, f32(8, 9), i32(8), nil) }, "outputs", "float32[8 9]", "10]")
	mustPanic(t, "fewer labels than outputs", func() { loss.Forward(stats, f32(8, 10), i32(7), nil) }, "labels", "int32[7]", "8")
	mustPanic(t, "labels of another type", func() { loss.Forward(stats, f32(8, 10), f32(8), nil) }, "labels", "float32[8]", "int32")
	mustPanic(t, "short stats", func() { loss.Forward(f32(3), f32(8, 10), i32(8), nil) }, "stats", "float32[3]", "4")
	mustPanic(t, "weights of a plan without", func() { loss.Backward(f32(8, 10), f32(8, 10), i32(8), f32(8)) }, "weights", "float32[8]", "nil")
	weighted := plan(dev.NewLoss(device.LossSpec{Kind: device.SoftmaxCrossEntropy, N: 8, Classes: 10, Weights: true}))(t)
	mustPanic(t, "fewer weights than outputs", func() { weighted.Backward(f32(8, 10), f32(8, 10), i32(8), f32(7)) }, "weights", "float32[7]", "8")
	mustPanic(t, "weights of another type", func() { weighted.Backward(f32(8, 10), f32(8, 10), i32(8), i32(8)) }, "weights", "int32[8]", "float32")
	soft := plan(dev.NewLoss(device.LossSpec{Kind: device.MeanSquaredError, N: 8, Classes: 10, SoftTargets: true}))(t)
	mustPanic(t, "labels for soft targets", func() { soft.Forward(stats, f32(8, 10), i32(8), nil) }, "targets", "int32[8]", "float32[8 10]")
	mustPanic(t, "targets of another number of classes", func() { soft.Backward(f32(8, 10), f32(8, 10), f32(8, 9), nil) }, "targets", "float32[8 9]", "float32[8 10]")
	bad := func(change func(*device.LossSpec)) func() {
		s := device.LossSpec{Kind: device.SoftmaxCrossEntropy, N: 8, Classes: 10}
		change(&s)
		return func() { _, _ = dev.NewLoss(s) }
	}
	mustPanic(t, "an unknown loss", bad(func(s *device.LossSpec) { s.Kind = 99 }), "loss", "99")
	mustPanic(t, "a smoothing above 1", bad(func(s *device.LossSpec) { s.Smoothing = 1.5 }), "smoothing", "1.5")
	mustPanic(t, "too few class weights", bad(func(s *device.LossSpec) { s.ClassWeights = f32(9) }), "class weights", "float32[9]", "10")
	mustPanic(t, "ignored soft targets", bad(func(s *device.LossSpec) { s.Ignore, s.SoftTargets = true, true }), "Ignore", "SoftTargets")
}
