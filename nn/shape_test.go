package nn_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"trainer/nn"
)

func TestOutputShapes(t *testing.T) {
	image := nn.Shape{11, 8, 4}
	cases := []struct {
		layer nn.Layer
		in    nn.Shape
		want  string
	}{
		{nn.Conv2D{OutC: 6, Kernel: nn.Square(3)}, image, "9x6x6"},
		{nn.Conv2D{OutC: 6, Kernel: nn.Pair{H: 5, W: 1}, Stride: nn.Pair{H: 2, W: 3}, Padding: nn.Pair{H: 1, W: 0}}, image, "5x3x6"},
		{nn.Conv2D{OutC: 6, Kernel: nn.Pair{H: 5, W: 3}, Same: true}, image, "11x8x6"},
		{nn.Conv2D{OutC: 6, Kernel: nn.Square(3), Same: true, Dilation: nn.Square(3)}, image, "11x8x6"},
		{nn.Conv2D{OutC: 6, Kernel: nn.Square(3), Dilation: nn.Square(3)}, image, "5x2x6"},
		{nn.Conv2D{OutC: 6, Kernel: nn.Square(3), Same: true, Stride: nn.Square(2)}, image, "6x4x6"},
		{nn.Conv2D{OutC: 6, Kernel: nn.Square(2), Same: true}, image, "11x8x6"},
		{nn.Conv2D{OutC: 6, Kernel: nn.Square(3), Stride: nn.Square(2), SameUpper: true}, image, "6x4x6"},
		{nn.Conv2D{OutC: 6, Kernel: nn.Square(2), Stride: nn.Square(4), SameLower: true}, image, "3x2x6"},
		{nn.Conv2D{OutC: 6, Kernel: nn.Square(3), Padding: nn.Pair{H: 0, W: 1}, ExtraPadding: nn.Pair{H: 2, W: -1}}, image, "11x7x6"},
		{nn.ConvTranspose2D{OutC: 6, Kernel: nn.Square(3)}, image, "13x10x6"},
		{nn.ConvTranspose2D{OutC: 6, Kernel: nn.Square(4), Stride: nn.Square(2), Padding: nn.Square(1)}, image, "22x16x6"},
		{nn.ConvTranspose2D{OutC: 2, Kernel: nn.Square(3), Stride: nn.Pair{H: 3, W: 2}, OutputPadding: nn.Square(1)}, nn.Shape{3, 3, 1}, "10x8x2"},
		{nn.ConvTranspose2D{OutC: 6, Kernel: nn.Pair{H: 3, W: 2}, Stride: nn.Pair{H: 2, W: 5}, SameUpper: true}, image, "22x40x6"},
		{nn.ConvTranspose2D{OutC: 1, Kernel: nn.Square(2), Dilation: nn.Square(2), OutputPadding: nn.Square(1)}, nn.Shape{3, 3, 1}, "6x6x1"},
		{nn.MaxPool2D{Kernel: nn.Square(2)}, image, "5x4x4"},
		{nn.MaxPool2D{Kernel: nn.Square(2), CeilMode: true}, image, "6x4x4"},
		{nn.MaxPool2D{Kernel: nn.Square(3), Stride: nn.Square(2), Dilation: nn.Square(2)}, image, "4x2x4"},
		{nn.AvgPool2D{Kernel: nn.Square(3), Stride: nn.Square(2), SameUpper: true, ExcludePadding: true}, image, "6x4x4"},
		// The third window would begin in the padding at the right, so it does not count.
		{nn.AvgPool2D{Kernel: nn.Square(2), Stride: nn.Square(3), Padding: nn.Square(1), CeilMode: true}, nn.Shape{5, 5, 1}, "2x2x1"},
		{nn.AvgPool2D{Kernel: nn.Square(3), Stride: nn.Square(2), Padding: nn.Square(1)}, image, "6x4x4"},
		{nn.GlobalAvgPool{}, image, "4"},
		{nn.GlobalMaxPool{}, image, "4"},
		{nn.BatchNorm{}, image, "11x8x4"},
		{nn.Flatten{}, image, "352"},
		{nn.Flatten{}, nn.Shape{5}, "5"},
		{nn.Dense{Out: 3}, nn.Shape{5}, "3"},
		{nn.Dropout{Rate: 0.5}, image, "11x8x4"},
		{nn.Scale{By: 2}, image, "11x8x4"},
		{nn.Residual{Body: nn.ReLU{}}, image, "11x8x4"},
		{builtIn(t, "mnist-basic"), nn.Shape{28, 28, 1}, "10"},
		{builtIn(t, "cifar10-basic"), nn.Shape{32, 32, 3}, "10"},
		{builtIn(t, "mnist"), nn.Shape{28, 28, 1}, "10"},
		{builtIn(t, "airbench94"), nn.Shape{32, 32, 3}, "10"},
	}
	for _, c := range cases {
		got, err := c.layer.OutputShape(c.in)
		if err != nil || got.String() != c.want {
			t.Errorf("%s %+v of %v: got %v, %v, want %s", c.layer.Kind(), c.layer, c.in, got, err, c.want)
		}
	}
}

// An error names the innermost layer and states what it got and what it needs.
func TestShapeErrors(t *testing.T) {
	image := nn.Shape{8, 8, 3}
	conv := nn.Conv2D{OutC: 4, Kernel: nn.Square(3), Same: true}
	cases := []struct {
		name  string
		layer nn.Layer
		where string
		words []string
	}{
		{"conv of a vector", nn.NewSequential(nn.Flatten{}, conv), "conv1", []string{"192", "image"}},
		{"window too large", nn.NewSequential(conv, nn.Conv2D{OutC: 2, Kernel: nn.Square(9)}), "conv2", []string{"8x8", "9x9"}},
		{"no kernel", nn.NewSequential(nn.Conv2D{OutC: 2}), "conv1", []string{"kernel is 0x0", "a whole number from 1"}},
		{"no filters", nn.NewSequential(nn.Conv2D{Kernel: nn.Square(1)}), "conv1", []string{"out is 0"}},
		{"negative stride", nn.NewSequential(nn.Conv2D{OutC: 2, Kernel: nn.Square(1), Stride: nn.Square(-1)}), "conv1", []string{"stride is -1x-1"}},
		{"negative padding", nn.NewSequential(nn.Conv2D{OutC: 2, Kernel: nn.Square(1), Padding: nn.Square(-1)}), "conv1", []string{"padding is [-1 -1 -1 -1]"}},
		{"negative dilation", nn.NewSequential(nn.Conv2D{OutC: 2, Kernel: nn.Square(1), Dilation: nn.Square(-1)}), "conv1", []string{"dilation is -1x-1"}},
		{"groups", nn.NewSequential(nn.Conv2D{OutC: 4, Kernel: nn.Square(1), Groups: 2}), "conv1", []string{"3 channels", "2 groups"}},
		{"negative groups", nn.NewSequential(nn.Conv2D{OutC: 4, Kernel: nn.Square(1), Groups: -1}), "conv1", []string{"groups is -1"}},
		{"negative padding below", nn.NewSequential(nn.Conv2D{OutC: 2, Kernel: nn.Square(1), ExtraPadding: nn.Pair{H: -1}}), "conv1", []string{"padding is [0 0 -1 0]"}},
		{"two kinds of same", nn.NewSequential(nn.MaxPool2D{Kernel: nn.Square(2), SameUpper: true, SameLower: true}), "pool1", []string{"SameUpper", "one of them"}},
		{"padding between the elements", nn.NewSequential(nn.MaxPool2D{Kernel: nn.Pair{H: 2, W: 1}, Dilation: nn.Square(9), Padding: nn.Pair{H: 1}}), "pool1", []string{"padding is [1 0 1 0]", "2x1"}},
		{"transposed of a vector", nn.NewSequential(nn.Flatten{}, nn.ConvTranspose2D{OutC: 4, Kernel: nn.Square(3)}), "conv-transpose1", []string{"192", "image"}},
		{"transposed groups", nn.NewSequential(nn.ConvTranspose2D{OutC: 4, Kernel: nn.Square(3), Groups: 3}), "conv-transpose1", []string{"4 output channels", "3 groups"}},
		{"transposed to nothing", nn.NewSequential(nn.ConvTranspose2D{OutC: 4, Kernel: nn.Square(1), Padding: nn.Square(4)}), "conv-transpose1", []string{"0x0", "less padding"}},
		{"output padding", nn.NewSequential(nn.ConvTranspose2D{OutC: 4, Kernel: nn.Square(3), Stride: nn.Square(2), OutputPadding: nn.Square(2)}), "conv-transpose1", []string{"output-padding is 2x2", "1x1"}},
		{"output padding of a set size", nn.NewSequential(nn.ConvTranspose2D{OutC: 4, Kernel: nn.Square(3), Stride: nn.Square(2), OutputPadding: nn.Square(1), SameUpper: true}), "conv-transpose1", []string{"output-padding is 1x1", "0"}},
		{"transposed too large", nn.NewSequential(nn.ConvTranspose2D{OutC: 1, Kernel: nn.Square(1), Stride: nn.Square(1 << 20)}), "conv-transpose1", []string{"7340033x7340033x1", "2147483647"}},
		{"too many filters", nn.NewSequential(nn.Conv2D{OutC: 1 << 24, Kernel: nn.Pair{H: 1 << 20, W: 1}, Padding: nn.Pair{H: 1 << 20}}), "conv1", []string{"2147483647"}},
		{"padding too large", nn.NewSequential(nn.Conv2D{OutC: 1, Kernel: nn.Square(1), Padding: nn.Square(1 << 24)}), "conv1", []string{"33554440x33554440x3", "2147483647"}},
		{"kernel beyond any recipe", nn.NewSequential(nn.Conv2D{OutC: 1, Kernel: nn.Square(1 << 40)}), "conv1", []string{"kernel is", "16777216"}},
		{"too many weights", nn.NewSequential(nn.Flatten{}, nn.Dense{Out: 1 << 24}), "dense1", []string{"192x16777216", "2147483647"}},
		{"same and padding", nn.NewSequential(nn.Conv2D{OutC: 4, Kernel: nn.Square(3), Same: true, Padding: nn.Square(2)}), "conv1", []string{"2x2", "Same"}},
		{"pool too large", nn.NewSequential(nn.MaxPool2D{Kernel: nn.Square(4)}, nn.MaxPool2D{Kernel: nn.Square(3)}), "pool2", []string{"2x2", "3x3"}},
		{"pool padding", nn.NewSequential(nn.AvgPool2D{Kernel: nn.Square(2), Padding: nn.Square(2)}), "pool1", []string{"padding is [2 2 2 2]", "less"}},
		{"global pool of a vector", nn.NewSequential(nn.Flatten{}, nn.GlobalAvgPool{}), "pool1", []string{"192"}},
		{"dense of an image", nn.NewSequential(conv, nn.Dense{Out: 10}), "dense1", []string{"8x8x4", "flatten"}},
		{"no outputs", nn.NewSequential(nn.Flatten{}, nn.Dense{}), "dense1", []string{"out is 0"}},
		{"dropout rate", nn.NewSequential(nn.Dropout{Rate: 1}), "dropout1", []string{"rate is 1"}},
		{"scale by nothing", nn.NewSequential(nn.Scale{}), "scale1", []string{"by is 0"}},
		{"slope", nn.NewSequential(nn.LeakyReLU{Slope: -1}), "leaky-relu1", []string{"slope is -1"}},
		{"epsilon", nn.NewSequential(nn.BatchNorm{Epsilon: -1}), "norm1", []string{"epsilon is -1"}},
		{"momentum", nn.NewSequential(nn.BatchNorm{Momentum: 1.5}), "norm1", []string{"momentum is 1.5"}},
		{"residual", nn.NewSequential(nn.Residual{Body: conv}), "residual1", []string{"8x8x4", "8x8x3"}},
		{"residual without body", nn.NewSequential(nn.Residual{}), "residual1", []string{"no body"}},
		{"nested", nn.NewSequential(conv, nn.Named("block2", nn.NewSequential(conv, nn.Dense{Out: 2}))), "block2.dense1", []string{"8x8x4"}},
		{"in a body", nn.NewSequential(nn.Residual{Body: nn.NewSequential(conv, nn.Dense{Out: 2})}), "residual1.body.dense1", []string{"8x8x4"}},
		{"in a shortcut", nn.NewSequential(nn.Named("r", nn.Residual{Body: conv, Shortcut: nn.Dense{Out: 1}})), "r.shortcut.dense1", []string{"8x8x3"}},
		{"empty container", nn.NewSequential(nn.NewSequential()), "sequential1", []string{"no layers"}},
		{"whitening without data", nn.NewSequential(nn.Named("b", nn.NewSequential(
			nn.Conv2D{OutC: 24, Kernel: nn.Square(2), Init: nn.Whitening{}})), nn.Flatten{}), "b.conv1", []string{"training images"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := nn.Compile(newCPU(t), c.layer, nn.Options{Input: image, Batch: 2})
			var layer *nn.LayerError
			if !errors.As(err, &layer) {
				t.Fatalf("error %v, want a LayerError", err)
			}
			if layer.Layer != c.where {
				t.Errorf("the error is in layer %q, want %q: %v", layer.Layer, c.where, err)
			}
			for _, w := range c.words {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("the error %q does not say %q", err, w)
				}
			}
			if strings.Count(err.Error(), "layer ") != 1 {
				t.Errorf("the error %q names more than one layer", err)
			}
		})
	}
}

func TestCompileErrors(t *testing.T) {
	good := nn.Options{Input: nn.Shape{28, 28, 1}, Batch: 4}
	with := func(change func(*nn.Options)) nn.Options {
		o := good
		change(&o)
		return o
	}
	cases := []struct {
		name  string
		model nn.Layer
		opt   nn.Options
		words string
	}{
		{"batch", builtIn(t, "mnist-basic"), with(func(o *nn.Options) { o.Batch = 0 }), "batch is 0"},
		{"no input", builtIn(t, "mnist-basic"), with(func(o *nn.Options) { o.Input = nil }), "no shape"},
		{"negative input", builtIn(t, "mnist-basic"), with(func(o *nn.Options) { o.Input = nn.Shape{-4, -7, 1} }), "-4x-7x1"},
		{"batch too large", nn.NewSequential(nn.Flatten{}, nn.Dense{Out: 1 << 21}), with(func(o *nn.Options) { o.Batch = 1 << 20 }), "a batch of at most 524288"},
		{"input too large", builtIn(t, "mnist-basic"), with(func(o *nn.Options) { o.Input = nn.Shape{1 << 20, 1 << 20, 1} }), "2147483647"},
		{"no loss", builtIn(t, "mnist-basic"), with(func(o *nn.Options) { o.Training = true }), "needs a loss"},
		{"smoothing", builtIn(t, "mnist-basic"), with(func(o *nn.Options) { o.Loss = nn.CrossEntropy{Smoothing: 1} }), "smoothing is 1"},
		{"image as output", nn.NewSequential(nn.ReLU{}), good, "28x28x1"},
		{"no layers", nn.NewSequential(), good, "no layers"},
		{"nil layer", nn.NewSequential(nn.Flatten{}, nil), good, "layer 2 of 2 is nil"},
		{"two names", nn.NewSequential(nn.Named("a", nn.ReLU{}), nn.Named("a", nn.Flatten{})), good, `two layers are named "a"`},
		{"taken name", nn.NewSequential(nn.Named("relu1", nn.Flatten{}), nn.ReLU{}), good, `two layers are named "relu1"`},
		{"dot", nn.NewSequential(nn.Named("a.b", nn.Flatten{})), good, "dot"},
		{"empty name", nn.NewSequential(nn.Named("", nn.Flatten{})), good, "empty"},
	}
	for _, c := range cases {
		_, err := nn.Compile(newCPU(t), c.model, c.opt)
		if err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.words)
		}
	}
}

func TestNames(t *testing.T) {
	conv := nn.Conv2D{OutC: 3, Kernel: nn.Square(3), Same: true}
	model := nn.NewSequential(
		conv, nn.ReLU{}, nn.MaxPool2D{Kernel: nn.Square(2)}, nn.AvgPool2D{Kernel: nn.Square(1)},
		nn.Named("stem", conv), nn.ReLU{}, conv,
		nn.Named("block", nn.NewSequential(conv, nn.BatchNorm{}, nn.ReLU{}, nn.NewSequential(conv))),
		nn.Residual{Body: nn.NewSequential(conv, nn.ReLU{}), Shortcut: conv},
		nn.GlobalAvgPool{}, nn.Dense{Out: 2},
	)
	for _, fused := range []bool{true, false} {
		n := compile(t, hide(newCPU(t), !fused), model, nn.Options{Input: nn.Shape{4, 4, 3}, Batch: 1})
		var rows, tensors []string
		for _, r := range n.Layers() {
			rows = append(rows, r.Name+" "+r.Kind+" "+r.Output.String())
		}
		for _, p := range n.Tensors() {
			tensors = append(tensors, p.Name)
		}
		equal(t, "rows", rows, []string{
			"conv1 conv2d 4x4x3", "relu1 relu 4x4x3", "pool1 max-pool2d 2x2x3", "pool2 avg-pool2d 2x2x3",
			"stem conv2d 2x2x3", "relu2 relu 2x2x3", "conv2 conv2d 2x2x3",
			"block sequential 2x2x3", "block.conv1 conv2d 2x2x3", "block.norm1 batch-norm 2x2x3", "block.relu1 relu 2x2x3",
			"block.sequential1 sequential 2x2x3", "block.sequential1.conv1 conv2d 2x2x3",
			"residual1 residual 2x2x3", "residual1.body.conv1 conv2d 2x2x3", "residual1.body.relu1 relu 2x2x3",
			"residual1.shortcut.conv1 conv2d 2x2x3",
			"pool3 global-avg-pool 3", "dense1 dense 2",
		})
		equal(t, "tensors", tensors, []string{
			"conv1.weight", "conv1.bias", "stem.weight", "stem.bias", "conv2.weight", "conv2.bias",
			"block.conv1.weight", "block.conv1.bias", "block.norm1.weight", "block.norm1.bias",
			"block.sequential1.conv1.weight", "block.sequential1.conv1.bias",
			"residual1.body.conv1.weight", "residual1.body.conv1.bias",
			"residual1.shortcut.conv1.weight", "residual1.shortcut.conv1.bias",
			"dense1.weight", "dense1.bias",
			"block.norm1.running_mean", "block.norm1.running_var",
		})
	}
}

func equal(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s are\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// The counts of the teaching network follow from its description: 8 filters of 3x3 with one
// bias each, 13*13*8 inputs times 10 outputs and 10 biases; a multiply and an add for each
// weight at each position.
func TestCounts(t *testing.T) {
	n := compile(t, newCPU(t), builtIn(t, "mnist-basic"), nn.Options{Input: nn.Shape{28, 28, 1}, Batch: 3})
	if want := 8*9 + 8 + 13*13*8*10 + 10; n.NumParams() != want {
		t.Errorf("%d parameters, want %d", n.NumParams(), want)
	}
	if want := int64(2*26*26*8*9 + 2*13*13*8*10); n.FLOPs() != want {
		t.Errorf("%d FLOPs, want %d", n.FLOPs(), want)
	}
	total := 0
	for _, r := range n.Layers() {
		total += r.Params
	}
	if total != n.NumParams() {
		t.Errorf("the rows have %d parameters, the network %d", total, n.NumParams())
	}
	if n.Classes() != 10 || n.Batch() != 3 || n.Input().String() != "28x28x1" {
		t.Errorf("%d classes, batch %d, input %v", n.Classes(), n.Batch(), n.Input())
	}
	airbench := compile(t, newCPU(t), builtIn(t, "airbench94"), nn.Options{
		Input: nn.Shape{32, 32, 3}, Batch: 1,
		Sample: func(int) ([]float32, nn.Shape, error) { return random(1, 4*32*32*3), nn.Shape{32, 32, 3}, nil },
	})
	// 24 whitening filters and biases; six 3x3 convolutions; shift and scale of six
	// normalisations; 256 inputs to 10 outputs.
	want := 24*12 + 24 + 9*(24*64+64*64+64*256+256*256+256*256+256*256) + 2*2*(64+256+256) + 2560
	if airbench.NumParams() != want {
		t.Errorf("airbench has %d parameters, want %d", airbench.NumParams(), want)
	}
}
