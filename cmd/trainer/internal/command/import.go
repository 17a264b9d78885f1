package command

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/model"
	"trainer/nn/printable"
	"trainer/nn/recipe"
)

// importCommand makes models of other programs' weights.
func importCommand() Command {
	return Command{Name: "import", Args: "FILE", Doc: "make a model of weights from PyTorch or ONNX", run: runImport}
}

// importOptions are the flags of trainer import.
type importOptions struct {
	recipe, out, classes, names string
	changes                     []string
}

func importFlags(o *importOptions) *flag.FlagSet {
	f := flag.NewFlagSet("import", flag.ContinueOnError)
	f.StringVar(&o.recipe, "recipe", "", "`name` built-in recipe, or a TOML file, that describes the network")
	f.StringVar(&o.out, "o", "", "`file` model to write (default: FILE with -model.safetensors)")
	f.StringVar(&o.classes, "classes", "", "`file` text file with one class per line, in the order of the network's outputs, or their number (default: numbered as in FILE)")
	f.StringVar(&o.names, "map", "", "`file` text file with two names per line: a layer's or tensor's in FILE, and in the network")
	f.Func("set", "`key=value` set another value of the recipe, such as data.size=160; may be repeated", func(s string) error {
		o.changes = append(o.changes, s)
		return nil
	})
	return f
}

var importUsage = usage{
	about: "trainer import makes a model of the weights of another program.",
	lines: []string{"trainer import [flags] FILE -recipe NAME     a state dict in safetensors, or an ONNX file"},
	notes: `Every tensor of the recipe's network must be in FILE: by its name, by torchvision's and timm's name
(recipe resnet18), by a name that -map translates, or by its shape if there is no choice. Layouts are
converted.
The size of the images is the recipe's (data.size). Images are normalised by the recipe's augment.mean
and augment.std, and without these by the usual values of ImageNet.

In PyTorch, write a state dict with
  safetensors.torch.save_file(network.state_dict(), "weights.safetensors")

Examples:
  trainer import resnet18.safetensors -recipe resnet18 -classes imagenet.txt -o resnet18-model.safetensors
  trainer -init-from resnet18-model.safetensors -data pictures/    train it on your own pictures`,
}

func runImport(_ context.Context, p *program, args []string) error {
	var o importOptions
	f := importFlags(&o)
	rest, done, err := p.parseAnywhere(f, importUsage, args)
	if done || err != nil {
		return err
	}
	if len(rest) != 1 {
		return usageErrorf("import takes one file: trainer import FILE -recipe NAME (trainer import -h lists the flags)")
	}
	if o.recipe == "" {
		return usageErrorf("-recipe is missing: it describes the network that the weights are of")
	}
	path := o.out
	if path == "" {
		path = strings.TrimSuffix(rest[0], filepath.Ext(rest[0])) + "-model.safetensors"
	}
	if _, err := os.Stat(path); o.out == "" && err == nil {
		return usageErrorf("%s exists: pass -o to write to another place, or to replace it", path)
	}
	r, err := p.Kinds.Load(o.recipe, o.changes...)
	if err != nil {
		return err
	}
	w, err := model.OpenWeights(rest[0])
	if err != nil {
		return err
	}
	if o.names != "" {
		if err := renameBy(w, o.names); err != nil {
			return err
		}
	}
	return p.importWeights(w, r, path, &o)
}

// importWeights writes the model.
func (p *program) importWeights(w *model.Weights, r *recipe.Recipe, path string, o *importOptions) error {
	info, err := describeImport(w, r, o)
	if err != nil {
		return err
	}
	dev, err := p.openDevice(deviceOptions{device: p.Devices[len(p.Devices)-1].Name})
	if err != nil {
		return err
	}
	defer dev.Close()
	layers := r.Model(len(info.Classes))
	shape := nn.Shape{info.Images.Height, info.Images.Width, info.Images.Channels}
	net, err := nn.Compile(dev, layers, nn.Options{Input: shape, Batch: 1, Sample: zeros(shape)})
	if err != nil {
		return err
	}
	report, err := w.Apply(net, layers, info.Classes)
	if err != nil {
		return err
	}
	if len(report.Fresh) > 0 {
		return usageErrorf("%s; the model would be incomplete: import needs weights for the whole network (train with -init-from to begin with a part)", report)
	}
	if err := model.Save(path, net, *info); err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "%s\n%s\n", printable.Text(report.String()), printable.Text(path))
	return nil
}

// zeros gives the initialisers that look at data something to look at. The file's weights replace what they compute.
func zeros(shape nn.Shape) func(n int) ([]float32, nn.Shape, error) {
	return func(n int) ([]float32, nn.Shape, error) {
		x := make([]float32, n*shape.Len())
		nn.InitContext{Stream: device.StreamInit}.Normal(x, 1)
		return x, shape, nil
	}
}

// describeImport returns the description of the model.
func describeImport(w *model.Weights, r *recipe.Recipe, o *importOptions) (*model.Info, error) {
	classes, err := classesOfImport(w, r, o.classes)
	if err != nil {
		return nil, err
	}
	shape := r.ImageShape()
	if shape == nil && w.Info() != nil {
		images := w.Info().Images
		shape = nn.Shape{images.Height, images.Width, images.Channels}
	}
	if shape == nil {
		return nil, usageErrorf("the recipe %s doesn't say how large the images are: add -set data.size=224", r.Name)
	}
	mean, std, err := normalizationOfImport(w, r, shape[2])
	if err != nil {
		return nil, err
	}
	pictures := r.Pictures
	prepare := data.Preparation{
		H: shape[0], W: shape[1], C: shape[2], Resize: pictures.Resize, Background: pictures.Background, IgnoreOrientation: pictures.IgnoreOrientation,
	}
	name := r.Name
	if r, err = r.WithMeanStd(mean, std); err != nil {
		return nil, err
	}
	text, err := r.TOML()
	if err != nil {
		return nil, err
	}
	return &model.Info{
		Recipe: string(text), Classes: classes, Images: model.ImagesOf(prepare, mean, std),
		Run: model.Run{Recipe: name, Weights: "last", Finished: true},
	}, nil
}

// normalizationOfImport returns the recipe's mean and standard deviation, or the file's, or ImageNet's.
func normalizationOfImport(w *model.Weights, r *recipe.Recipe, channels int) (mean, std []float32, err error) {
	if mean, std = r.Augment.Mean, r.Augment.Std; len(mean) == channels {
		return mean, std, nil
	}
	if w.Info() != nil && w.Info().Images.Channels == channels {
		return w.Info().Images.Mean, w.Info().Images.Std, nil
	}
	if channels != 3 {
		return nil, nil, usageErrorf("the recipe %s doesn't say how images are normalised: add -set augment.mean=[0.5] -set augment.std=[0.5], with the values that the network was trained with", r.Name)
	}
	return []float32{.485, .456, .406}, []float32{.229, .224, .225}, nil // of ImageNet's training images, as torchvision has them
}

// classesOfImport returns the names of the classes: from a file, or as many numbers as the file's last layer has outputs.
func classesOfImport(w *model.Weights, r *recipe.Recipe, list string) ([]string, error) {
	switch {
	case list == "" && w.Info() != nil:
		return w.Info().Classes, nil
	case list == "" && len(r.Pictures.Classes) > 0:
		return r.Pictures.Classes, nil
	}
	n, err := strconv.Atoi(list)
	if list != "" && err != nil {
		return readClasses(list)
	}
	if list == "" {
		if n = w.Outputs(r.Model(2)); n == 0 {
			return nil, usageErrorf("how many classes the weights are for can't be told from %s: pass -classes FILE, or their number", w.Path())
		}
	}
	if n < 1 || n > 1<<20 {
		return nil, usageErrorf("-classes: want a file, or a number from 1")
	}
	var classes []string
	for k := range n {
		classes = append(classes, strconv.Itoa(k))
	}
	return classes, nil
}

// renameBy renames weights by the lines of a file, which have two names each. Lines that begin with # are comments.
func renameBy(w *model.Weights, path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("-map: %w", err)
	}
	names := map[string]string{}
	for k, line := range strings.Split(string(text), "\n") {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0 || strings.HasPrefix(fields[0], "#"):
		case len(fields) == 2:
			names[fields[0]] = fields[1]
		default:
			return usageErrorf("-map: %s: line %d is %q, want two names: one in the file and one of the network", path, k+1, strings.TrimSpace(line))
		}
	}
	if err := w.Rename(names); err != nil {
		return usageErrorf("-map: %v", err)
	}
	return nil
}

// readClasses reads names of classes, one per line.
func readClasses(path string) ([]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("-classes: %w", err)
	}
	seen := map[string]int{}
	var classes []string
	for line := range strings.Lines(string(text)) {
		name := strings.TrimSpace(strings.TrimPrefix(line, "\ufeff"))
		if name == "" {
			continue
		}
		classes = append(classes, name)
		if seen[name]++; seen[name] > 1 {
			return nil, usageErrorf("-classes: %s has the class %q twice", path, name)
		}
	}
	if len(classes) == 0 {
		return nil, usageErrorf("-classes: %s has no classes: want one per line", path)
	}
	return classes, nil
}
