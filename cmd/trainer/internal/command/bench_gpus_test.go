package command

import (
	"sync"
	"testing"

	"trainer/bench"
	"trainer/cpu"
	"trainer/nn/data"
	"trainer/nn/ranks"
	"trainer/nn/recipe"
)

// TestRankedRate: two ranks make the steps that rank 0 asks for, and time a sum.
func TestRankedRate(t *testing.T) {
	r, err := recipe.Load("mnist-basic")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	for rank, transport := range ranks.NewGoroutines(2) {
		dev, err := cpu.New(cpu.WithThreads(1))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { dev.Close() })
		c := ranks.New(transport, dev)
		split := &data.Dataset{Train: bench.SyntheticImages(64, 28, 28, 1), Name: r.Data[0]}
		cfg := r.TrainConfig(dev, split, 1)
		cfg.Batch, cfg.Epochs = 16, 1e6
		running.Go(func() {
			if rate, err := rankedRate(t.Context(), dev, c, cfg, 2-rank); err != nil || rate <= 0 {
				t.Errorf("rank %d: %v images/s, %v", rank, rate, err)
			}
			s, err := timeSum(dev, c, "goroutines", 3000)
			if err != nil || s.Ranks != 2 || s.Bytes != 12000 || s.Seconds <= 0 {
				t.Errorf("rank %d: %+v, %v", rank, s, err)
			}
		})
	}
	running.Wait()
}
