package command

import (
	"context"
	"errors"
	"flag"
	"io"
	"strconv"
	"strings"

	"trainer/cmd/trainer/internal/figure"
	"trainer/nn"
	"trainer/nn/device"
)

// drawCommand draws a network, or the results of a run.
func drawCommand() Command {
	return Command{Name: "draw", Args: "KIND", Doc: "draw a network or a run's results (see draw -h)", Kinds: drawKinds, run: runDraw}
}

// drawKinds are the kinds of pictures.
var drawKinds = []string{"network", "augment", "run"}

var drawUsage = usage{
	about: "trainer draw draws a network, augmented images or a run's results, as PNG or SVG.",
	lines: []string{
		"trainer draw network [flags]        the architecture of a recipe's network",
		"trainer draw augment [flags]        what a recipe's augmentation does to training images",
		"trainer draw run [flags] RUNDIR     a run's network, curves, confusion matrix, filters of",
		"                                    the first convolution, predictions and feature maps;",
		"                                    of several seeds (-runs) the curves of all together",
	},
	notes: `trainer draw network -h, augment -h and run -h list their flags.

Examples:
  trainer draw network -recipe cifar10-basic -o network.svg
  trainer draw augment -recipe cifar10 -o augment.png
  trainer draw run runs/2026-01-31-mnist-mnist`,
}

func runDraw(ctx context.Context, p *program, args []string) error {
	if len(args) == 0 {
		return usageErrorf("missing kind of picture: trainer draw network or trainer draw run RUNDIR (see trainer draw -h)")
	}
	switch args[0] {
	case "network":
		return p.drawNetwork(args[1:])
	case "augment":
		return p.drawAugment(ctx, args[1:])
	case "run":
		return p.drawRun(ctx, args[1:])
	}
	if strings.HasPrefix(args[0], "-") {
		_, done, err := p.parseAnywhere(flag.NewFlagSet("draw", flag.ContinueOnError), drawUsage, args[:1])
		if done || err != nil {
			return err
		}
	}
	return usageErrorf("draw: unknown picture %q%s", args[0], suggest(args[0], drawKinds))
}

// networkOptions are the flags of trainer draw network.
type networkOptions struct {
	recipe, out string
	input       nn.Shape
	classes     int
}

func networkFlags(o *networkOptions) *flag.FlagSet {
	f := flag.NewFlagSet("draw network", flag.ContinueOnError)
	f.StringVar(&o.recipe, "recipe", "mnist", "`name` built-in recipe, or a TOML file")
	f.StringVar(&o.out, "o", "", "`file` file to write or replace, .png or .svg (default: the recipe's name with .png, if there is no such file)")
	f.Func("input", "`size` size of an image, rows x columns x channels as in 28x28x1 (default: the recipe's data set)", func(s string) (err error) {
		o.input, err = parseShape(s)
		return err
	})
	f.IntVar(&o.classes, "classes", 10, "`number` number of classes")
	return f
}

var networkUsage = usage{
	about: "trainer draw network draws the architecture of a recipe's network.",
	lines: []string{"trainer draw network [flags]"},
}

func parseShape(s string) (nn.Shape, error) {
	var shape nn.Shape
	for _, part := range strings.Split(s, "x") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 1 || n > 1<<16 {
			return nil, errors.New("want rows, columns and channels, as in 28x28x1")
		}
		shape = append(shape, n)
	}
	if len(shape) != 3 {
		return nil, errors.New("want rows, columns and channels, as in 28x28x1")
	}
	return shape, nil
}

// drawNetwork draws the architecture of a recipe's network.
func (p *program) drawNetwork(args []string) error {
	var o networkOptions
	f := networkFlags(&o)
	rest, done, err := p.parseAnywhere(f, networkUsage, args)
	if done || err != nil {
		return err
	}
	if len(rest) > 0 {
		return usageErrorf("draw network: unexpected argument %q", rest[0])
	}
	if o.classes < 1 {
		return usageErrorf("-classes: want a number from 1, got %d", o.classes)
	}
	r, err := p.Kinds.Load(o.recipe)
	if err != nil {
		return err
	}
	if o.input == nil {
		if o.input = r.ImageShape(); o.input == nil {
			return usageErrorf("recipe %s doesn't set the size of its images: pass -input, as in -input 32x32x3", r.Name)
		}
	}
	file, err := pictureFileFor(o.out, r.Name+".png")
	if err != nil {
		return err
	}
	dev, err := p.openHost(0)
	if err != nil {
		return err
	}
	defer dev.Close()
	model := r.Model(o.classes)
	net, err := nn.Compile(dev, model, nn.Options{Input: o.input, Batch: 1, Sample: noise(o.input)})
	if err != nil {
		return err
	}
	return p.writePicture(file, func(w io.Writer) error {
		return figure.Network(w, file.format(), r.Name, figure.Layers(net.Layers(), model, p.Kinds.Layers), o.input)
	})
}

// noise stands in for training images if the network's initial weights don't matter, or come from a file: some
// initialisers need images.
func noise(shape nn.Shape) func(n int) ([]float32, nn.Shape, error) {
	return func(int) ([]float32, nn.Shape, error) {
		const images = 8
		values := make([]float32, images*shape.Len())
		nn.InitContext{Stream: device.StreamInit}.Normal(values, 1)
		return values, shape, nil
	}
}
