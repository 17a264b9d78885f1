package recipe

import (
	"trainer/nn"
	"trainer/nn/augment"
	"trainer/nn/data"
	"trainer/nn/optim"
	"trainer/nn/setting"
)

// Kinds holds the kinds that recipes can name. A program with its own layer appends the layer's kind to BuiltIn's list:
//
//	kinds := recipe.BuiltIn()
//	kinds.Layers = append(kinds.Layers, nn.LayerKind{Name: "swish", Family: nn.Activation, New: func() nn.Layer { return Swish{} }})
//	r, err := kinds.Load("my.toml")
//
// A kind's settings are the keys of its table: see package setting.
type Kinds struct {
	Layers       []nn.LayerKind
	Losses       []nn.LossKind
	Initializers []nn.InitializerKind
	Rules        []optim.RuleKind
	Schedules    []optim.ScheduleKind
	Transforms   []augment.Kind
	DataSets     []data.SetKind
}

// BuiltIn returns the kinds of this project's packages.
func BuiltIn() Kinds {
	return Kinds{
		Layers:       nn.LayerKinds(),
		Losses:       nn.LossKinds(),
		Initializers: nn.InitializerKinds(),
		Rules:        optim.RuleKinds(),
		Schedules:    optim.ScheduleKinds(),
		Transforms:   augment.Kinds(),
		DataSets:     data.SetKinds(),
	}
}

// layers returns the kinds of layers in the form of the other kinds.
func (k *Kinds) layers() []setting.Kind[nn.Layer] {
	kinds := make([]setting.Kind[nn.Layer], len(k.Layers))
	for i, l := range k.Layers {
		kinds[i] = setting.Kind[nn.Layer]{Name: l.Name, Doc: l.Doc, New: l.New}
	}
	return kinds
}

// DefaultFor returns the name of the default recipe for a data set, or "" if it has none. If the argument isn't the
// name of a data set, it is the path of a folder of images.
func (k Kinds) DefaultFor(dataSet string) string {
	for _, d := range k.DataSets {
		if d.Name == dataSet {
			return d.Recipe
		}
	}
	return data.FolderKind().Recipe
}
