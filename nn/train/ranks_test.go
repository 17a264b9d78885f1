package train

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/optim"
	"trainer/nn/ranks"
)

// rankResult is what Run returned on a rank.
type rankResult struct {
	*Result
	err error
}

// runRanks trains with so many ranks, each a goroutine with a device and a data set of its own. change, unless nil, may
// change the configuration of a rank.
func runRanks(t *testing.T, size int, configure func() Config, change func(rank int, cfg *Config)) []rankResult {
	t.Helper()
	return runRanksUntil(t, func(int) context.Context { return t.Context() }, size, configure, change)
}

// runRanksUntil is runRanks with a context for each rank.
func runRanksUntil(t *testing.T, ctx func(rank int) context.Context, size int, configure func() Config, change func(rank int, cfg *Config)) []rankResult {
	t.Helper()
	var configs []Config
	transports := ranks.NewGoroutines(size)
	for rank, transport := range transports {
		cfg := configure()
		cfg.Device = newCPU(t, 1)
		cfg.Ranks = ranks.New(transport, cfg.Device)
		if rank > 0 {
			cfg.Hooks, cfg.Checkpoint = nil, Checkpoint{}
		}
		if change != nil {
			change(rank, &cfg)
		}
		configs = append(configs, cfg)
	}
	results := make([]rankResult, size)
	var running sync.WaitGroup
	for rank := range results {
		running.Go(func() {
			r := &results[rank]
			if r.Result, r.err = Run(ctx(rank), configs[rank]); r.err != nil && !isAgreed(r.err) {
				transports[rank].Abort(r.err.Error())
			} else if err := transports[rank].Close(); r.err == nil {
				r.err = err
			}
		})
	}
	running.Wait()
	return results
}

// eight is everything, with 8 shards of 2 images. The last batch of an epoch has 12, so that 4 shards have one image.
func eight(t testing.TB) Config {
	cfg := everything(t)
	cfg.Batch, cfg.Shards = 16, 8
	return cfg
}

// TestRanksSameBits: the weights, the losses and the history have the same bits at any number of ranks, and all ranks have
// the same weights.
func TestRanksSameBits(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"everything": func(*Config) {},
		"accumulate": func(c *Config) { c.Accumulate = 3 },
		"mean of the set, best weights": func(c *Config) {
			c.Augment.Mean, c.Augment.Std = nil, nil
			c.Data.Val = stripes(30, 3)
			c.Weights, c.Optimizer.EMA = WeightsBest, nil
		},
		"follows results": func(c *Config) {
			c.Data.Val = stripes(30, 3)
			c.Schedule, c.Optimizer.EMA = optim.Plateau{Patience: 1}, nil
		},
		"mixup, frozen": func(c *Config) {
			c.Augment.Flip, c.Augment.Crop, c.Augment.Cutout, c.Augment.Transforms = 0, 0, 0, mixing()
			c.Freeze, c.FreezeUntil = []string{"conv1", "norm*"}, 1.5
		},
	} {
		t.Run(name, func(t *testing.T) {
			sizes := []int{1, 2, 4, 8}
			if testing.Short() { // as under the race detector
				sizes = []int{4}
			}
			configure := func() Config {
				cfg := eight(t)
				change(&cfg)
				return cfg
			}
			alone, err := Run(t.Context(), configure())
			if err != nil {
				t.Fatal(err)
			}
			want := weights(t, alone.Network)
			for _, size := range sizes {
				for rank, r := range runRanks(t, size, configure, nil) {
					if r.err != nil {
						t.Fatalf("%d ranks: rank %d: %v", size, rank, r.err)
					}
					best := alone.Weights == WeightsBest // which rank 0 has
					if (rank == 0 || !best) && !reflect.DeepEqual(weights(t, r.Network), want) {
						t.Errorf("%d ranks: the weights of rank %d differ", size, rank)
					}
					if got, want := timeless(r.History), timeless(alone.History); !reflect.DeepEqual(got, want) {
						t.Errorf("%d ranks: rank %d: history %+v, want %+v", size, rank, got, want)
					}
					if rank == 0 && (r.TestLoss != alone.TestLoss || r.TestCorrect != alone.TestCorrect || r.FinalLoss != alone.FinalLoss) {
						t.Errorf("%d ranks: test loss %v, %d correct, want %v, %d", size, r.TestLoss, r.TestCorrect, alone.TestLoss, alone.TestCorrect)
					}
					if rank == 0 && !(reflect.DeepEqual(r.TestAnswers, alone.TestAnswers) && reflect.DeepEqual(r.Confusion, alone.Confusion)) {
						t.Errorf("%d ranks: other answers to the test images", size)
					}
				}
			}
		})
	}
}

// TestRanksResume stops a training on 4 ranks, by an interruption of one of them, and continues it on 2.
func TestRanksResume(t *testing.T) {
	configure := func() Config { return eight(t) }
	straight, err := Run(t.Context(), configure())
	if err != nil {
		t.Fatal(err)
	}
	steps := []int{4, 10, 17} // 10 is the last step of the first epoch
	if testing.Short() {
		steps = steps[:1]
	}
	for _, interrupted := range []int{0, 3} {
		for _, step := range steps {
			t.Run(fmt.Sprintf("rank %d, step %d", interrupted, step), func(t *testing.T) {
				dir := t.TempDir()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				of := func(rank int) context.Context {
					if rank == interrupted {
						return ctx
					}
					return t.Context()
				}
				at := 0
				results := runRanksUntil(t, of, 4, configure, func(rank int, cfg *Config) {
					if rank == 0 {
						cfg.Checkpoint.Dir = dir
					}
					if rank == interrupted {
						cfg.Hooks = []Hooks{{Step: func(_ *Training, s *StepDone) {
							if s.Step == step {
								cancel()
							}
						}}}
					}
				})
				for rank, r := range results {
					if r.err != nil {
						t.Fatalf("rank %d: %v", rank, r.err)
					}
					if !r.Interrupted || r.Steps < step || r.Steps > step+2 {
						t.Fatalf("rank %d: interrupted after step %d", rank, r.Steps)
					}
					if rank > 0 && r.Steps != at {
						t.Fatalf("rank %d stopped after step %d, rank 0 after %d", rank, r.Steps, at)
					}
					at = r.Steps
				}
				for rank, r := range runRanks(t, 2, configure, func(_ int, cfg *Config) { cfg.Resume = filepath.Join(dir, checkpointName) }) {
					if r.err != nil {
						t.Fatalf("rank %d: %v", rank, r.err)
					}
					if !reflect.DeepEqual(weights(t, r.Network), weights(t, straight.Network)) {
						t.Errorf("rank %d: the weights differ", rank)
					}
				}
			})
		}
	}
}

// TestRanksStop: early stopping, a hook of rank 0 that stops, and one that stops within an epoch end training on all ranks.
func TestRanksStop(t *testing.T) {
	for name, change := range map[string]func(rank int, cfg *Config){
		"target": func(_ int, cfg *Config) { cfg.Stop = Stop{Target: 0.2} },
		"epoch": func(rank int, cfg *Config) {
			if rank == 0 {
				cfg.Hooks = []Hooks{{Epoch: func(tr *Training, _ EpochMetrics) { tr.Stop("enough") }}}
			}
		},
		"step": func(rank int, cfg *Config) {
			if rank == 0 {
				cfg.Hooks = []Hooks{{Step: func(tr *Training, s *StepDone) {
					if s.Step == 9 {
						tr.Stop("enough")
					}
				}}}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			for rank, r := range runRanks(t, 2, func() Config { return eight(t) }, change) {
				if r.err != nil {
					t.Fatal(r.err)
				}
				if r.Stopped == "" || r.Interrupted || r.Steps != 10 {
					t.Errorf("rank %d: stopped %q after step %d, want 10", rank, r.Stopped, r.Steps)
				}
			}
		})
	}
}

// TestRanksShareEvaluations: each rank reads its part of the test images and of the validation images, and of the uncertain
// images that views are taken of; the best weights, which only rank 0 has, are evaluated by all. The numbers are those of one
// process, also when rank 0 is interrupted in an evaluation and the training is resumed.
func TestRanksShareEvaluations(t *testing.T) {
	const size, images = 2, 100
	configure := func() Config {
		cfg := eight(t)
		cfg.Data.Val, cfg.Data.Test, cfg.DataHash = stripes(70, 3), stripes(images, 2), "known" // whose computation reads some images
		cfg.Weights, cfg.Epochs = WeightsBest, 1
		cfg.TTA, cfg.TTAShare = []TTAView{{}, {Mirror: true}}, 0.25
		return cfg
	}
	alone, err := Run(t.Context(), configure())
	if err != nil {
		t.Fatal(err)
	}
	check := func(r rankResult) {
		t.Helper()
		if r.err != nil {
			t.Fatal(r.err)
		}
		if r.TestLoss != alone.TestLoss || r.ValLoss != alone.ValLoss || !reflect.DeepEqual(r.TestAnswers, alone.TestAnswers) {
			t.Errorf("test loss %v, validation loss %v, want %v, %v and the same answers", r.TestLoss, r.ValLoss, alone.TestLoss, alone.ValLoss)
		}
	}
	var reads [size]atomic.Int64
	for rank, r := range runRanks(t, size, configure, func(rank int, cfg *Config) {
		cfg.Data.Test = countingSet{stripes(images, 2), &reads[rank]}
	}) {
		if rank == 0 {
			check(r)
		}
	}
	// The first pass, and two over the uncertain quarter, by turns of 32 images. Each pass may read 4 batches of 2 ahead.
	for rank, want := range []int64{32 + 32 + 2*25, 32 + 4} {
		if n := reads[rank].Load(); n < want || n > want+3*4*2 {
			t.Errorf("rank %d read %d test images, want %d", rank, n, want)
		}
	}

	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	of := func(rank int) context.Context {
		if rank == 0 {
			return ctx
		}
		return t.Context()
	}
	for rank, r := range runRanksUntil(t, of, size, configure, func(rank int, cfg *Config) {
		if rank == 0 {
			cfg.Checkpoint.Dir = dir
			cfg.Hooks = []Hooks{{Progress: func(*Training, *EvalProgress) { cancel() }}}
		}
	}) {
		if r.err != nil || !r.Interrupted {
			t.Fatalf("rank %d: %v, want an interruption", rank, r.err)
		}
	}
	check(runRanks(t, size, configure, func(_ int, cfg *Config) { cfg.Resume = filepath.Join(dir, checkpointName) })[0])
}

// countingSet counts the images that are read.
type countingSet struct {
	*data.InMemory
	reads *atomic.Int64
}

func (s countingSet) Read(i int, dst []byte) (int32, error) {
	s.reads.Add(1)
	return s.InMemory.Read(i, dst)
}

// TestRanksReadTheirPart: each rank reads its share of the images, and what loaders read ahead.
func TestRanksReadTheirPart(t *testing.T) {
	const size, images, epochs = 4, 160, 3
	var reads [size]atomic.Int64
	for _, r := range runRanks(t, size, func() Config {
		cfg := eight(t)
		cfg.Epochs, cfg.DataHash = epochs, "known" // whose computation reads some images
		return cfg
	}, func(rank int, cfg *Config) {
		cfg.Data.Train = countingSet{stripes(images, 1), &reads[rank]}
	}) {
		if r.err != nil {
			t.Fatal(r.err)
		}
	}
	for rank := range reads {
		n := reads[rank].Load()
		if own := int64(images / size * epochs); n < own || n > own+4*4 {
			t.Errorf("rank %d read %d images, want %d", rank, n, own)
		}
	}
}

// TestRanksMustBeAlike: ranks with other settings or data, or an error before the first step, end all ranks, and the error
// of each names the one that differs.
func TestRanksMustBeAlike(t *testing.T) {
	for name, c := range map[string]struct {
		change func(cfg *Config)
		want   string
	}{
		"seed":          {func(cfg *Config) { cfg.Seed = 8 }, "seed is 8, on rank 0 7"},
		"learning rate": {func(cfg *Config) { cfg.Optimizer.LR = 0.1 }, "optimizer is "},
		"images":        {func(cfg *Config) { cfg.Data.Train, cfg.DataHash = stripes(156, 9), "another" }, "fingerprint of the images is another, on rank 0 "},
		"number":        {func(cfg *Config) { cfg.Data.Train = stripes(140, 1) }, "training images is "},
		"invalid":       {func(cfg *Config) { cfg.Epochs = -1 }, "epochs: -1, want a positive number"},
		"views":         {func(cfg *Config) { cfg.TTA = []TTAView{{}, {Mirror: true}} }, "views is "},
		"network":       {func(cfg *Config) { cfg.Model = nn.NewSequential(nn.Dense{Out: 3}) }, "layer dense1"},
		"folder":        {func(cfg *Config) { cfg.Resume = "/no/such/folder" }, "resuming: open /no/such"},
	} {
		t.Run(name, func(t *testing.T) {
			results := runRanks(t, 4, func() Config { cfg := eight(t); cfg.DataHash = "one"; return cfg }, func(rank int, cfg *Config) {
				if rank == 2 {
					c.change(cfg)
				}
			})
			for rank, r := range results {
				if !errors.As(r.err, new(*ranks.AgreedError)) || !strings.Contains(r.err.Error(), c.want) {
					t.Errorf("rank %d: %v, want %s", rank, r.err, c.want)
				}
				if rank != 2 && !strings.Contains(r.err.Error(), "rank 2 on "+ranks.Host()) {
					t.Errorf("rank %d: %v, want the name of rank 2", rank, r.err)
				}
			}
		})
	}
}

// TestRanksThatCannotShare: the number of ranks must fit that of the shards.
func TestRanksThatCannotShare(t *testing.T) {
	for _, c := range []struct {
		size, shards int
		want         string
	}{
		{3, 8, "shards: 3 ranks can't share the 8 parts of a batch equally: use shards = 3, or 2, 4 or 8 times as many if later runs may have more ranks"},
		{2, 1, "shards: 2 ranks share the parts of a batch, which has only one: use shards = 2, or 2, 4 or 8 times as many if later runs may have more ranks"},
	} {
		for rank, r := range runRanks(t, c.size, func() Config { cfg := eight(t); cfg.Shards = c.shards; return cfg }, nil) {
			if r.err == nil || r.err.Error() != c.want {
				t.Errorf("rank %d: %v, want %s", rank, r.err, c.want)
			}
		}
	}
}

// brokenSet has an image that can't be read.
type brokenSet struct{ *data.InMemory }

func (s brokenSet) Read(i int, dst []byte) (int32, error) {
	if i == 77 {
		return 0, errors.New("77.png: broken")
	}
	return s.InMemory.Read(i, dst)
}

// TestRanksFail: an error of one rank during training ends all of them, and so does an error of rank 0 in an evaluation
// and a diverged loss. The checkpoint of before continues to the bits of an undisturbed training.
func TestRanksFail(t *testing.T) {
	configure := func() Config { cfg := eight(t); cfg.DataHash = "one"; return cfg }
	straight, err := Run(t.Context(), configure())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(rank int, cfg *Config)
		want   string
		tell   int // ranks that tell of the error; none if all know of it, when rank 0 does
	}{
		"image": {func(rank int, cfg *Config) { cfg.Data.Train = brokenSet{stripes(156, 1)} }, "77.png: broken", 1},
		"evaluation": {func(rank int, cfg *Config) {
			if rank == 2 { // whose part has the image
				cfg.Data.Test = brokenSet{stripes(100, 2)}
			}
		}, "77.png: broken", 0},
		"diverged": {func(rank int, cfg *Config) { cfg.Optimizer.LR, cfg.Optimizer.Clip = 1e30, optim.Clip{} }, "the loss is ", 1},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			results := runRanks(t, 4, configure, func(rank int, cfg *Config) {
				c.change(rank, cfg)
				if rank == 0 {
					cfg.Checkpoint = Checkpoint{Dir: dir, EverySteps: 1}
				}
			})
			told := 0
			for rank, r := range results {
				if r.err == nil || !strings.Contains(r.err.Error(), c.want) {
					t.Errorf("rank %d: %v, want %s", rank, r.err, c.want)
				}
				if !errors.As(r.err, new(*ranks.AgreedError)) && !errors.As(r.err, new(*ranks.RankError)) {
					told++
				}
			}
			if told != c.tell {
				t.Errorf("%d ranks tell of the error, want %d", told, c.tell)
			}
			if name == "diverged" {
				return
			}
			cfg := configure()
			cfg.Resume = filepath.Join(dir, checkpointName)
			r, err := Run(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(weights(t, r.Network), weights(t, straight.Network)) {
				t.Error("the weights of the resumed training differ")
			}
		})
	}
}

// TestRanksDrift: a rank whose weights are no longer those of rank 0 is found at the end of the epoch.
func TestRanksDrift(t *testing.T) {
	results := runRanks(t, 2, func() Config { return eight(t) }, func(rank int, cfg *Config) {
		if rank != 1 {
			return
		}
		cfg.Hooks = []Hooks{{Step: func(tr *Training, s *StepDone) {
			if s.Step == 3 {
				x := tr.Network().Params()[0].Value
				tr.Network().Device().Zero(x)
			}
		}}}
	})
	for rank, r := range results {
		if want := "rank 1 on " + ranks.Host() + ": its weights after step 10 are not those of rank 0"; r.err == nil || !strings.Contains(r.err.Error(), want) {
			t.Errorf("rank %d: %v, want %s", rank, r.err, want)
		}
	}
}
