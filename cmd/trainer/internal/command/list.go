package command

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/recipe"
	"trainer/nn/setting"
	"trainer/nn/train"
)

// listed is everything that a flag or a recipe can name.
type listed struct {
	DataSets []listedData   `json:"data_sets"`
	Forms    []listedData   `json:"paths"` // what a path of data can be
	Recipes  []listedName   `json:"recipes"`
	Keys     []listedKeys   `json:"keys"`  // of recipes, which are not those of a kind
	Groups   []listedGroup  `json:"kinds"` // of recipes
	Devices  []listedDevice `json:"devices"`
}

type listedName struct {
	Name string `json:"name"`
	Doc  string `json:"description"`
}

type listedData struct {
	listedName
	Recipe string `json:"recipe"` // the default one
}

// listedKeys is a table of recipes with keys.
type listedKeys struct {
	title string
	Name  string      `json:"table"`
	Keys  []listedKey `json:"keys"`
}

// listedGroup is a list of kinds, such as that of the layers.
type listedGroup struct {
	title string
	Name  string       `json:"group"`
	Kinds []listedKind `json:"kinds"`
}

type listedKind struct {
	listedName
	Keys []listedKey `json:"keys"`
}

type listedKey struct {
	Key      string `json:"key"`
	Required bool   `json:"required"`
	Usage    string `json:"usage"`
}

type listedDevice struct {
	listedName
	Usable bool `json:"usable"`
}

// list prints everything that a flag or a recipe can name.
func (p *program) list(asJSON bool) error {
	l, err := p.listed()
	if err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(p.stdout).Encode(l)
	}
	return l.write(p.stdout)
}

// listed collects the names.
func (p *program) listed() (*listed, error) {
	l := &listed{}
	for _, d := range p.Kinds.DataSets {
		l.DataSets = append(l.DataSets, listedData{listedName{d.Name, d.Doc}, d.Recipe})
	}
	for _, form := range data.PathForms() {
		l.Forms = append(l.Forms, listedData{listedName{"PATH", form}, data.FolderKind().Recipe})
	}
	for _, name := range recipe.Names() {
		r, err := p.Kinds.Load(name)
		if err != nil {
			return nil, err
		}
		l.Recipes = append(l.Recipes, listedName{name, r.Description})
	}
	l.Keys = []listedKeys{
		{"Training (at the top)", "training", keysOf(recipe.Keys())},
		{"Early stopping ([stop])", "stop", keysOf(setting.Of(train.Stop{}))},
	}
	var layers []setting.Kind[nn.Layer]
	for _, k := range p.Kinds.Layers {
		layers = append(layers, setting.Kind[nn.Layer]{Name: k.Name, Doc: k.Doc, New: k.New})
	}
	l.Groups = []listedGroup{
		groupOf("layers", "Layers (layer = NAME)", layers),
		groupOf("initialisers", "Initialisers (init, bias-init: a name, or { kind = NAME, ... })", p.Kinds.Initializers),
		groupOf("losses", "Losses ([loss], kind = NAME)", p.Kinds.Losses),
		groupOf("transforms", "Transforms ([[augment.transform]], kind = NAME; with p, the probability that it is applied)", p.Kinds.Transforms),
		groupOf("schedules", "Schedules ([schedule], or [optimizer.group.schedule] for a group, kind = NAME; with warm-up, or warm-up-steps)", p.Kinds.Schedules),
		groupOf("optimisers", "Optimisers ([optimizer] or [[optimizer.group]], kind = NAME, with lr, weight-decay, decoupled; optionally clip, lookahead, ema)", p.Kinds.Rules),
	}
	for _, kind := range p.Devices {
		dev, err := p.openKind(kind, 0, deviceOptions{})
		if err != nil {
			l.Devices = append(l.Devices, listedDevice{listedName{kind.Name, device.Reason(err)}, false})
			continue
		}
		l.Devices = append(l.Devices, listedDevice{listedName{dev.Name(), dev.Info().Description}, true})
		dev.Close()
	}
	return l, nil
}

// groupOf lists kinds and their settings.
func groupOf[T any](name, title string, kinds []setting.Kind[T]) listedGroup {
	g := listedGroup{title: title, Name: name}
	for _, k := range kinds {
		g.Kinds = append(g.Kinds, listedKind{listedName{k.Name, k.Doc}, keysOf(setting.Of(k.New()))})
	}
	return g
}

func keysOf(settings *setting.List) []listedKey {
	keys := []listedKey{}
	for _, s := range settings.All() {
		keys = append(keys, listedKey{s.Key, s.Required, s.Usage()})
	}
	return keys
}

// write prints the listing as text.
func (l *listed) write(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "Data sets (-data), with their numbers of training and test images:")
	for _, d := range append(l.DataSets, l.Forms...) {
		fmt.Fprintf(w, "  %s\t%s\t(recipe %s)\n", d.Name, d.Doc, d.Recipe)
	}
	fmt.Fprintln(w, "\nRecipes (-recipe; to print one: trainer recipe NAME):")
	for _, r := range l.Recipes {
		fmt.Fprintf(w, "  %s\t%s\n", r.Name, r.Doc)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out, "\nIn recipes, the keys of each kind (* required) and their defaults:")
	for _, k := range l.Keys {
		fmt.Fprintf(w, "\n%s:\n", k.title)
		writeKeys(w, "  ", k.Keys)
		if err := w.Flush(); err != nil {
			return err
		}
	}
	for _, g := range l.Groups {
		fmt.Fprintf(w, "\n%s:\n", g.title)
		for _, k := range g.Kinds {
			fmt.Fprintf(w, "  %s\t%s\n", k.Name, k.Doc)
			writeKeys(w, "    ", k.Keys)
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	fmt.Fprintln(w, "\nDevices (-device):")
	for _, d := range l.Devices {
		fmt.Fprintf(w, "  %s\t%s\n", d.Name, d.Doc)
	}
	return w.Flush()
}

func writeKeys(w io.Writer, indent string, keys []listedKey) {
	for _, k := range keys {
		star := ""
		if k.Required {
			star = "*"
		}
		fmt.Fprintf(w, "%s%s%s\t  %s\n", indent, k.Key, star, k.Usage)
	}
}
