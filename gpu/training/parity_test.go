//go:build cuda && linux && cgo && (amd64 || arm64)

package training

import (
	"fmt"
	"math"
	"os"
	"slices"
	"testing"

	"trainer/gpu/internal/emulated"
	"trainer/nn"
	transforms "trainer/nn/augment"
	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/optim"
	"trainer/nn/recipe"
	"trainer/nn/train"
)

// The same training on the CPU device and on the software emulation (or a GPU): what depends only on the seed must be
// bit-identical, and everything else equal up to rounding.

// stripes returns n images of 12x12x3 in three classes: horizontal, vertical and diagonal stripes, with noise that depends on
// the seed.
func stripes(n int, seed uint64) *data.InMemory {
	const side, channels = 12, 3
	set := &data.InMemory{Name: "stripes", H: side, W: side, C: channels, ClassNames: []string{"horizontal", "vertical", "diagonal"}}
	for i := range n {
		class := i % 3
		for e := range side * side * channels {
			y, x := e/channels/side, e/channels%side
			phase := [3]int{y, x, x + y}[class]
			noise := device.RandomWord(seed, 0, uint32(i), uint64(e)) >> 25 // 0 to 127
			set.Images = append(set.Images, byte(128*(phase/2%2)+int(noise)))
		}
		set.Labels = append(set.Labels, int32(class))
	}
	return set
}

// waves returns n images in ten classes. Each image is the sum of five coloured waves, whose directions are close to the
// direction of its class, and of some noise. Unlike stripes, waves have all shades, so ties in a pooling window are rare.
func waves(name string, n int, shape nn.Shape, seed uint64) *data.InMemory {
	const classes, each = 10, 5
	h, w, c := shape[0], shape[1], shape[2]
	set := &data.InMemory{Name: name, H: h, W: w, C: c, ClassNames: make([]string, classes)}
	for i := range n {
		random := func(k int) float64 { return float64(device.Uniform(device.RandomWord(seed, 0, uint32(i), uint64(k)))) }
		pixels := make([]float64, shape.Len())
		for k := range each {
			u := func(j int) float64 { return random(10*k + j) }
			angle := math.Pi * (float64(i%classes)/classes + 0.1*u(0))
			frequency := 0.15 + 1.2*u(1)*u(2)
			for e := range pixels {
				y, x, channel := float64(e/c/w), float64(e/c%w), e%c
				phase := frequency*(math.Sin(angle)*y+math.Cos(angle)*x) + 2*math.Pi*u(3)
				pixels[e] += (0.1 + 0.3*u(4)) * u(5+channel) * math.Sin(phase)
			}
		}
		for e, v := range pixels {
			v += 0.5 + 0.12*(random(10*each+e)-0.5)
			set.Images = append(set.Images, byte(255*min(max(v, 0), 1)))
		}
		set.Labels = append(set.Labels, int32(i%classes))
	}
	return set
}

// parityCases are small networks with kinds of layers and optimisers that no recipe has.
func parityCases() map[string]train.Config {
	return map[string]train.Config{
		"conv, pool, dense": {
			Model: nn.NewSequential(
				nn.Conv2D{OutC: 6, Kernel: nn.Square(3)}, nn.MaxPool2D{Kernel: nn.Square(2)}, nn.ReLU{},
				nn.Conv2D{OutC: 8, Kernel: nn.Square(3)}, nn.ReLU{}, nn.Flatten{}, nn.Dense{Out: 16}, nn.ReLU{}, nn.Dense{Out: 3},
			),
			Optimizer: optim.Config{Algorithm: "sgd", LR: 0.02, Momentum: 0.9, Nesterov: true, WeightDecay: 1e-4},
		},
		"transforms, mixed labels": {
			Model: nn.NewSequential(
				nn.Conv2D{OutC: 6, Kernel: nn.Square(3)}, nn.AvgPool2D{Kernel: nn.Square(2)}, nn.GELU{}, nn.Flatten{}, nn.Dense{Out: 3},
			),
			Augment: train.Augment{Mean: []float32{0.5, 0.5, 0.5}, Std: []float32{0.3, 0.3, 0.3}, Transforms: transforms.List{
				{Transform: transforms.AlternatingFlip{}}, {Transform: transforms.Rotate{}}, {Transform: transforms.Contrast{}, P: 0.5},
				{Transform: transforms.Hue{}}, {Transform: transforms.CutMix{}, P: 0.5}, {Transform: transforms.Mixup{Alpha: 1}},
			}},
			Optimizer: optim.Config{Algorithm: "sgd", LR: 0.02, Momentum: 0.9},
		},
		"norm, GELU, dropout, Adam": {
			Model: nn.NewSequential(
				nn.Conv2D{OutC: 6, Kernel: nn.Square(3), Same: true, NoBias: true}, nn.BatchNorm{}, nn.GELU{},
				nn.Conv2D{OutC: 6, Kernel: nn.Square(3), Same: true, Groups: 2, NoBias: true}, nn.BatchNorm{}, nn.ReLU{},
				nn.MaxPool2D{Kernel: nn.Square(2)}, nn.Dropout{Rate: 0.2}, nn.GlobalAvgPool{}, nn.Dense{Out: 3},
			),
			Augment: train.Augment{Mean: []float32{0.5, 0.5, 0.5}, Std: []float32{0.3, 0.3, 0.3}, Flip: device.FlipRandom, Crop: 2, Cutout: 3},
			Optimizer: optim.Config{
				Algorithm: "adam", LR: 0.003, Clip: optim.Clip{MaxNorm: 1}, Lookahead: &optim.Lookahead{Every: 3, Base: 0.95, Power: 3},
			},
		},
		"composed rules, two batches per step": {
			Model: nn.NewSequential(
				nn.Conv2D{OutC: 6, Kernel: nn.Square(3), NoBias: true}, nn.BatchNorm{}, nn.GELU{},
				nn.Conv2D{OutC: 8, Kernel: nn.Square(3), Stride: nn.Square(2)}, nn.GELU{}, nn.Flatten{}, nn.Dense{Out: 3},
			),
			Accumulate: 2,
			Optimizer: optim.Config{
				Rule: optim.Lion{}, LR: 0.0005, WeightDecay: 0.1,
				Groups: []optim.Group{
					{Match: "conv*.weight", Rule: optim.Muon{Momentum: 0.6, Nesterov: true, Normalize: true}, LR: 0.02, WeightDecay: 1e-3},
					{Role: nn.Bias, Rule: optim.AdaGrad{LRDecay: 0.01}, LR: 0.01, UntilEpoch: 2},
				},
			},
		},
	}
}

// paritySteps is the number of steps in which trainings are compared.
const paritySteps = 20

// lossBound is the largest relative difference between the two devices' losses of parityCases in 20 steps. The devices add
// in different orders, and every step amplifies the differences left by the previous steps.
const lossBound = 1e-4

// TestParity trains small networks. All steps are replays of a graph, except the first step and steps with a smaller batch.
func TestParity(t *testing.T) {
	for name, cfg := range parityCases() {
		t.Run(name, func(t *testing.T) {
			cfg.Loss, cfg.Epochs, cfg.Batch, cfg.Seed = nn.CrossEntropy{Smoothing: 0.1}, 4, 8, 11
			cfg.Data = &data.Dataset{Name: "stripes", Train: stripes(36, 1)} // 5 steps per epoch, the last with 4 images
			want := onCPU(t, cfg, paritySteps)
			got := onGPU(t, anyDevice(t), cfg, paritySteps)
			compareStart(t, got, want)
			compareGradients(t, got.gradients, want.gradients)
			compareState(t, got.state, want.state)
			compareLosses(t, got.losses, want.losses, func(int) float64 { return lossBound })
		})
	}
}

// likeOthers are recipes with layers and rules that smaller recipes have too: airbench95 and airbench96 those of
// airbench94, cifar10-94 those of cifar10-fast.
var likeOthers = []string{"airbench95", "airbench96", "cifar10-94"}

// skipLong skips likeOthers on the software emulation, which takes half a minute for one of them, unless TRAINER_LONG_TESTS
// is set (make test-long).
func skipLong(t *testing.T, name string) {
	t.Helper()
	if slices.Contains(likeOthers, name) && !emulated.OnGPU() && os.Getenv("TRAINER_LONG_TESTS") == "" {
		t.Skip("on the software emulation this is part of make test-long")
	}
}

// TestRecipeParity trains each built-in recipe with a small batch, and on a GPU also with the recipe's own batch.
func TestRecipeParity(t *testing.T) {
	for _, name := range recipe.NamesForDataSets() {
		t.Run(name, func(t *testing.T) {
			skipLong(t, name)
			cfg := recipeConfig(t, name, smallBatch(t, name, paritySteps), paritySteps)
			want := onCPU(t, cfg, paritySteps)
			got := onGPU(t, anyDevice(t), cfg, paritySteps)
			compareStart(t, got, want)
			compareGradients(t, got.gradients, want.gradients)
			compareState(t, got.state, want.state)
			compareLosses(t, got.losses, want.losses, recipeLossBound(cfg))
			if emulated.OnGPU() {
				t.Run("own batch", func(t *testing.T) { fullParity(t, name) })
			}
		})
	}
}

// gpuWork is roughly the number of floating-point operations that the CPU device may take for a recipe with its own batch.
const gpuWork = 5e12

// fullParity trains a recipe with its own batch. It doesn't compare gradients: among so many pooling windows, some have their
// maximum in different places on the two devices (see the bounds of gradients), which changes all gradients slightly.
func fullParity(t *testing.T, name string) {
	r := load(t, name)
	steps := int(min(max(2, gpuWork/(float64(r.Batch)*stepWork(t, r))), paritySteps))
	cfg := recipeConfig(t, name, r.Batch, steps)
	want := onCPU(t, cfg, steps)
	got := onGPU(t, anyDevice(t), cfg, steps)
	compareStart(t, got, want)
	compareState(t, got.state, want.state)
	compareLosses(t, got.losses, want.losses, recipeLossBound(cfg))
}

// load returns a built-in recipe.
func load(t *testing.T, name string) *recipe.Recipe {
	t.Helper()
	r, err := recipe.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	if r.ImageShape() == nil {
		t.Fatalf("recipe %s doesn't set the size of its images", name)
	}
	return r
}

// recipeConfig returns a configuration that trains a recipe for two epochs, which together have this number of steps or one
// more.
func recipeConfig(t *testing.T, name string, batch, steps int) train.Config {
	t.Helper()
	r, err := load(t, name).With(fmt.Sprintf("batch=%d", batch), "epochs=2")
	if err != nil {
		t.Fatal(err)
	}
	set := r.Data[0]
	return r.TrainConfig(nil, &data.Dataset{Name: set, Train: waves(set, batch*((steps+1)/2), r.ImageShape(), 1)}, 1)
}

// emulatedWork is roughly the number of floating-point operations that all steps of a recipe may take on the software
// emulation, which computes about 10^10 per second.
const emulatedWork = 20e9

// smallBatch returns a batch size with which this number of steps takes seconds on the software emulation. It is at least
// 2, because batch normalisation of a single image is meaningless.
func smallBatch(t *testing.T, name string, steps int) int {
	r := load(t, name)
	return min(r.Batch, max(2, int(emulatedWork/(float64(steps)*stepWork(t, r)))))
}

// stepWork returns the floating-point operations of a training step, for one image.
func stepWork(t *testing.T, r *recipe.Recipe) float64 {
	t.Helper()
	shape := r.ImageShape()
	net, err := nn.Compile(newCPU(t), r.Model(10), nn.Options{
		Input: shape, Batch: 1,
		Sample: func(int) ([]float32, nn.Shape, error) { return make([]float32, shape.Len()), shape, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return 3 * float64(net.FLOPs())
}

// compareStart checks everything that is computed before the first rounded sum: the initial weights by their bits, the
// augmented images of the first batch to within one unit in the last place (which also checks the order of the images), and
// the masks of dropout.
func compareStart(t *testing.T, got, want *trace) {
	t.Helper()
	if len(got.initial) != len(want.initial) || len(want.initial) == 0 {
		t.Errorf("%d tensors before the first step, want %d", len(got.initial), len(want.initial))
	}
	for name, w := range want.initial {
		if !slices.EqualFunc(got.initial[name], w, sameBits) {
			t.Errorf("%s differs before the first step", name)
		}
	}
	if len(got.input) != len(want.input) || len(want.input) == 0 {
		t.Fatalf("%d pixels, want %d", len(got.input), len(want.input))
	}
	for i, w := range want.input {
		if g := got.input[i]; g != w && g != math.Nextafter32(w, g) && !(math.Abs(float64(g-w)) <= float64(want.inputOff)) {
			t.Fatalf("pixel %d of the first batch is %v, want %v", i, g, w)
		}
	}
	compareDropouts(t, got.dropouts, want.dropouts)
}

func sameBits(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }

// compareDropouts checks the masks, except at zeros of the input, where a mask makes no difference.
func compareDropouts(t *testing.T, got, want []crossing) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d dropouts, want %d", len(got), len(want))
	}
	for k, w := range want {
		g, seen := got[k], 0
		for i := range w.x {
			if w.x[i] == 0 || g.x[i] == 0 {
				continue
			}
			seen++
			if (w.y[i] == 0) != (g.y[i] == 0) {
				t.Fatalf("dropout %d makes %v of element %d, want %v", k, g.y[i], i, w.y[i])
			}
		}
		if seen == 0 {
			t.Errorf("dropout %d: all inputs are zero, which hides its mask", k)
		}
	}
}

// The bounds of the first step's gradients, relative to the largest one of the parameter.
//
// Gradients of two devices differ by about 10^-5, because a sum of n terms is rounded n times. But the gradients of max
// pooling and ReLU are discontinuous: if the two largest elements of a window differ by less than a rounding error, the
// devices may send the gradient to different pixels, which changes every sum that contains it. In networks that begin as the
// identity, where GELU maps all negative values to nearly the same number, this happens in about one window in 10^5, and
// then changes the gradient of a filter by up to 2%. So most elements must satisfy a bound for rounding errors, and the rest
// a bound that no wrong formula would satisfy.
const (
	mostElements  = 0.9
	gradientBound = 1e-4 // for most
	movedBound    = 0.1  // for the rest
)

// compareGradients checks the gradients of each parameter against the bounds above.
func compareGradients(t *testing.T, got, want map[string][]float32) {
	t.Helper()
	if len(got) != len(want) || len(want) == 0 {
		t.Fatalf("%d parameters have gradients, want %d", len(got), len(want))
	}
	for name, w := range want {
		off := differences(t, name, got[name], w)
		most := off[int(mostElements*float64(len(off)-1))]
		largest := off[len(off)-1]
		if !(most <= gradientBound) || !(largest <= movedBound) {
			t.Errorf("gradients of %s: %v of them differ by at most %.2g of the largest, want %.2g; the others by at most %.2g, want %.2g",
				name, mostElements, most, gradientBound, largest, movedBound)
		}
	}
}

// stateBound is the largest difference between running statistics after the first step, relative to the largest statistic of
// the layer. Running statistics depend only on the forward pass, which is continuous.
const stateBound = 2e-5

func compareState(t *testing.T, got, want map[string][]float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d running statistics, want %d", len(got), len(want))
	}
	for name, w := range want {
		off := differences(t, name, got[name], w)
		if largest := off[len(off)-1]; !(largest <= stateBound) {
			t.Errorf("%s differs by %.2g of the largest, want at most %.2g", name, largest, stateBound)
		}
	}
}

// differences returns the absolute differences of the elements, divided by the largest wanted element, in ascending order.
// The difference from a NaN is infinite.
func differences(t *testing.T, name string, got, want []float32) []float64 {
	t.Helper()
	if len(got) != len(want) || len(want) == 0 {
		t.Fatalf("%s: %d elements, want %d", name, len(got), len(want))
	}
	var largest float64
	for _, w := range want {
		largest = max(largest, math.Abs(float64(w)))
	}
	off := make([]float64, len(want))
	for i, w := range want {
		if d := math.Abs(float64(got[i]) - float64(w)); d != 0 {
			off[i] = d / largest
		}
		if math.IsNaN(off[i]) {
			off[i] = math.Inf(1)
		}
	}
	slices.Sort(off)
	return off
}

// recipeLossBound returns the largest relative difference between the losses of a step; steps are numbered from 1. Before
// the first update there are only rounding errors, about 10^-7. Afterwards each step amplifies the differences left by the
// previous steps. SGD amplifies little: the largest differences were 2*10^-6 at step 3 and 4*10^-5 at step 15, in
// airbench93. Adam's first updates are as large as the learning rate, however small the gradient. If a gradient consists
// only of rounding errors, as after a normalisation over few images, its sign depends on the device. The losses of
// cifar10-basic differed by 10^-4 at the second step with some seeds; after a dozen steps, the losses of the recipes that
// use Adam differ as much as with another seed, by at most 11%. Muon's steps don't depend on the size of the gradient
// either: the CPU's losses of cifar10-94 by two instruction sets differed by 7*10^-6 at step 2 and by 4*10^-3 at step 6.
func recipeLossBound(cfg train.Config) func(step int) float64 {
	isSGD := onlySGD(cfg.Optimizer)
	return func(step int) float64 {
		switch {
		case step == 1:
			return 1e-6
		case isSGD:
			return 1e-5 * math.Pow(1.3, float64(step-2))
		}
		return min(1e-4*math.Pow(3, float64(step-2)), 0.25)
	}
}

// onlySGD reports whether SGD updates all parameters.
func onlySGD(c optim.Config) bool {
	return c.Kind() == "sgd" && !slices.ContainsFunc(c.Groups, func(g optim.Group) bool { return g.Rule != nil && g.Rule.Kind() != "sgd" })
}

// compareLosses checks the losses of steps against a bound.
func compareLosses(t *testing.T, got, want []float64, bound func(step int) float64) {
	t.Helper()
	if len(got) != len(want) || len(want) == 0 {
		t.Fatalf("losses of %d steps, want %d", len(got), len(want))
	}
	for i, w := range want {
		if off := math.Abs(got[i]-w) / math.Abs(w); !(off <= bound(i+1)) {
			t.Errorf("step %d: loss %v, want %v: %.2g apart, relatively, where %.2g are allowed", i+1, got[i], w, off, bound(i+1))
		}
	}
}
