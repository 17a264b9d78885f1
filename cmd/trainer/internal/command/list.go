package command

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"trainer/nn/optim"
	"trainer/nn/recipe"
)

// list prints everything that can be named.
func (p *program) list() error {
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "Data sets (-data):")
	for _, d := range [][2]string{
		{"mnist", "60,000 and 10,000 handwritten digits, 28x28 gray; in the program"},
		{"fashion-mnist", "60,000 and 10,000 pieces of clothing, 28x28 gray"},
		{"cifar10", "50,000 and 10,000 photographs of 10 things, 32x32 colour"},
		{"DIR", "a folder with one subfolder of PNG or JPEG images a class"},
	} {
		fmt.Fprintf(w, "  %s\t%s\t(recipe %s)\n", d[0], d[1], recipe.DefaultFor(strings.Replace(d[0], "DIR", "folder", 1)))
	}
	fmt.Fprintln(w, "\nRecipes (-recipe; trainer recipe NAME prints one):")
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
	fmt.Fprintf(w, "Optimizers:\t%s; with groups, clip, lookahead, ema\n", strings.Join(optim.Algorithms(), ", "))
	fmt.Fprintf(w, "Schedules:\t%s; with warm-up\n", strings.Join(recipe.ScheduleKinds(), ", "))
	fmt.Fprintln(w, "\nDevices (-device):")
	dev, err := p.openCPU(0)
	if err != nil {
		return err
	}
	defer dev.Close()
	fmt.Fprintf(w, "  cpu\t%s\n", dev.Info().Description)
	p.listGPU(w)
	return w.Flush()
}

func (p *program) listGPU(w io.Writer) {
	dev, err := p.openDevice(deviceOptions{device: "cuda"})
	if err != nil {
		fmt.Fprintf(w, "  cuda\t%v\n", why(errors.Unwrap(err)))
		return
	}
	defer dev.Close()
	fmt.Fprintf(w, "  %s\t%s\n", dev.Name(), dev.Info().Description)
}

// listLayers prints the layers and their keys.
func listLayers(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	defer w.Flush()
	fmt.Fprintln(w, "\nLayers of a recipe (layer = NAME), their keys (* needed) and defaults:")
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
