package command

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"trainer/cmd/trainer/internal/learn"
	"trainer/cmd/trainer/internal/serve"
	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/inspect"
	"trainer/nn/model"
	"trainer/nn/recipe"
)

// What trainer serve serves: trained models, for /predict and the page, and untrained recipes, for the page only.

// served is what the arguments name.
type served struct {
	models   []serve.Model
	networks []serve.Network
	names    []string
}

// openServed opens the models and recipes that the arguments name. The page computes on a device of its own, shown.
func (p *program) openServed(args []string, dev, shown device.Device, o *serveOptions) (*served, error) {
	s := &served{}
	for _, arg := range args {
		add := p.addModel
		if p.isRecipe(arg) {
			add = p.addRecipe
		}
		if err := add(s, arg, dev, shown, o); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// addExample adds the worked example of docs/backpropagation.md, unless one of the arguments has its name.
func (s *served) addExample(shown device.Device) error {
	if slices.Contains(s.names, learn.ExampleName) {
		return nil
	}
	x, err := learn.OpenExample(shown)
	if err != nil {
		return err
	}
	s.networks = append(s.networks, serve.ExampleNetwork(x))
	return nil
}

// isRecipe reports whether an argument is a recipe, and not a model.
func (p *program) isRecipe(arg string) bool {
	if filepath.Ext(arg) == ".toml" {
		return true
	}
	_, err := os.Stat(arg)
	return err != nil && slices.Contains(recipe.Names(), arg)
}

// addModel adds a trained model.
func (p *program) addModel(s *served, path string, dev, shown device.Device, o *serveOptions) error {
	m, err := p.openModel(path, dev, &o.inferenceOptions)
	if err != nil {
		return err
	}
	name := s.name(path)
	s.models = append(s.models, serve.Model{Name: name, Trained: m})
	info := m.Info()
	n := serve.Network{
		Name: name, Trained: true, Classes: info.Classes, Images: info.Images,
		Open: func() (*inspect.Session, error) { return inspect.Of(m, shown, p.Kinds) },
	}
	if slices.Contains(data.NamesOf(p.Kinds.DataSets), info.Run.Data) {
		n.Samples = p.testPictures(info.Run.Data, info.Images)
	}
	s.networks = append(s.networks, n)
	return nil
}

// addRecipe adds an untrained network.
func (p *program) addRecipe(s *served, arg string, _, shown device.Device, _ *serveOptions) error {
	r, err := p.Kinds.Load(arg)
	if err != nil {
		return err
	}
	shape := r.ImageShape()
	if shape == nil {
		return usageErrorf("serve: recipe %s doesn't set the size of its images, so that its untrained network can't be shown; add image-size to the recipe", r.Name)
	}
	dataSet := ""
	if len(r.Data) > 0 {
		dataSet = r.Data[0]
	}
	mean, std, ok := r.MeanStd(dataSet)
	if !ok {
		mean, std = slices.Repeat([]float32{0}, shape[2]), slices.Repeat([]float32{1}, shape[2])
	}
	images := model.ImagesOf(data.Preparation{H: shape[0], W: shape[1], C: shape[2]}, mean, std)
	n := serve.Network{Name: s.name(arg), Images: images}
	for k := range unknownClasses {
		n.Classes = append(n.Classes, fmt.Sprint(k))
	}
	if slices.Contains(data.NamesOf(p.Kinds.DataSets), dataSet) {
		n.Samples = p.testPictures(dataSet, images)
		if test, err := n.Samples(); err == nil {
			n.Classes = test.Classes()
		}
	}
	classes := len(n.Classes)
	n.Open = func() (*inspect.Session, error) {
		return inspect.New(shown, r.Model(classes), inspect.Options{Input: shape, Mean: mean, Std: std, Loss: r.Loss, Sample: noise(shape)})
	}
	if err := fits(r.Model(classes), shape); err != nil {
		return err
	}
	s.networks = append(s.networks, n)
	return nil
}

// unknownClasses is the number of classes of an untrained network whose data set is not on this machine.
const unknownClasses = 10

// fits returns an error if a network can't take images of a shape.
func fits(network nn.Layer, shape nn.Shape) error {
	_, err := network.OutputShape(shape)
	return err
}

// testPictures returns a function that opens the test set of a named data set, without downloading, when it is first called.
func (p *program) testPictures(dataSet string, images model.Images) func() (data.Set, error) {
	return sync.OnceValues(func() (data.Set, error) {
		d, err := data.OpenFrom(context.Background(), p.Kinds.DataSets, dataSet, data.Options{})
		if err != nil {
			return nil, err
		}
		if h, w, c := d.Test.ImageShape(); h != images.Height || w != images.Width || c != images.Channels {
			return nil, fmt.Errorf("the images of %s have other sizes than the network's", dataSet)
		}
		return d.Test, nil
	})
}

// name returns the name of an argument in requests and on the page: that of the run's folder or of the file, with a number
// if it is taken.
func (s *served) name(path string) string {
	whole, err := filepath.Abs(path)
	if err != nil {
		whole = path
	}
	name := filepath.Base(whole)
	if slices.Contains(append(model.Files(), model.BestName), name) {
		name = filepath.Base(filepath.Dir(whole))
	} else if info, err := os.Stat(path); err == nil && !info.IsDir() {
		name = strings.TrimSuffix(name, filepath.Ext(name))
	}
	numbered := name
	for n := 2; slices.Contains(s.names, numbered); n++ {
		numbered = fmt.Sprintf("%s-%d", name, n)
	}
	s.names = append(s.names, numbered)
	return numbered
}
