package bench

import (
	"context"
	"errors"
	"io"
	"testing"

	"trainer/nn/data"
	"trainer/nn/recipe"
	"trainer/nn/train"
)

// runStep measures whole training steps of the recipes: upload, augmentation, forward,
// loss, backward, update. Those for CIFAR-10 run on synthetic images of its size.
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
	split := &data.Split{Train: syntheticCIFAR(8 * r.Batch)}
	if r.Data[0] == "mnist" {
		if split, err = data.Open(context.Background(), "mnist", data.Options{}); err != nil {
			b.Fatal(err)
		}
	}
	d := open(b)
	s, err := train.NewStepper(r.TrainConfig(d, split, 1))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	l, err := data.NewLoader(data.LoaderConfig{Set: split.Train, Batch: r.Batch, Seed: 1, Shuffle: true, DropLast: true})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	epoch := 0
	l.Start(epoch, 0)
	step := func() {
		batch, err := l.Next()
		if errors.Is(err, io.EOF) {
			epoch++
			l.Start(epoch, 0)
			batch, err = l.Next()
		}
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Step(batch); err != nil {
			b.Fatal(err)
		}
		l.Release(batch)
	}
	step() // the first touches all memory
	b.ReportAllocs()
	loop(b, d, step)
	reportImages(b, r.Batch)
	reportFLOPs(b, d, 3*s.Network().FLOPs()*int64(r.Batch))
}
