package train

import (
	"fmt"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"trainer/nn/optim"
)

// TestZeroSameBits: with the optimiser's states divided over the ranks, weights, history and checkpoints are those of a single
// process, for a rule that is divided within parameters and for one that isn't, and each rank has its share of the states.
func TestZeroSameBits(t *testing.T) {
	for name, rule := range map[string]optim.Config{
		"adam":  {Rule: optim.Adam{}, LR: 0.03, WeightDecay: 1e-4, Clip: optim.Clip{MaxNorm: 5}, EMA: &optim.EMA{Decay: 0.9}},
		"lars":  {Rule: optim.LARS{}, LR: 3, WeightDecay: 1e-4},
		"group": {Rule: optim.SGD{Momentum: 0.9}, LR: 0.03, Groups: []optim.Group{{Match: "dense*", Rule: optim.LAMB{}, LR: 0.01}}},
	} {
		t.Run(name, func(t *testing.T) {
			configure := func() Config {
				cfg := eight(t)
				cfg.Optimizer, cfg.ZeroStage, cfg.Epochs = rule, 1, 1.5
				return cfg
			}
			alone, err := Run(t.Context(), configure())
			if err != nil {
				t.Fatal(err)
			}
			for _, size := range []int{2, 4} {
				dir := t.TempDir()
				for rank, r := range runRanks(t, size, configure, func(rank int, cfg *Config) {
					if rank == 0 {
						cfg.Checkpoint = Checkpoint{Dir: dir, EverySteps: 7}
					}
				}) {
					if r.err != nil {
						t.Fatalf("%d ranks: rank %d: %v", size, rank, r.err)
					}
					if !reflect.DeepEqual(weights(t, r.Network), weights(t, alone.Network)) {
						t.Errorf("%d ranks: the weights of rank %d differ", size, rank)
					}
				}
				sameTensors(t, filepath.Join(dir, checkpointName), checkpointOf(t, configure))
			}
		})
	}
}

// checkpointOf returns the last checkpoint of a training by a single process.
func checkpointOf(t *testing.T, configure func() Config) string {
	t.Helper()
	dir := t.TempDir()
	cfg := configure()
	cfg.Checkpoint = Checkpoint{Dir: dir, EverySteps: 7}
	if _, err := Run(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, checkpointName)
}

// sameTensors compares two files.
func sameTensors(t *testing.T, a, b string) {
	t.Helper()
	of := func(path string) map[string]NamedValues {
		list, _, err := ReadTensors(path)
		if err != nil {
			t.Fatal(err)
		}
		all := map[string]NamedValues{}
		for _, x := range list {
			all[x.Name] = x
		}
		return all
	}
	got, want := of(a), of(b)
	if len(got) != len(want) {
		t.Errorf("%d tensors, want %d", len(got), len(want))
	}
	for name := range want {
		if !reflect.DeepEqual(got[name], want[name]) {
			t.Errorf("%s is %v, want %v", name, got[name], want[name])
		}
	}
}

// TestZeroResume: a checkpoint that a hook asks for, or that the time does, is written a step later; it continues at any number of
// ranks, divided or not.
func TestZeroResume(t *testing.T) {
	configure := func() Config { cfg := eight(t); cfg.ZeroStage = 1; return cfg }
	straight, err := Run(t.Context(), configure())
	if err != nil {
		t.Fatal(err)
	}
	for _, every := range []time.Duration{0, time.Hour} {
		dir, first := t.TempDir(), 0
		for _, r := range runRanks(t, 4, configure, func(rank int, cfg *Config) {
			if rank > 0 {
				return
			}
			cfg.Checkpoint = Checkpoint{Dir: dir, EveryEpochs: 100, Every: every}
			cfg.Hooks = []Hooks{{
				Step: func(tr *Training, s *StepDone) {
					if s.Step == 4 {
						tr.Save()
					}
				},
				Checkpoint: func(tr *Training, c CheckpointWritten) {
					if first == 0 {
						first = c.Step
					}
					tr.Stop("enough")
				},
			}}
		}) {
			if r.err != nil {
				t.Fatal(r.err)
			}
		}
		if first != 5 {
			t.Errorf("the first checkpoint is after step %d, want 5", first)
		}
		for _, size := range []int{1, 2, 8} {
			t.Run(fmt.Sprint(size), func(t *testing.T) {
				for rank, r := range runRanks(t, size, configure, func(_ int, cfg *Config) {
					cfg.Resume = filepath.Join(dir, checkpointName)
					cfg.ZeroStage = size % 4 / 2 // at 2 ranks
				}) {
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
