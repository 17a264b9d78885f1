package command

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"image"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"trainer/cmd/trainer/internal/figure"
	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/train"
)

// augmentOptions are the flags of trainer draw augment.
type augmentOptions struct {
	recipe, data, dataDir, out string
	images, epochs             int
	seed                       uint64
}

func augmentFlags(o *augmentOptions) *flag.FlagSet {
	f := flag.NewFlagSet("draw augment", flag.ContinueOnError)
	f.StringVar(&o.recipe, "recipe", "mnist", "`name` recipe, or a TOML file")
	f.StringVar(&o.data, "data", "", "`name` data set, or a folder with one subfolder of images per class (default that of the recipe)")
	f.StringVar(&o.dataDir, "data-dir", "", "`folder` folder with the data set's files (default: embedded, cached or downloaded)")
	f.StringVar(&o.out, "o", "", "`file` file to write or replace, .png or .svg (default: the recipe's name with -augment.png, if there is no such file)")
	f.IntVar(&o.images, "images", 8, "`number` of training images")
	f.IntVar(&o.epochs, "epochs", 8, "`number` of epochs")
	f.Uint64Var(&o.seed, "seed", 0, "`number` random seed")
	return f
}

var augmentUsage = usage{
	about: "trainer draw augment draws what a recipe's augmentation does to the first training images.",
	lines: []string{"trainer draw augment [flags]"},
}

// drawAugment draws what a recipe's augmentation makes of the first training images.
func (p *program) drawAugment(ctx context.Context, args []string) error {
	var o augmentOptions
	f := augmentFlags(&o)
	rest, done, err := p.parseAnywhere(f, augmentUsage, args)
	if done || err != nil {
		return err
	}
	if len(rest) > 0 {
		return usageErrorf("draw augment: unexpected argument %q", rest[0])
	}
	const most = 32
	if o.images < 1 || o.images > most || o.epochs < 1 || o.epochs > most {
		return usageErrorf("-images and -epochs: want 1 to %d, got %d and %d", most, o.images, o.epochs)
	}
	r, err := p.Kinds.Load(o.recipe)
	if err != nil {
		return err
	}
	if o.data == "" {
		if o.data, err = dataOf(r); err != nil {
			return err
		}
		if o.data == "" {
			return usageErrorf("recipe %s names no data set: pass -data", r.Name)
		}
	}
	file, err := pictureFileFor(o.out, r.Name+"-augment.png")
	if err != nil {
		return err
	}
	j, err := p.prepare(ctx, &options{recipe: o.recipe, data: o.data, dataDir: o.dataDir, seed: o.seed, deviceOptions: deviceOptions{device: "cpu"}, earlier: earlier{drawn: true}})
	if err != nil {
		return err
	}
	defer j.dev.Close()
	rows, err := augmented(j.config(o.seed), min(o.images, j.split.Train.Len()), o.epochs)
	if err != nil {
		return err
	}
	return p.writePicture(file, func(w io.Writer) error {
		return figure.Augmentations(w, file.format(), r.Name+" on "+filepath.Base(o.data)+": augmentation", describeAugment(j.recipe.Augment), rows)
	})
}

// augmented returns the first images of the training set with what augmentation makes of them.
func augmented(cfg train.Config, images, epochs int) ([]figure.Augmented, error) {
	h, w, c := cfg.Data.Train.ImageShape()
	ids := make([]int32, images)
	for i := range ids {
		ids[i] = int32(i)
	}
	seen, err := train.Preview(cfg, ids, epochs)
	if err != nil {
		return nil, err
	}
	rows := make([]figure.Augmented, images)
	for i := range rows {
		if rows[i], err = original(cfg.Data.Train, i); err != nil {
			return nil, err
		}
		for _, epoch := range seen {
			picture, err := figure.Pixels(epoch[i].Pixels, h, w, c)
			if err != nil {
				return nil, err
			}
			rows[i].Epochs = append(rows[i].Epochs, picture)
			rows[i].Targets = append(rows[i].Targets, describeTargets(epoch[i].Targets, cfg.Data.Train.Classes(), rows[i].Class))
		}
	}
	return rows, nil
}

// original returns a training image as it is.
func original(set data.Set, i int) (figure.Augmented, error) {
	h, w, c := set.ImageShape()
	pixels := make([]byte, h*w*c)
	label, err := set.Read(i, pixels)
	if err != nil {
		return figure.Augmented{}, &dataError{err}
	}
	var picture image.Image
	if picture, err = figure.Pixels(pixels, h, w, c); err != nil {
		return figure.Augmented{}, err
	}
	return figure.Augmented{Original: picture, Class: set.Classes()[label]}, nil
}

// describeTargets names the two largest shares of classes in a mixed image; an image that is all of its own class needs no
// words.
func describeTargets(targets []float32, classes []string, own string) []string {
	var parts []int
	for k, share := range targets {
		if share > 0.005 {
			parts = append(parts, k)
		}
	}
	if len(parts) == 1 && classes[parts[0]] == own {
		return nil
	}
	slices.SortStableFunc(parts, func(a, b int) int { return cmp.Compare(targets[b], targets[a]) })
	var text []string
	for _, k := range parts[:min(2, len(parts))] {
		text = append(text, fmt.Sprintf("%.0f%% %s", 100*targets[k], classes[k]))
	}
	return text
}

// describeAugment names the transforms of an augmentation in order.
func describeAugment(a train.Augment) string {
	var names []string
	for _, item := range a.Transforms {
		names = append(names, item.Kind())
	}
	switch a.Flip {
	case device.FlipRandom:
		names = append(names, "flip")
	case device.FlipAlternating:
		names = append(names, "alternating flip")
	}
	if a.Crop > 0 {
		names = append(names, fmt.Sprintf("crop %d", a.Crop))
	}
	if a.Cutout > 0 {
		names = append(names, fmt.Sprintf("cutout %d", a.Cutout))
	}
	if len(names) == 0 {
		return "no augmentation"
	}
	return strings.Join(names, ", ")
}
