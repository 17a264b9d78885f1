package nn_test

import (
	"fmt"
	"math"
	"testing"

	"trainer/nn"
	"trainer/nn/device"
	"trainer/nn/recipe"
)

// The gradients of single layers are checked against central differences of
// L = sum_i r_i y_i with random r, summed in float64. With the step h:
//
//   - the formula's error is h^2/6 times the third derivative of L, about 1e-5 here;
//   - y is rounded to float32, so that L is off by about sqrt(m) 2^-24 |y| for the m outputs
//     that change, and the difference by that over h: with m = 100 and |y| up to 3, 4e-4;
//   - inputs are more than h from any kink.
//
// A wrong factor, sign or index changes gradients by a good part of their size, which is
// about 1. A tolerance of 2e-3 lies well between.
const (
	gradientStep      = 5e-3
	gradientTolerance = 2e-3
)

func TestLayerGradients(t *testing.T) {
	image := nn.Shape{5, 6, 4}
	smooth := nn.NewSequential(
		nn.Conv2D{OutC: 4, Kernel: nn.Square(3), Same: true}, nn.BatchNorm{}, nn.Tanh{},
	)
	type layerCase struct {
		name  string
		layer nn.Layer
		in    nn.Shape
	}
	cases := []layerCase{
		{"conv2d", nn.Conv2D{OutC: 3, Kernel: nn.Pair{H: 3, W: 2}}, image},
		{"conv2d-everything", nn.Conv2D{OutC: 6, Kernel: nn.Pair{H: 2, W: 3}, Stride: nn.Pair{H: 2, W: 1}, Padding: nn.Pair{H: 1, W: 2}, Dilation: nn.Pair{H: 1, W: 2}, Groups: 2}, image},
		{"conv2d-depthwise-no-bias", nn.Conv2D{OutC: 4, Kernel: nn.Square(3), Same: true, Groups: 4, NoBias: true}, image},
		{"conv2d-frozen", nn.Conv2D{OutC: 3, Kernel: nn.Square(3), Frozen: true}, image},
		{"max-pool2d", nn.MaxPool2D{Kernel: nn.Square(2)}, image},
		{"max-pool2d-overlapping", nn.MaxPool2D{Kernel: nn.Square(3), Stride: nn.Square(2), Padding: nn.Square(1)}, image},
		{"avg-pool2d", nn.AvgPool2D{Kernel: nn.Square(3), Stride: nn.Square(2), Padding: nn.Square(1)}, image},
		{"avg-pool2d-excluding", nn.AvgPool2D{Kernel: nn.Square(3), Stride: nn.Square(2), Padding: nn.Square(1), ExcludePadding: true}, image},
		{"conv2d-same-upper", nn.Conv2D{OutC: 3, Kernel: nn.Square(3), Stride: nn.Square(2), SameUpper: true}, image},
		{"conv2d-same-lower", nn.Conv2D{OutC: 3, Kernel: nn.Pair{H: 2, W: 4}, SameLower: true}, image},
		{"conv2d-same-even", nn.Conv2D{OutC: 3, Kernel: nn.Square(2), Same: true}, image},
		{"conv2d-unequal-padding", nn.Conv2D{OutC: 3, Kernel: nn.Square(3), Padding: nn.Pair{H: 0, W: 2}, ExtraPadding: nn.Pair{H: 1, W: -2}}, image},
		{"max-pool2d-dilated-ceil", nn.MaxPool2D{Kernel: nn.Square(2), Stride: nn.Square(2), Dilation: nn.Pair{H: 1, W: 2}, CeilMode: true}, image},
		{"avg-pool2d-ceil", nn.AvgPool2D{Kernel: nn.Square(3), Stride: nn.Square(2), Padding: nn.Square(1), CeilMode: true}, image},
		{"avg-pool2d-same-lower", nn.AvgPool2D{Kernel: nn.Square(2), SameLower: true, ExcludePadding: true}, image},
		{"avg-pool2d-dilated", nn.AvgPool2D{Kernel: nn.Square(2), Stride: nn.Square(1), Dilation: nn.Square(2), Padding: nn.Pair{W: 1}}, image},
		{"global-avg-pool", nn.GlobalAvgPool{}, image},
		{"global-max-pool", nn.GlobalMaxPool{}, image},
		{"batch-norm-image", nn.BatchNorm{}, image},
		{"batch-norm-vector", nn.BatchNorm{}, nn.Shape{7}},
		{"batch-norm-frozen-scale", nn.BatchNorm{FrozenScale: true, Epsilon: 0.3}, image},
		{"leaky-relu-0.2", nn.LeakyReLU{Slope: 0.2}, image},
		{"flatten", nn.Flatten{}, image},
		{"dense", nn.Dense{Out: 5}, nn.Shape{9}},
		{"dense-no-bias", nn.Dense{Out: 1, NoBias: true}, nn.Shape{9}},
		{"dropout", nn.Dropout{Rate: 0.3}, image},
		{"dropout-zero", nn.Dropout{}, image},
		{"scale", nn.Scale{By: -1.5}, image},
		{"residual-identity", nn.Residual{Body: smooth}, image},
		{"residual-single-layer", nn.Residual{Body: nn.Tanh{}}, image},
		{"residual-shortcut", nn.Residual{
			Body:     nn.NewSequential(smooth, nn.Conv2D{OutC: 5, Kernel: nn.Square(1), Stride: nn.Square(2)}),
			Shortcut: nn.Conv2D{OutC: 5, Kernel: nn.Square(1), Stride: nn.Square(2), NoBias: true},
		}, image},
		{"residual-nested", nn.Residual{
			Body:     nn.NewSequential(smooth, nn.Residual{Body: smooth}, nn.Sigmoid{}),
			Shortcut: nn.NewSequential(smooth, nn.Residual{Body: smooth, Shortcut: nn.Residual{Body: smooth}}),
		}, image},
		{"sequential-of-residuals", nn.NewSequential(
			nn.Residual{Body: smooth}, nn.Sigmoid{}, nn.Residual{Body: smooth}, nn.Flatten{}, nn.Dense{Out: 3},
		), image},
	}
	for _, a := range nn.Activations() {
		cases = append(cases, layerCase{a.Activation().Function.Name, a, image})
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dev := newCPU(t)
			checkLayer(t, dev, c.layer, c.in)
		})
	}
}

// checkLayer compares all gradients of a layer with differences, on a batch smaller than
// the layer was built for.
func checkLayer(t *testing.T, dev device.Device, layer nn.Layer, in nn.Shape) {
	t.Helper()
	const rows, batch = 3, 4
	built, err := nn.BuildUnit(dev, layer, in, batch, 1)
	if err != nil {
		t.Fatal(err)
	}
	// Initial biases of 0 and scales of 1 would hide faults.
	for i, p := range built.Params {
		if p.Role != nn.Weight {
			upload(t, dev, p.Value, random(uint64(100+i), p.Value.Len()))
		}
	}
	n := rows * in.Len()
	xs := spread(2, n, 0.02)
	x := newTensor(t, dev, xs, append([]int{rows}, in...)...)
	y := built.Unit.Forward(x, nn.Training)
	r := random(3, y.Len())
	loss := func() float64 {
		sum := 0.0
		for i, v := range download(t, dev, built.Unit.Forward(x, nn.Training)) {
			sum += float64(r[i]) * float64(v)
		}
		return sum
	}
	// Backward may overwrite dy.
	dx := built.Unit.Backward(newTensor(t, dev, r, y.Shape()...))
	if dx == nil {
		t.Fatal("Backward returned no gradient")
	}
	if got, want := fmt.Sprint(dx.Shape()), fmt.Sprint(x.Shape()); got != want {
		t.Errorf("dx has the shape %s, x %s", got, want)
	}
	compare(t, dev, "dx", x, download(t, dev, dx), loss)
	for _, p := range built.Params {
		if p.Grad == nil {
			continue
		}
		compare(t, dev, "d"+p.Name, p.Value, download(t, dev, p.Grad), loss)
	}
}

// compare checks the gradient of loss with respect to every element of x.
func compare(t *testing.T, dev device.Device, name string, x *device.Tensor, gradient []float32, loss func() float64) {
	t.Helper()
	values := download(t, dev, x)
	worst, at, scale := 0.0, 0, 1.0
	for i, v := range values {
		scale = max(scale, math.Abs(float64(gradient[i])))
		want := difference(t, dev, x, values, i, gradientStep, loss)
		if d := math.Abs(float64(gradient[i]) - want); !(d <= worst) {
			worst, at = d, i
		}
		values[i] = v
	}
	if !(worst <= gradientTolerance*scale) {
		t.Errorf("%s[%d] = %v is off by %.2g, with gradients up to %.2g", name, at, gradient[at], worst, scale)
	}
}

// difference returns the central difference of loss with respect to element i of x, and restores x.
func difference(t *testing.T, dev device.Device, x *device.Tensor, values []float32, i int, step float32, loss func() float64) float64 {
	t.Helper()
	v := values[i]
	hi, lo := v+step, v-step
	values[i] = hi
	upload(t, dev, x, values)
	up := loss()
	values[i] = lo
	upload(t, dev, x, values)
	down := loss()
	values[i] = v
	upload(t, dev, x, values)
	return (up - down) / (float64(hi) - float64(lo))
}

// The gradients of whole networks are compared with differences of the mean loss, which is
// computed from the outputs in float64. ReLU and max pooling have kinks, and a step in one
// weight moves thousands of units, a few of them across a kink: each of these spoils its
// own share of the gradient. So the step is short, and the tolerance is 2% of the largest
// gradient in the tensor, plus the error from rounding the outputs to float32, 2^-24 |z| /
// h < 1e-3.
const (
	networkStep      = 3e-4
	networkTolerance = 0.02
	networkRounding  = 1e-3
)

func TestNetworkGradients(t *testing.T) {
	cases := []struct {
		name  string
		model nn.Layer
		in    nn.Shape
		loss  nn.Loss
	}{
		{"teaching-mnist", builtIn(t, "mnist-basic"), nn.Shape{8, 8, 1}, nn.CrossEntropy{}},
		{"teaching-mnist-mse", builtIn(t, "mnist-basic"), nn.Shape{8, 8, 1}, nn.MeanSquaredError{}},
		{"teaching-cifar10", builtIn(t, "cifar10-basic"), nn.Shape{8, 8, 3}, nn.CrossEntropy{Smoothing: 0.2}},
		{"mnist", builtIn(t, "mnist"), nn.Shape{16, 16, 1}, nn.CrossEntropy{Sum: true}},
		{"airbench", narrowAirbench(), nn.Shape{26, 26, 3}, nn.CrossEntropy{Smoothing: 0.2}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { checkNetwork(t, c.model, c.in, c.loss) })
	}
}

// builtIn returns the network of a built-in recipe with 10 outputs.
func builtIn(t *testing.T, name string) *nn.Sequential {
	t.Helper()
	r, err := recipe.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return r.Model(10)
}

// narrowAirbench is the network of the recipe airbench94 with groups of 4, 6 and 8 channels.
func narrowAirbench() *nn.Sequential {
	norm := nn.BatchNorm{Epsilon: 1e-12, Momentum: 0.4, FrozenScale: true}
	layers := []nn.Layer{
		nn.Named("whiten", nn.Conv2D{OutC: 24, Kernel: nn.Square(2), Init: nn.Whitening{}, BiasInit: nn.Zeros(), Frozen: true}),
		nn.GELU{},
	}
	for _, width := range []int{4, 6, 8} {
		conv := nn.Conv2D{OutC: width, Kernel: nn.Square(3), Same: true, NoBias: true, Init: nn.Dirac{}}
		layers = append(layers, conv, nn.MaxPool2D{Kernel: nn.Square(2)}, norm, nn.GELU{}, conv, norm, nn.GELU{})
	}
	return nn.NewSequential(append(layers, nn.MaxPool2D{Kernel: nn.Square(3)}, nn.Flatten{}, nn.Dense{Out: 10, NoBias: true}, nn.Scale{By: 1.0 / 9})...)
}

// checkNetwork checks the gradients of a network in which some layers may be frozen.
func checkNetwork(t *testing.T, model nn.Layer, in nn.Shape, loss nn.Loss, freeze ...string) {
	t.Helper()
	dev := newCPU(t)
	const batch = 6
	n := compile(t, dev, model, nn.Options{
		Input: in, Batch: batch, Training: true, Seed: 5, Loss: loss, Freeze: freeze,
		Sample: func(int) ([]float32, nn.Shape, error) { return random(6, 20*in.Len()), in, nil },
	})
	for i, p := range n.State() {
		values := random(uint64(40+i), p.Value.Len())
		for k := range values {
			values[k] = values[k]/4 + 1 // as a mean it is far from the batch's, and as a variance it is positive
		}
		upload(t, dev, p.Value, values)
	}
	x := newTensor(t, dev, random(7, batch*in.Len()), append([]int{batch}, in...)...)
	classes := []int32{0, 3, 9, 3, 1, 7}
	labels := newLabels(t, dev, classes...)
	dev.Zero(n.Stats())
	n.Forward(x, nn.Training)
	n.Loss(labels)
	n.Backward(labels)
	value := func() float64 {
		return hostLoss(loss, download(t, dev, n.Forward(x, nn.Training)), classes)
	}
	stats := download(t, dev, n.Stats())
	total := value()
	if !sums(loss) {
		total *= batch
	}
	if math.Abs(float64(stats[device.StatLoss])-total) > 1e-4*total || stats[device.StatCount] != batch {
		t.Errorf("stats %v, want a loss of %v over %d examples", stats, total, batch)
	}
	for _, p := range n.Params() {
		if p.Grad == nil {
			continue
		}
		gradient := download(t, dev, p.Grad)
		largest := 0.0
		for _, g := range gradient {
			largest = max(largest, math.Abs(float64(g)))
		}
		values := download(t, dev, p.Value)
		for k := range min(8, len(values)) {
			i := device.Below(device.RandomWord(8, device.StreamShuffle, 2, uint64(k)), len(values))
			want := difference(t, dev, p.Value, values, i, networkStep, value)
			if d := math.Abs(float64(gradient[i]) - want); !(d <= networkTolerance*largest+networkRounding) {
				t.Errorf("gradient of %s[%d] is %v, the difference %v; gradients up to %.2g", p.Name, i, gradient[i], want, largest)
			}
		}
	}
}

func sums(l nn.Loss) bool {
	switch l := l.(type) {
	case nn.CrossEntropy:
		return l.Sum
	case nn.MeanSquaredError:
		return l.Sum
	}
	panic("not a loss")
}

// hostLoss is the loss of a batch with ten outputs per example, in float64.
func hostLoss(l nn.Loss, outputs []float32, labels []int32) float64 {
	const classes = 10
	total := 0.0
	for i, label := range labels {
		z := outputs[i*classes : (i+1)*classes]
		switch l := l.(type) {
		case nn.CrossEntropy:
			exps := 0.0
			for _, v := range z {
				exps += math.Exp(float64(v))
			}
			for k, v := range z {
				q := float64(l.Smoothing) / classes
				if k == int(label) {
					q += 1 - float64(l.Smoothing)
				}
				total -= q * (float64(v) - math.Log(exps))
			}
		case nn.MeanSquaredError:
			for k, v := range z {
				d := float64(v)
				if k == int(label) {
					d--
				}
				total += d * d / classes
			}
		}
	}
	if sums(l) {
		return total
	}
	return total / float64(len(labels))
}
