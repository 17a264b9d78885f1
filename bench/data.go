package bench

import (
	"context"
	"testing"

	"trainer/nn/data"
	"trainer/nn/device"
)

// runData measures opening MNIST, loading shuffled batches, and augmentation.
func runData(b *testing.B) {
	b.Run("open-mnist", func(b *testing.B) {
		for b.Loop() {
			if _, err := data.Open(context.Background(), "mnist", data.Options{}); err != nil {
				b.Fatal(err)
			}
		}
		reportImages(b, 70_000)
	})
	const batch = 500
	set := SyntheticImages(20*batch, 32, 32, 3)
	b.Run("loader", func(b *testing.B) {
		loop, err := newBatches(data.LoaderConfig{Set: set, Batch: batch, Seed: 1, Shuffle: true})
		if err != nil {
			b.Fatal(err)
		}
		defer loop.loader.Close()
		for b.Loop() {
			got, err := loop.next()
			if err != nil {
				b.Fatal(err)
			}
			loop.loader.Release(got)
		}
		reportImages(b, batch)
	})
	b.Run("augment", func(b *testing.B) { benchAugment(b, set, batch) })
}

// benchAugment measures flip, shift and cutout of images of CIFAR-10's size.
func benchAugment(b *testing.B, set *data.InMemory, n int) {
	d := open(b)
	plan := must(d.NewAugment(device.AugmentSpec{
		N: n, H: 32, W: 32, C: 3, Mean: []float32{0.5, 0.5, 0.5}, Std: []float32{0.25, 0.25, 0.25},
		Flip: device.FlipAlternating, Crop: 2, Cutout: 8, Seed: 1,
	}))(b)
	images, err := d.NewTensor(device.Uint8, n, 32, 32, 3)
	if err != nil {
		b.Fatal(err)
	}
	if err := d.Upload(images, set.Images[:n*32*32*3]); err != nil {
		b.Fatal(err)
	}
	ids, err := d.NewTensor(device.Int32, n)
	if err != nil {
		b.Fatal(err)
	}
	epoch, err := d.NewTensor(device.Int32, 1)
	if err != nil {
		b.Fatal(err)
	}
	y := tensor(b, d, n, 32, 32, 3)
	loop(b, d, func() { plan.Train(y, images, ids, epoch) })
	reportImages(b, n)
}
