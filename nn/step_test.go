package nn_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"trainer/nn"
	"trainer/nn/device"
)

// hide returns the device, without its fused operations if asked.
func hide(dev device.Device, unfused bool) device.Device {
	if unfused {
		return bare{dev}
	}
	return dev
}

// everything has every kind of layer, and residuals in every arrangement that shares
// buffers: one after another, nested in a body, nested in a shortcut.
func everything() nn.Layer {
	conv := nn.Conv2D{OutC: 4, Kernel: nn.Square(3), Same: true}
	inner := nn.Residual{Body: nn.NewSequential(conv, nn.BatchNorm{}, nn.ReLU{})}
	return nn.NewSequential(
		conv, nn.ReLU{}, conv, nn.BatchNorm{}, nn.GELU{}, nn.MaxPool2D{Kernel: nn.Square(2)}, nn.ReLU{},
		inner, inner, nn.LeakyReLU{},
		nn.Residual{
			Body:     nn.NewSequential(conv, inner, nn.SiLU{}, conv),
			Shortcut: nn.NewSequential(conv, inner, nn.Sigmoid{}),
		},
		nn.BatchNorm{FrozenScale: true}, nn.Tanh{}, nn.AvgPool2D{Kernel: nn.Square(2)}, nn.Dropout{Rate: 0.25},
		nn.Residual{Body: inner, Shortcut: nn.Conv2D{OutC: 4, Kernel: nn.Square(1)}},
		nn.Flatten{}, nn.Dense{Out: 12}, nn.ReLU{}, nn.Dense{Out: 6}, nn.BatchNorm{}, nn.ReLU{}, nn.Scale{By: 0.5},
	)
}

var everythingIn = nn.Shape{8, 8, 3}

func everythingOptions(training bool) nn.Options {
	return nn.Options{Input: everythingIn, Batch: 5, Training: training, Seed: 9, Loss: nn.CrossEntropy{}}
}

func images(t testing.TB, dev device.Device, seed uint64, n int) *device.Tensor {
	return newTensor(t, dev, random(seed, n*everythingIn.Len()), n, 8, 8, 3)
}

// step runs a training step without an optimiser, and returns outputs, all gradients and
// the state.
func step(t testing.TB, dev device.Device, n *nn.Network, x, labels *device.Tensor) []float32 {
	all := slices.Clone(download(t, dev, n.Forward(x, nn.Training)))
	dev.Zero(n.Stats())
	n.Loss(labels)
	n.Backward(labels)
	all = append(all, download(t, dev, n.Stats())...)
	for _, p := range n.Params() {
		if p.Grad != nil {
			all = append(all, download(t, dev, p.Grad)...)
		}
	}
	for _, p := range n.State() {
		all = append(all, download(t, dev, p.Value)...)
	}
	return all
}

func TestSameSeedSameBits(t *testing.T) {
	run := func(seed uint64) []float32 {
		dev := newCPU(t)
		opt := everythingOptions(true)
		opt.Seed = seed
		n := compile(t, dev, everything(), opt)
		return step(t, dev, n, images(t, dev, 1, 5), newLabels(t, dev, 0, 1, 2, 3, 4))
	}
	a, b, c := run(9), run(9), run(10)
	if !slices.Equal(a, b) {
		t.Error("the same seed gave other bits")
	}
	if slices.Equal(a, c) {
		t.Error("another seed gave the same bits")
	}
}

// A fused operation may round differently from the two operations that it replaces, once or
// twice per element: gradients, sums of thousands of terms of size 1, agree to 1e-4.
func TestFusedAndUnfusedAgree(t *testing.T) {
	run := func(unfused bool) []float32 {
		dev := newCPU(t)
		n := compile(t, hide(dev, unfused), everything(), everythingOptions(true))
		return step(t, dev, n, images(t, dev, 1, 5), newLabels(t, dev, 0, 1, 2, 3, 4))
	}
	fused, unfused := run(false), run(true)
	for i := range fused {
		if d := math.Abs(float64(fused[i] - unfused[i])); !(d <= 1e-4*max(1, math.Abs(float64(unfused[i])))) {
			t.Fatalf("value %d of %d: fused %v, unfused %v", i, len(fused), fused[i], unfused[i])
		}
	}
}

func TestSmallerBatch(t *testing.T) {
	dev := newCPU(t)
	for _, training := range []bool{true, false} {
		n := compile(t, dev, everything(), everythingOptions(training))
		x := images(t, dev, 1, 5)
		full := slices.Clone(download(t, dev, n.Forward(x, nn.Inference)))
		x.SetRows(2)
		y := n.Forward(x, nn.Inference)
		if y.Rows() != 2 {
			t.Fatalf("output %v for 2 images", y)
		}
		if part := download(t, dev, y); !slices.Equal(part, full[:len(part)]) {
			t.Errorf("compiled for training %v: 2 of 5 images gave %v, before %v", training, part, full[:len(part)])
		}
		x.SetRows(5)
		if again := download(t, dev, n.Forward(x, nn.Inference)); !slices.Equal(again, full) {
			t.Errorf("compiled for training %v: the full batch gave other outputs after a smaller one", training)
		}
	}
}

// A smaller last batch has the same gradients as in a network compiled for its size, up to
// the order of sums.
func TestSmallerBatchGradients(t *testing.T) {
	run := func(batch int) []float32 {
		dev := newCPU(t)
		opt := everythingOptions(true)
		opt.Batch = batch
		n := compile(t, dev, everything(), opt)
		if batch == 5 {
			step(t, dev, n, images(t, dev, 2, 5), newLabels(t, dev, 0, 1, 2, 3, 4))
			for _, p := range n.State() {
				fresh := make([]float32, p.Value.Len())
				if strings.HasSuffix(p.Name, "running_var") {
					for i := range fresh {
						fresh[i] = 1
					}
				}
				upload(t, dev, p.Value, fresh)
			}
		}
		return step(t, dev, n, images(t, dev, 1, 3), newLabels(t, dev, 0, 1, 2))
	}
	small, large := run(3), run(5)
	for i := range small {
		if d := math.Abs(float64(small[i] - large[i])); !(d <= 1e-4*max(1, math.Abs(float64(small[i])))) {
			t.Fatalf("value %d of %d: %v, in the larger buffers %v", i, len(small), small[i], large[i])
		}
	}
}

// In inference layers share their outputs' memory; nothing may be overwritten too early.
func TestInferenceNetworkAgreesWithTrainingNetwork(t *testing.T) {
	dev := newCPU(t)
	training := compile(t, dev, everything(), everythingOptions(true))
	inference := compile(t, dev, everything(), everythingOptions(false))
	x := images(t, dev, 3, 5)
	want := download(t, dev, training.Forward(x, nn.Inference))
	got := download(t, dev, inference.Forward(x, nn.Inference))
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if inference.Memory() >= training.Memory()/2 {
		t.Errorf("inference takes %d bytes, training %d", inference.Memory(), training.Memory())
	}
	for _, p := range inference.Params() {
		if p.Grad != nil {
			t.Errorf("%s has a gradient in inference", p.Name)
		}
	}
}

func TestStepAllocatesNothing(t *testing.T) {
	for _, unfused := range []bool{false, true} {
		dev := newCPU(t)
		n := compile(t, hide(dev, unfused), everything(), everythingOptions(true))
		x, labels := images(t, dev, 1, 5), newLabels(t, dev, 0, 1, 2, 3, 4)
		run := func(rows int) {
			x.SetRows(rows)
			labels.SetRows(rows)
			n.Forward(x, nn.Training)
			n.Loss(labels)
			n.Backward(labels)
			n.Forward(x, nn.Inference)
		}
		if allocs := testing.AllocsPerRun(10, func() { run(5); run(3) }); allocs != 0 {
			t.Errorf("unfused %v: a step allocates %v times", unfused, allocs)
		}
	}
}

// shared returns the bytes that count in no row of the table, without the network's own
// buffers: the shared buffers.
func shared(n *nn.Network) int64 {
	bytes := n.Memory() - 4 - 4*device.StatsLen
	for _, r := range n.Layers() {
		bytes -= r.Memory
	}
	return bytes
}

// Two gradient buffers serve a chain: each has the size of the largest input among every
// second layer, not counting the first layer, whose input gradient is not needed, nor
// layers that work in place.
func TestGradientMemory(t *testing.T) {
	conv := func(outC int) nn.Layer { return nn.Conv2D{OutC: outC, Kernel: nn.Square(1)} }
	chain := func(layers ...nn.Layer) int64 {
		layers = append(layers, nn.Flatten{}, nn.Dense{Out: 2})
		n := compile(t, newCPU(t), nn.NewSequential(layers...), nn.Options{
			Input: nn.Shape{2, 2, 100}, Batch: 3, Training: true, Loss: nn.CrossEntropy{},
		})
		return (shared(n) - 4*3*2) / (4 * 3) // without dlogits; elements per example
	}
	// conv2's input has 40 elements, conv3's 20, the dense layer's 8: 40 or 8 in one
	// buffer, 20 in the other.
	if got := chain(conv(10), nn.Sigmoid{}, conv(5), nn.BatchNorm{}, conv(2)); got != 40+20 {
		t.Errorf("%d elements an example, want %d", got, 40+20)
	}
	// A residual's body needs two buffers of its own, one of them for its copy of dy; a
	// second residual needs no more. As the first layer, a residual with layers on both
	// branches sends nothing back: the buffers are the body's copy of dy and the gradient
	// with respect to the dense layer's input.
	if got := chain(nn.Residual{Body: conv(10), Shortcut: conv(10)}); got != 40+40 {
		t.Errorf("%d elements an example, want %d", got, 40+40)
	}
	block := nn.Residual{Body: conv(10)}
	one, two := chain(conv(10), block), chain(conv(10), block, block)
	if one != 40+40+40 || two != one {
		t.Errorf("%d and %d elements an example for one and two residuals, want %d", one, two, 40+40+40)
	}
}

// Gradients that nothing needs are not computed: a frozen first layer has no gradients at all.
func TestFrozen(t *testing.T) {
	dev := newCPU(t)
	n := compile(t, dev, nn.NewSequential(
		nn.Conv2D{OutC: 2, Kernel: nn.Square(1), Frozen: true, NoBias: true}, nn.ReLU{},
		nn.Conv2D{OutC: 2, Kernel: nn.Square(1), Frozen: true},
		nn.BatchNorm{FrozenScale: true}, nn.Flatten{}, nn.Dense{Out: 2},
	), nn.Options{Input: everythingIn, Batch: 5, Training: true, Loss: nn.CrossEntropy{}})
	var trained []string
	for _, p := range n.Params() {
		if p.Grad != nil {
			trained = append(trained, p.Name)
		}
	}
	equal(t, "trained parameters", trained, []string{"conv2.bias", "norm1.bias", "dense1.weight", "dense1.bias"})
	step(t, dev, n, images(t, dev, 1, 5), newLabels(t, dev, 0, 1, 0, 1, 0))
}

func TestFirstNonFinite(t *testing.T) {
	dev := newCPU(t)
	n := compile(t, dev, everything(), everythingOptions(true))
	x, labels := images(t, dev, 1, 5), newLabels(t, dev, 0, 1, 2, 3, 4)
	find := func() string {
		t.Helper()
		place, err := n.FirstNonFinite()
		if err != nil {
			t.Fatal(err)
		}
		return place
	}
	step(t, dev, n, x, labels)
	if place := find(); place != "" {
		t.Errorf("found %q in a sound network", place)
	}
	parameter := func(name string) *device.Tensor {
		for _, p := range n.Tensors() {
			if p.Name == name {
				return p.Value
			}
		}
		t.Fatalf("no parameter %s", name)
		return nil
	}
	// A weight that is finite but makes outputs overflow in an inner layer, once the
	// parameters have been passed.
	w := parameter("residual3.body.residual1.body.conv1.weight")
	before := download(t, dev, w)
	huge := slices.Clone(before)
	for i := range huge {
		huge[i] = math.MaxFloat32
	}
	upload(t, dev, w, huge)
	n.Forward(x, nn.Training)
	if place := find(); place != "output of layer residual3.body.residual1.body.conv1" {
		t.Errorf("found %q, want the inner convolution", place)
	}
	upload(t, dev, w, before)
	n.Forward(x, nn.Training)
	mean := parameter("residual3.body.residual1.body.norm1.running_mean")
	if place := find(); place != "state residual3.body.residual1.body.norm1.running_mean" {
		t.Errorf("found %q, want the running mean, %v", place, download(t, dev, mean))
	}
	upload(t, dev, parameter("conv1.bias"), []float32{0, float32(math.NaN()), 0, 0})
	if place := find(); place != "parameter conv1.bias" {
		t.Errorf("found %q, want the bias", place)
	}
}

func TestDropoutFollowsStepAndLayer(t *testing.T) {
	dev := newCPU(t)
	n := compile(t, dev, nn.NewSequential(nn.Dropout{Rate: 0.5}, nn.Flatten{}), nn.Options{
		Input: nn.Shape{10, 10, 4}, Batch: 1, Training: true, Seed: 1, Loss: nn.CrossEntropy{},
	})
	ones := make([]float32, 400)
	for i := range ones {
		ones[i] = 1
	}
	x := newTensor(t, dev, ones, 1, 10, 10, 4)
	at := func(step int32) []float32 {
		upload(t, dev, n.Step(), []int32{step})
		return download(t, dev, n.Forward(x, nn.Training))
	}
	first := at(1)
	if !slices.Equal(first, at(1)) || slices.Equal(first, at(2)) {
		t.Error("the mask does not follow the step")
	}
	kept := 0
	for _, v := range first {
		if v != 0 && v != 2 {
			t.Fatalf("%v, want 0 or 1/(1-0.5)", v)
		}
		if v != 0 {
			kept++
		}
	}
	// 400 coin tosses have a standard deviation of 10; a deviation of five times that occurs about once in a million.
	if kept < 150 || kept > 250 {
		t.Errorf("%d of 400 elements kept", kept)
	}
	if y := download(t, dev, n.Forward(x, nn.Inference)); !slices.Equal(y, ones) {
		t.Error("dropout changes values in inference")
	}
	two := compile(t, dev, nn.NewSequential(nn.Dropout{Rate: 0.5}, nn.Dropout{Rate: 0.5}, nn.Flatten{}), nn.Options{
		Input: nn.Shape{10, 10, 4}, Batch: 1, Training: true, Seed: 1, Loss: nn.CrossEntropy{},
	})
	kept = 0
	for _, v := range download(t, dev, two.Forward(x, nn.Training)) {
		if v != 0 {
			kept++
		}
	}
	// A quarter, with a standard deviation of sqrt(400*1/4*3/4) = 8.7.
	if kept < 56 || kept > 144 {
		t.Errorf("%d of 400 elements kept by two dropouts: their masks are not independent", kept)
	}
}

// Loaders alternate between input buffers; other callers may pass a new one each time.
func TestFlattenKeepsFewViews(t *testing.T) {
	dev := newCPU(t)
	built, err := nn.BuildUnit(dev, nn.Flatten{}, nn.Shape{2, 2, 1}, 3, 1)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		x := newTensor(t, dev, random(uint64(i), 8), 2, 2, 2, 1)
		y := built.Unit.Forward(x, nn.Training)
		if y.Rows() != 2 || y.Dim(1) != 4 || !slices.Equal(download(t, dev, y), download(t, dev, x)) {
			t.Fatalf("flatten of %v gave %v with other values", x, y)
		}
	}
	if n := nn.Views(built.Unit); n > 8 {
		t.Errorf("%d views kept", n)
	}
}

func TestMisuse(t *testing.T) {
	dev := newCPU(t)
	n := compile(t, dev, builtIn(t, "mnist-basic"), nn.Options{Input: nn.Shape{28, 28, 1}, Batch: 2})
	labels := newLabels(t, dev, 0, 1)
	zeros := func(shape ...int) *device.Tensor {
		x, err := dev.NewTensor(device.Float32, shape...)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	cases := []struct {
		name, words string
		run         func()
	}{
		{"shape", "[-1 28 28 1]", func() { n.Forward(zeros(2, 28, 28, 3), nn.Inference) }},
		{"batch", "at most 2 rows", func() { n.Forward(zeros(3, 28, 28, 1), nn.Inference) }},
		{"loss", "without a loss", func() { n.Loss(labels) }},
		{"backward", "for inference", func() { n.Backward(labels) }},
	}
	for _, c := range cases {
		func() {
			defer func() {
				if p, ok := recover().(string); !ok || !strings.Contains(p, c.words) {
					t.Errorf("%s: panic %q, want one with %q", c.name, p, c.words)
				}
			}()
			c.run()
		}()
	}
}

// declining implements the fused operations, but returns ErrNotSupported for these layers.
type declining struct{ device.Device }

func declined() error {
	return &device.Error{Device: "test", Op: "fusing", Err: device.ErrNotSupported}
}

func (declining) NewConv2DReLU(device.Conv2DSpec) (device.Conv2D, error) { return nil, declined() }
func (declining) NewMatMulReLU(device.MatMulSpec) (device.MatMul, error) { return nil, declined() }
func (declining) NewPool2DReLU(device.Pool2DSpec) (device.Pool2D, error) { return nil, declined() }
func (declining) NewBatchNormActivation(device.BatchNormSpec, *device.Function) (device.BatchNorm, error) {
	return nil, declined()
}

func TestDeclinedFusion(t *testing.T) {
	run := func(dev device.Device) ([]float32, int64) {
		n := compile(t, dev, everything(), everythingOptions(true))
		return step(t, dev, n, images(t, dev, 1, 5), newLabels(t, dev, 0, 1, 2, 3, 4)), n.Memory()
	}
	dev := newCPU(t)
	got, memory := run(declining{dev})
	want, unfused := run(bare{dev})
	if !slices.Equal(got, want) || memory != unfused {
		t.Error("a device that declines to fuse doesn't compute as one that can't")
	}
}

// full is a device with memory for only a few tensors.
type full struct {
	device.Device
	room int
}

func (f *full) NewTensor(dtype device.DType, shape ...int) (*device.Tensor, error) {
	if f.room--; f.room < 0 {
		return nil, &device.Error{Device: "test", Op: "allocating", Err: &device.MemoryError{Wanted: 100, Free: 1}}
	}
	return f.Device.NewTensor(dtype, shape...)
}

// Wherever memory runs out, the error reports the cause, and nothing panics.
func TestOutOfMemory(t *testing.T) {
	dev := newCPU(t)
	for room := 0; ; room++ {
		_, err := nn.Compile(&full{dev, room}, everything(), everythingOptions(true))
		if err == nil {
			if room < 50 {
				t.Errorf("%d tensors were enough", room)
			}
			return
		}
		if !errors.Is(err, device.ErrOutOfMemory) {
			t.Fatalf("with room for %d tensors: %v", room, err)
		}
	}
}
