package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"trainer/nn/data"
	"trainer/nn/device"
)

// syntheticCIFAR is a set of n random images of CIFAR-10's size.
func syntheticCIFAR(n int) *data.InMemory {
	const pixels = 32 * 32 * 3
	set := &data.InMemory{Name: "synthetic", H: 32, W: 32, C: 3, Images: make([]byte, n*pixels), Labels: make([]int32, n)}
	for i := range set.Images {
		set.Images[i] = byte(device.RandomWord(1, device.StreamSplit, 0, uint64(i)))
	}
	for c := range 10 {
		set.ClassNames = append(set.ClassNames, fmt.Sprint(c))
	}
	for i := range set.Labels {
		set.Labels[i] = int32(i % 10)
	}
	return set
}

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
	set := syntheticCIFAR(20 * batch)
	b.Run("loader", func(b *testing.B) {
		l, err := data.NewLoader(data.LoaderConfig{Set: set, Batch: batch, Seed: 1, Shuffle: true})
		if err != nil {
			b.Fatal(err)
		}
		defer l.Close()
		epoch := 0
		l.Start(epoch, 0)
		for b.Loop() {
			got, err := l.Next()
			if errors.Is(err, io.EOF) {
				epoch++
				l.Start(epoch, 0)
				got, err = l.Next()
			}
			if err != nil {
				b.Fatal(err)
			}
			l.Release(got)
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
