package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"trainer/nn/data"
)

// loadBatch is the number of images per batch, and loadAhead that of batches which a loader may have ready when a
// measurement begins. All programs have the same.
const (
	loadBatch = 64
	loadAhead = 4
)

// loading reads a folder of pictures again and again, as the epochs of a training do.
type loading struct {
	loader *data.Loader
	set    data.Set
	epoch  int
}

// newLoading opens a folder of pictures, to be cropped and resized to size x size. No decoded pictures are kept.
func newLoading(folder string, size int) (*loading, error) {
	opt := data.Options{ImageSize: [2]int{size, size}, Resize: data.ResizeCrop, NoTest: true, Cache: -1}
	d, err := data.Open(context.Background(), folder, opt)
	if err != nil {
		return nil, err
	}
	if _, isKept := d.Train.(*data.InMemory); isKept {
		return nil, fmt.Errorf("%s: the pictures are in memory", folder)
	}
	l := &loading{set: d.Train}
	if l.loader, err = data.NewLoader(data.LoaderConfig{Set: d.Train, Batch: loadBatch, Seed: 1, Shuffle: true, DropLast: true}); err != nil {
		return nil, err
	}
	l.loader.Start(0, 0)
	return l, nil
}

// next takes a batch.
func (l *loading) next() error {
	b, err := l.loader.Next()
	if err == io.EOF {
		l.epoch++
		l.loader.Start(l.epoch, 0)
		b, err = l.loader.Next()
	}
	if err != nil {
		return err
	}
	l.loader.Release(b)
	return nil
}

// measure answers with the speed of reading. The batches that were read ahead before are not counted in it; read has all.
func (l *loading) measure(args string) (any, error) {
	d, err := parseSeconds(args)
	if err != nil {
		return nil, err
	}
	for range loadAhead {
		if err := l.next(); err != nil {
			return nil, err
		}
	}
	batches, took, err := repeat(d, l.next)
	if err != nil {
		return nil, err
	}
	return struct {
		Images  float64 `json:"images_per_second"`
		Read    int     `json:"read"`
		Seconds float64 `json:"seconds"`
	}{float64(batches*loadBatch) / took.Seconds(), (batches + loadAhead) * loadBatch, took.Round(time.Millisecond).Seconds()}, nil
}
