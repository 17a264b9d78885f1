package command

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"trainer/nn/device"
	"trainer/nn/optim"
	"trainer/nn/recipe"
)

// list prints everything that a flag or a recipe can name.
func (p *program) list() error {
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "Data sets (-data), with their numbers of training and test images:")
	for _, d := range [][2]string{
		{"mnist", "60,000 + 10,000 handwritten digits, 28x28 grey; embedded in the program"},
		{"fashion-mnist", "60,000 + 10,000 pieces of clothing, 28x28 grey"},
		{"cifar10", "50,000 + 10,000 photographs of animals and vehicles, 32x32 colour"},
		{"DIR", "a folder with one subfolder of PNG, JPEG, GIF, BMP, TIFF or WebP images per class"},
	} {
		fmt.Fprintf(w, "  %s\t%s\t(recipe %s)\n", d[0], d[1], recipe.DefaultFor(strings.Replace(d[0], "DIR", "folder", 1)))
	}
	fmt.Fprintln(w, "\nRecipes (-recipe; to print one: trainer recipe NAME):")
	for _, name := range recipe.Names() {
		r, err := recipe.Load(name)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "  %s\t%s\n", name, r.Description)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	listLayers(p.stdout)
	w = tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nInitialisers (init, bias-init: a name, or { kind = NAME, ... }):")
	for _, k := range recipe.InitializerKinds() {
		fmt.Fprintf(w, "  %s\t%s\n", k.Kind, k.Doc)
	}
	fmt.Fprintf(w, "\nLosses:\t%s\n", strings.Join(recipe.LossKinds(), ", "))
	fmt.Fprintf(w, "Optimizers:\t%s; optionally with groups, clip, lookahead, ema\n", strings.Join(optim.Algorithms(), ", "))
	fmt.Fprintf(w, "Schedules:\t%s; optionally with warm-up\n", strings.Join(recipe.ScheduleKinds(), ", "))
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

// listLayers prints the layers and their keys.
func listLayers(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	defer w.Flush()
	fmt.Fprintln(w, "\nLayers of a recipe (layer = NAME), with their keys (* required) and defaults:")
	for _, k := range recipe.LayerKinds() {
		fmt.Fprintf(w, "  %s\t%s\n", k.Kind, k.Doc)
		for _, key := range k.Keys {
			star := ""
			if key.Required {
				star = "*"
			}
			fmt.Fprintf(w, "    %s%s\t  %s\n", key.Name, star, key.Doc)
		}
	}
}
