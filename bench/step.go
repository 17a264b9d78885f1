package bench

import (
	"context"
	"testing"

	"trainer/nn/data"
	"trainer/nn/recipe"
)

// runStep measures whole training steps of the recipes: upload, augmentation, forward,
// loss, backward, update. Recipes for CIFAR-10 run on synthetic images of the same size.
func runStep(b *testing.B) {
	for _, c := range []struct {
		recipe  string
		changes []string
	}{
		{"mnist-basic", nil},
		{"mnist", nil},
		{"cifar10-basic", nil},
		{"cifar10", nil},
		{"airbench94", []string{"batch=250"}},
	} {
		b.Run(c.recipe, func(b *testing.B) { benchStep(b, c.recipe, c.changes) })
	}
}

func benchStep(b *testing.B, name string, changes []string) {
	r, err := recipe.LoadWith(name, changes)
	if err != nil {
		b.Fatal(err)
	}
	split := &data.Dataset{Train: SyntheticImages(8*r.Batch, 32, 32, 3)}
	if r.Data[0] == "mnist" {
		if split, err = data.Open(context.Background(), "mnist", data.Options{}); err != nil {
			b.Fatal(err)
		}
	}
	d := open(b)
	t, err := NewTraining(r.TrainConfig(d, split, 1), data.LoaderConfig{Set: split.Train, Batch: r.Batch, Seed: 1, Shuffle: true, DropLast: true})
	if err != nil {
		b.Fatal(err)
	}
	defer t.Close()
	step := func() {
		if err := t.Step(); err != nil {
			b.Fatal(err)
		}
	}
	step() // the first step touches all memory for the first time
	b.ReportAllocs()
	loop(b, d, step)
	reportImages(b, r.Batch)
	reportFLOPs(b, d, 3*t.Network().FLOPs()*int64(r.Batch))
}
