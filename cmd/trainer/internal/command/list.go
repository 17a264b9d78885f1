package command

import (
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

// list prints everything that a flag or a recipe can name.
func (p *program) list() error {
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "Data sets (-data), with their numbers of training and test images:")
	for _, d := range p.Kinds.DataSets {
		fmt.Fprintf(w, "  %s\t%s\t(recipe %s)\n", d.Name, d.Doc, d.Recipe)
	}
	for _, form := range data.PathForms() {
		fmt.Fprintf(w, "  PATH\t%s\t(recipe %s)\n", form, data.FolderKind().Recipe)
	}
	fmt.Fprintln(w, "\nRecipes (-recipe; to print one: trainer recipe NAME):")
	for _, name := range recipe.Names() {
		r, err := p.Kinds.Load(name)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "  %s\t%s\n", name, r.Description)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(p.stdout, "\nIn recipes, the keys of each kind (* required) and their defaults:")
	listKeys(p.stdout, "Training (at the top)", recipe.Keys())
	listKeys(p.stdout, "Early stopping ([stop])", setting.Of(train.Stop{}))
	var layers []setting.Kind[nn.Layer]
	for _, k := range p.Kinds.Layers {
		layers = append(layers, setting.Kind[nn.Layer]{Name: k.Name, Doc: k.Doc, New: k.New})
	}
	listKinds(p.stdout, "Layers (layer = NAME)", layers)
	listKinds(p.stdout, "Initialisers (init, bias-init: a name, or { kind = NAME, ... })", p.Kinds.Initializers)
	listKinds(p.stdout, "Losses ([loss], kind = NAME)", p.Kinds.Losses)
	listKinds(p.stdout, "Transforms ([[augment.transform]], kind = NAME; with p, the probability that it is applied)", p.Kinds.Transforms)
	listKinds(p.stdout, "Schedules ([schedule], or [optimizer.group.schedule] for a group, kind = NAME; with warm-up, or warm-up-steps)", p.Kinds.Schedules)
	listKinds(p.stdout, "Optimisers ([optimizer] or [[optimizer.group]], kind = NAME, with lr, weight-decay, decoupled; optionally clip, lookahead, ema)", p.Kinds.Rules)
	w = tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nDevices (-device):")
	for _, kind := range p.Devices {
		dev, err := p.openKind(kind, 0, deviceOptions{})
		if err != nil {
			fmt.Fprintf(w, "  %s\t%v\n", kind.Name, device.Reason(err))
			continue
		}
		fmt.Fprintf(w, "  %s\t%s\n", dev.Name(), dev.Info().Description)
		dev.Close()
	}
	return w.Flush()
}

// listKinds prints kinds and their settings.
func listKinds[T any](out io.Writer, title string, kinds []setting.Kind[T]) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	defer w.Flush()
	fmt.Fprintf(w, "\n%s:\n", title)
	for _, k := range kinds {
		fmt.Fprintf(w, "  %s\t%s\n", k.Name, k.Doc)
		writeKeys(w, "    ", setting.Of(k.New()))
	}
}

// listKeys prints settings that are not those of a kind.
func listKeys(out io.Writer, title string, keys *setting.List) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	defer w.Flush()
	fmt.Fprintf(w, "\n%s:\n", title)
	writeKeys(w, "  ", keys)
}

func writeKeys(w io.Writer, indent string, keys *setting.List) {
	for _, key := range keys.All() {
		star := ""
		if key.Required {
			star = "*"
		}
		fmt.Fprintf(w, "%s%s%s\t  %s\n", indent, key.Key, star, key.Usage())
	}
}
