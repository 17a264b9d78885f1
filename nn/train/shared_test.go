package train

import (
	"reflect"
	"sync/atomic"
	"testing"

	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/device"
)

// readCounter counts the images that are read.
type readCounter struct {
	data.Set
	reads atomic.Int64
}

func (c *readCounter) Read(i int, dst []byte) (int32, error) {
	c.reads.Add(1)
	return c.Set.Read(i, dst)
}

// Trainings that share copy the data to the device once, and compute the whitening once, with the bits of trainings that
// don't share.
func TestShared(t *testing.T) {
	config := func(dev device.Device, set data.Set, seed uint64) Config {
		cfg := growing(t)
		cfg.Device, cfg.Seed, cfg.Data = dev, seed, &data.Dataset{Name: "stripes", Train: set, Test: stripes(50, 2)}
		cfg.Model = nn.NewSequential(nn.Conv2D{OutC: 8, Kernel: nn.Square(2), Init: nn.Whitening{Images: 100}, Frozen: true}, cfg.Model)
		return cfg
	}
	var want []map[string][]float32
	for seed := range uint64(3) {
		r, err := Run(t.Context(), config(newFakeGPU(t), stripes(156, 1), seed))
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, weights(t, r.Network))
	}
	dev, set, test := newFakeGPU(t), &readCounter{Set: stripes(156, 1)}, stripes(50, 2)
	shared := &Shared{}
	var copies int
	var reads int64
	for seed := range uint64(3) {
		cfg := config(dev, set, seed)
		cfg.Shared, cfg.Data.Test = shared, test
		r, err := Run(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(weights(t, r.Network), want[seed]) {
			t.Errorf("seed %d: the weights differ", seed)
		}
		if seed == 0 {
			copies, reads = dev.images, set.reads.Load()
		}
	}
	if dev.images != copies || set.reads.Load() != reads || copies == 0 {
		t.Errorf("the first of three trainings reads %d images and makes %d copies, all of them %d and %d", reads, copies, set.reads.Load(), dev.images)
	}
}
