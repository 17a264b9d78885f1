package train

import (
	"context"
	"math"
	"path/filepath"
	"reflect"
	"testing"

	"trainer/nn"
	"trainer/nn/optim"
)

// whole is a training whose batch normalisation sees whole batches, without dropout, whose masks depend on the parts.
func whole(t testing.TB) Config {
	cfg := everything(t)
	cfg.Model = nn.NewSequential(
		nn.Conv2D{OutC: 4, Kernel: nn.Square(3)}, nn.BatchNorm{}, nn.ReLU{}, nn.Flatten{}, nn.Dense{Out: 8}, nn.BatchNorm{}, nn.GELU{}, nn.Dense{Out: 3},
	)
	cfg.Optimizer = optim.Config{Rule: optim.SGD{Momentum: 0.9}, LR: 0.02}
	cfg.Batch, cfg.Shards, cfg.Epochs, cfg.SyncBatchNorm = 18, 8, 2, true // shards are ignored
	return cfg
}

// TestRanksSyncBatchNorm: with statistics over all ranks, 2 and 3 ranks train as one process with the whole batch does, to
// rounding, and all ranks have the same bits. The last batch of an epoch has 12 images. A training that is stopped on 3 ranks
// continues on one.
func TestRanksSyncBatchNorm(t *testing.T) {
	configure := func() Config { return whole(t) }
	alone, err := Run(t.Context(), configure())
	if err != nil {
		t.Fatal(err)
	}
	plain := configure()
	plain.SyncBatchNorm, plain.Shards = false, 0
	if same, err := Run(t.Context(), plain); err != nil || !reflect.DeepEqual(weights(t, same.Network), weights(t, alone.Network)) {
		t.Errorf("a single process trains otherwise than without shards: %v", err)
	}
	parts := configure() // each normalised by itself: far from what rounding does
	parts.SyncBatchNorm, parts.Shards = false, 3
	if apart, err := Run(t.Context(), parts); err != nil || math.Abs(apart.FinalLoss-alone.FinalLoss) < 1e-3*alone.FinalLoss {
		t.Errorf("the last loss is %v with parts of their own and %v with the whole batch, want a difference: %v", apart.FinalLoss, alone.FinalLoss, err)
	}
	close := func(r rankResult) {
		t.Helper()
		if r.err != nil {
			t.Fatal(r.err)
		}
		if got, want := r.FinalLoss, alone.FinalLoss; math.Abs(got-want) > 1e-4*want {
			t.Errorf("the last loss is %v, of one process %v", got, want)
		}
	}
	for _, size := range []int{2, 3} {
		results := runRanks(t, size, configure, nil)
		for _, r := range results {
			close(r)
			if !reflect.DeepEqual(weights(t, r.Network), weights(t, results[0].Network)) {
				t.Error("the ranks have other weights")
			}
		}
	}
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, r := range runRanksUntil(t, func(int) context.Context { return ctx }, 3, configure, func(rank int, cfg *Config) {
		if rank == 0 {
			cfg.Checkpoint.Dir = dir
			cfg.Hooks = []Hooks{{Step: func(_ *Training, s *StepDone) {
				if s.Step == 4 {
					cancel()
				}
			}}}
		}
	}) {
		if r.err != nil || !r.Interrupted {
			t.Fatalf("%v, want an interruption", r.err)
		}
	}
	cfg := configure()
	cfg.Resume = filepath.Join(dir, checkpointName)
	resumed, err := Run(t.Context(), cfg)
	close(rankResult{resumed, err})
}
