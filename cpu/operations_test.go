package cpu

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"trainer/nn"
	"trainer/nn/device"
)

// operation is one plan with operands, small enough to run in any number of threads and
// large enough to be cut into several tasks of uneven size.
type operation struct {
	name     string
	elements int              // for the time per element
	run      func()           // runs the plan's methods
	results  []*device.Tensor // what run writes
	// restore brings back the operands that run both reads and writes.
	restore func()
}

// operands makes tensors of repeatable contents on a device.
type operands struct {
	t testing.TB
	d *Device
	i uint64 // tensors made so far
}

func (o *operands) tensor(dtype device.DType, shape ...int) *device.Tensor {
	o.t.Helper()
	x, err := o.d.NewTensor(dtype, shape...)
	if err != nil {
		o.t.Fatal(err)
	}
	return x
}

// zeros returns a float32 tensor of zeros.
func (o *operands) zeros(shape ...int) *device.Tensor { return o.tensor(device.Float32, shape...) }

// newOperands returns operands on a device of two threads.
func newOperands(t testing.TB) *operands {
	t.Helper()
	return &operands{t: t, d: newDevice(t, WithThreads(2))}
}

// floats returns a float32 tensor of the given numbers; the shape may be left out.
func (o *operands) floats(values []float32, shape ...int) *device.Tensor {
	if len(shape) == 0 {
		shape = []int{len(values)}
	}
	x := o.zeros(shape...)
	if copy(floats(x), values) != x.Len() {
		o.t.Fatalf("%d numbers for the shape %v", len(values), shape)
	}
	return x
}

// ints returns an int32 tensor of the given numbers.
func (o *operands) ints(values ...int32) *device.Tensor {
	x := o.tensor(device.Int32, len(values))
	copy(ints(x), values)
	return x
}

// wantFloats reports the elements of got that are further than relative * |want| from want.
// A NaN is matched by NaN.
func wantFloats(t *testing.T, name string, got *device.Tensor, relative float64, want ...float32) {
	t.Helper()
	if got.Len() != len(want) {
		t.Fatalf("%s has %d elements, want %d", name, got.Len(), len(want))
	}
	for i, g := range floats(got) {
		w := want[i]
		if g == w || g != g && w != w {
			continue
		}
		if !(math.Abs(float64(g)-float64(w)) <= relative*math.Abs(float64(w))) {
			t.Errorf("%s[%d] = %v, want %v", name, i, g, w)
		}
	}
}

// eachWord calls visit with n random words, other ones in each call.
func (o *operands) eachWord(n int, visit func(i int, word uint32)) {
	o.i++
	for i := 0; i < n; i += 4 {
		var words [4]uint32
		words[0], words[1], words[2], words[3] = device.Random(o.i, device.StreamInit, 0, uint64(i/4))
		for j, w := range words[:min(4, n-i)] {
			visit(i+j, w)
		}
	}
}

// uniform returns a float32 tensor of numbers in [low, high).
func (o *operands) uniform(low, high float32, shape ...int) *device.Tensor {
	x := o.zeros(shape...)
	to := floats(x)
	o.eachWord(len(to), func(i int, word uint32) { to[i] = low + (high-low)*device.Uniform(word) })
	return x
}

// integers returns an int32 tensor of numbers in [0, n).
func (o *operands) integers(n int, shape ...int) *device.Tensor {
	x := o.tensor(device.Int32, shape...)
	to := ints(x)
	o.eachWord(len(to), func(i int, word uint32) { to[i] = int32(device.Below(word, n)) })
	return x
}

// pixels returns a uint8 tensor.
func (o *operands) pixels(shape ...int) *device.Tensor {
	x := o.tensor(device.Uint8, shape...)
	to := uint8s(x)
	o.eachWord(len(to), func(i int, word uint32) { to[i] = uint8(word) })
	return x
}

// restorer returns a function that brings back the present contents of the tensors.
func restorer(tensors ...*device.Tensor) func() {
	var saved [][]byte
	for _, t := range tensors {
		saved = append(saved, slices.Clone(raw(t)))
	}
	return func() {
		for i, t := range tensors {
			copy(raw(t), saved[i])
		}
	}
}

// must returns the plan, which no method of this device refuses to make.
func must[P any](p P, err error) P {
	if err != nil {
		panic(err)
	}
	return p
}

// operations returns every operation of this device but convolution and matrix product.
func operations(t testing.TB, d *Device) []operation {
	o := &operands{t: t, d: d}
	var all []operation
	all = append(all, activationOperations(o)...)
	all = append(all, batchNormOperations(o)...)
	all = append(all, poolOperations(o)...)
	all = append(all, lossOperations(o)...)
	all = append(all, vectorOperations(o)...)
	all = append(all, optimizerOperations(o)...)
	return append(all, augmentOperations(o)...)
}

func activationOperations(o *operands) []operation {
	const n = 3*chunk + 1234
	var all []operation
	for _, f := range nn.Functions() {
		p := must(o.d.NewActivation(device.ActivationSpec{Function: f, Alpha: 0.1, Len: n}))
		x, dy := o.uniform(-4, 4, n), o.uniform(-1, 1, n)
		y, dx := o.zeros(n), o.zeros(n)
		all = append(all,
			operation{"activation/" + f.Name + "/forward", n, func() { p.Forward(y, x) }, []*device.Tensor{y}, nil},
			operation{"activation/" + f.Name + "/backward", n, func() { p.Backward(dx, dy, x, y) }, []*device.Tensor{dx}, nil},
		)
	}
	p := must(o.d.NewDropout(device.DropoutSpec{Len: n, Rate: 0.3, Seed: 5, Stream: device.StreamDropout}))
	x, y, step := o.uniform(-4, 4, n), o.zeros(n), o.integers(1000, 1)
	return append(all, operation{"dropout", n, func() { p.Forward(y, x, step) }, []*device.Tensor{y}, nil})
}

func batchNormOperations(o *operands) []operation {
	var all []operation
	for _, shape := range [][2]int{{3001, 24}, {259, 512}, {40001, 1}} {
		rows, c := shape[0], shape[1]
		s := device.BatchNormSpec{Rows: rows, C: c, Epsilon: 1e-5, Momentum: 0.1}
		plans := map[string]device.BatchNorm{
			"":      must(o.d.NewBatchNorm(s)),
			"+relu": must(o.d.NewBatchNormActivation(s, nn.ReLU{}.Activation().Function)),
			"+gelu": must(o.d.NewBatchNormActivation(s, nn.GELU{}.Activation().Function)),
		}
		for _, name := range []string{"", "+relu", "+gelu"} {
			p := plans[name]
			x, dy := o.uniform(-1, 3, rows, c), o.uniform(-1, 1, rows, c)
			gamma, beta, mean, variance := o.uniform(0.5, 2, c), o.uniform(-1, 1, c), o.zeros(c), o.uniform(1, 2, c)
			y, dx, dgamma, dbeta := o.zeros(rows, c), o.zeros(rows, c), o.zeros(c), o.zeros(c)
			name := fmt.Sprintf("batchnorm%s/%dx%d", name, rows, c)
			all = append(all,
				operation{name + "/forward", rows * c, func() { p.Forward(y, x, gamma, beta, mean, variance) },
					[]*device.Tensor{y, mean, variance}, restorer(mean, variance)},
				operation{name + "/backward", rows * c, func() { p.Backward(dx, dgamma, dbeta, dy, x, gamma, beta) },
					[]*device.Tensor{dx, dgamma, dbeta}, nil},
				operation{name + "/inference", rows * c, func() { p.Inference(y, x, gamma, beta, mean, variance) },
					[]*device.Tensor{y}, nil},
			)
		}
	}
	return all
}

func poolOperations(o *operands) []operation {
	windows := map[string]device.Pool2DSpec{
		"2x2":         {N: 7, H: 25, W: 24, C: 24, KH: 2, KW: 2, StrideH: 2, StrideW: 2},
		"3x3":         {N: 7, H: 31, W: 31, C: 24, KH: 3, KW: 3, StrideH: 3, StrideW: 3},
		"overlapping": {N: 7, H: 24, W: 24, C: 24, KH: 3, KW: 3, StrideH: 2, StrideW: 2, PadH: 1, PadW: 1},
		"global":      {N: 11, H: 17, W: 17, C: 24, KH: 17, KW: 17, StrideH: 1, StrideW: 1},
	}
	var all []operation
	for _, name := range []string{"2x2", "3x3", "overlapping", "global"} {
		for mode := device.MaxPool; mode <= device.AvgPoolExcluding; mode++ {
			for _, relu := range []bool{false, true} {
				s := windows[name]
				s.Mode = mode
				p := must(o.d.NewPool2D(s))
				if relu {
					p = must(o.d.NewPool2DReLU(s))
				}
				x, dy := o.uniform(-1, 1, s.N, s.H, s.W, s.C), o.uniform(-1, 1, s.N, s.OutH(), s.OutW(), s.C)
				y, dx := o.zeros(dy.Shape()...), o.zeros(x.Shape()...)
				name := fmt.Sprintf("pool2d/%s/mode=%d/relu=%v", name, mode, relu)
				all = append(all,
					operation{name + "/forward", x.Len(), func() { p.Forward(y, x) }, []*device.Tensor{y}, nil},
					operation{name + "/backward", x.Len(), func() { p.Backward(dx, dy, y, x) }, []*device.Tensor{dx}, nil},
				)
			}
		}
	}
	return all
}

func lossOperations(o *operands) []operation {
	const n, classes = 1031, 10
	z, labels := o.uniform(-3, 3, n, classes), o.integers(classes, n)
	var all []operation
	for _, s := range []device.LossSpec{
		{Kind: device.SoftmaxCrossEntropy, N: n, Classes: classes, Smoothing: 0.2},
		{Kind: device.MeanSquaredError, N: n, Classes: classes},
	} {
		p, name := must(o.d.NewLoss(s)), fmt.Sprintf("kind=%d", s.Kind)
		stats, dz := o.zeros(device.StatsLen), o.zeros(n, classes)
		all = append(all,
			operation{"loss/" + name + "/forward", z.Len(), func() { p.Forward(stats, z, labels) }, []*device.Tensor{stats}, restorer(stats)},
			operation{"loss/" + name + "/backward", z.Len(), func() { p.Backward(dz, z, labels) }, []*device.Tensor{dz}, nil},
		)
	}
	p := must(o.d.NewSoftmax(device.SoftmaxSpec{N: n, Classes: classes}))
	y := o.zeros(n, classes)
	return append(all, operation{"softmax", z.Len(), func() { p.Forward(y, z) }, []*device.Tensor{y}, nil})
}

func vectorOperations(o *operands) []operation {
	const rows, c = 4099, 33
	a, b, y := o.uniform(-1, 1, rows, c), o.uniform(-1, 1, rows, c), o.zeros(rows, c)
	combine := must(o.d.NewWeightedSum(device.WeightedSumSpec{Len: rows * c, Alpha: 0.3, Beta: 0.7}))
	all := []operation{{"combine", rows * c, func() { combine.Run(y, a, b) }, []*device.Tensor{y}, nil}}
	for kind := device.ReduceSumRows; kind <= device.ReduceNonFinite; kind++ {
		p := must(o.d.NewReduce(device.ReduceSpec{Kind: kind, Rows: rows, C: c}))
		dst := o.zeros(1)
		if kind == device.ReduceSumRows {
			dst = o.zeros(c)
		}
		all = append(all, operation{fmt.Sprintf("reduce/kind=%d", kind), rows * c, func() { p.Run(dst, a) }, []*device.Tensor{dst}, nil})
	}
	types := []device.DType{device.Float32, device.Float16, device.BFloat16, device.Uint8}
	for _, from := range types {
		for _, to := range types[:3] {
			p := must(o.d.NewCast(device.CastSpec{From: from, To: to, Len: rows * c, Scale: 1.0 / 255, Shift: -0.5}))
			src, dst := o.tensor(from, rows, c), o.tensor(to, rows, c)
			copy(raw(src), raw(a))
			all = append(all, operation{fmt.Sprintf("cast/%v-%v", from, to), rows * c, func() { p.Run(dst, src) }, []*device.Tensor{dst}, nil})
		}
	}
	return all
}

func optimizerOperations(o *operands) []operation {
	sizes := []int{3*chunk + 5, 24, 1, 7000}
	total := 0
	for _, n := range sizes {
		total += n
	}
	hyper := o.zeros(2, device.HyperLen)
	copy(floats(hyper), []float32{0.1, 0.01, 0.9, 0.99, 1.5, 1.25, 0.5, 0, 0.2, 0, 0.5, 0.9, 2, 3, 1, 0})
	var all []operation
	for _, s := range []device.OptimizerSpec{
		{Kind: device.SGD, Nesterov: true},
		{Kind: device.Adam, Decoupled: true, Epsilon: 1e-8},
		{Kind: device.RMSProp, Epsilon: 1e-8},
	} {
		var results []*device.Tensor
		for i, n := range sizes {
			slot := device.OptimizerParam{Value: o.uniform(-1, 1, n), Grad: o.uniform(-1, 1, n), State1: o.uniform(0, 1, n), State2: o.uniform(0, 1, n), Group: i % 2}
			s.Slots = append(s.Slots, slot)
			results = append(results, slot.Value, slot.State1, slot.State2)
		}
		p := must(o.d.NewOptimizer(s))
		all = append(all, operation{fmt.Sprintf("optimizer/kind=%d", s.Kind), total, func() { p.Step(hyper) }, results, restorer(results...)})
	}
	var grads, averages []*device.Tensor
	for _, n := range sizes {
		grads, averages = append(grads, o.uniform(-1, 1, n)), append(averages, o.uniform(-1, 1, n))
	}
	clip := must(o.d.NewClip(device.ClipSpec{Grads: grads, MaxNorm: 2, MaxValue: 0.01}))
	average := must(o.d.NewAverage(device.AverageSpec{Dst: averages, Src: grads, CopyBack: true}))
	decay := o.uniform(0.9, 1, 1)
	both := slices.Concat(grads, averages)
	return append(all,
		operation{"clip", total, clip.Run, grads, restorer(grads...)},
		operation{"average", total, func() { average.Run(decay) }, both, restorer(both...)},
	)
}

func augmentOperations(o *operands) []operation {
	const n = 19
	p := must(o.d.NewAugment(device.AugmentSpec{
		N: n, H: 32, W: 32, C: 3, Mean: []float32{0.5, 0.4, 0.3}, Std: []float32{0.2, 0.3, 0.25},
		Flip: device.FlipAlternating, Crop: 2, Cutout: 8, Seed: 11, Gather: true,
	}))
	images, ids, epoch := o.pixels(40, 32, 32, 3), o.integers(40, n), o.integers(9, 1)
	y, plain := o.zeros(n, 32, 32, 3), o.zeros(n, 32, 32, 3)
	return []operation{
		{"augment/train", y.Len(), func() { p.Train(y, images, ids, epoch) }, []*device.Tensor{y}, nil},
		{"augment/normalize", y.Len(), func() { p.Normalize(plain, images, ids, 0, 0, false) }, []*device.Tensor{plain}, nil},
	}
}

// TestThreadsGiveTheSameBits runs every operation with several numbers of threads.
func TestThreadsGiveTheSameBits(t *testing.T) {
	want := resultsOf(t, 1)
	for _, threads := range []int{2, 3, 5} {
		got := resultsOf(t, threads)
		for name, bits := range want {
			if !slices.Equal(got[name], bits) {
				t.Errorf("%s: %d threads give other bits than one", name, threads)
			}
		}
	}
}

// resultsOf returns the bytes that each operation writes.
func resultsOf(t *testing.T, threads int) map[string][]byte {
	results := map[string][]byte{}
	for _, op := range operations(t, newDevice(t, WithThreads(threads))) {
		for _, r := range op.results {
			floatNaN(r)
		}
		if op.restore != nil {
			op.restore()
		}
		op.run()
		for _, r := range op.results {
			results[op.name] = append(results[op.name], raw(r)...)
		}
	}
	return results
}

// floatNaN fills a float32 tensor with NaN, so that what isn't written shows.
func floatNaN(t *device.Tensor) {
	if t.DType() != device.Float32 {
		return
	}
	for i := range floats(t) {
		floats(t)[i] = float32(math.NaN())
	}
}

// TestOperationsAllocateNothing holds the promise that a step makes no garbage.
func TestOperationsAllocateNothing(t *testing.T) {
	for _, op := range operations(t, newDevice(t, WithThreads(2))) {
		if n := testing.AllocsPerRun(3, op.run); n != 0 {
			t.Errorf("%s: %v allocations", op.name, n)
		}
	}
}

// BenchmarkOperations reports nanoseconds an element on one thread; for pooling, an
// element of the larger side.
func BenchmarkOperations(b *testing.B) {
	for _, op := range operations(b, newDevice(b, WithThreads(1))) {
		b.Run(op.name, func(b *testing.B) {
			for b.Loop() {
				op.run()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(op.elements), "ns/element")
		})
	}
}
