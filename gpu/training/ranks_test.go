//go:build cuda && linux && cgo && (amd64 || arm64)

package training

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"reflect"
	"sync"
	"testing"

	"trainer/gpu"
	"trainer/gpu/internal/emulated"
	"trainer/nn"
	"trainer/nn/device"
	"trainer/nn/ranks"
	"trainer/nn/train"
)

// The tests of this file train on several GPUs of the software emulation, each a rank that is a goroutine of this process. (The
// program has a process for each: TestGPUs of cmd/trainer.)

// gpuRanks are connected GPUs.
type gpuRanks struct {
	devices []device.Device
	all     []device.Collective
}

// connectGPUs connects so many emulated GPUs, whose sums have the order of device.AllReduceSpec.
func connectGPUs(t *testing.T, size int) *gpuRanks {
	t.Helper()
	emulated.Use(t, fmt.Sprintf("devices=%d", size))
	t.Setenv("TMPDIR", t.TempDir())
	g := &gpuRanks{all: make([]device.Collective, size)}
	transports := ranks.NewGoroutines(size)
	var running sync.WaitGroup
	for rank := range size {
		dev, err := gpu.New(rank, gpu.WithPrecision(gpu.FP32), gpu.WithDeterministic())
		if err != nil {
			t.Fatal(err)
		}
		g.devices = append(g.devices, dev)
		running.Go(func() {
			var err error
			if g.all[rank], err = gpu.Connect(t.Context(), dev, ranks.New(transports[rank], nil), device.ConnectOptions{}); err != nil {
				t.Errorf("rank %d: %v", rank, err)
			}
		})
	}
	running.Wait()
	t.Cleanup(func() { // together, as ranks do
		for _, dev := range g.devices {
			running.Go(func() {
				if err := dev.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		running.Wait()
	})
	if t.Failed() {
		t.FailNow()
	}
	return g
}

// train trains on the first GPU alone or on all. change may change the configuration of a rank.
func (g *gpuRanks) train(t *testing.T, ctx context.Context, size int, configure func(device.Device) train.Config, change func(rank int, cfg *train.Config)) []*train.Result {
	t.Helper()
	results, errs := make([]*train.Result, size), make([]error, size)
	var running sync.WaitGroup
	for rank := range size {
		cfg := configure(g.devices[rank])
		if size > 1 {
			cfg.Ranks = g.all[rank]
		}
		if change != nil {
			change(rank, &cfg)
		}
		running.Go(func() { results[rank], errs[rank] = train.Run(ctx, cfg) })
	}
	running.Wait()
	for rank, err := range errs {
		if err != nil {
			t.Fatalf("%d GPUs: rank %d: %v", size, rank, err)
		}
	}
	return results
}

// TestGPUsResume: a training that was stopped on two GPUs, with the states of the optimiser divided, goes on on one and on two, divided
// or not, to the bits of one that was not stopped, in float32 and in float16.
func TestGPUsResume(t *testing.T) {
	for _, dtype := range []device.DType{device.Float32, device.Float16} {
		t.Run(dtype.String(), func(t *testing.T) {
			g := connectGPUs(t, 2)
			configure := func(dev device.Device) train.Config {
				cfg := epochConfig(dev)
				cfg.DType, cfg.Shards, cfg.Epochs = dtype, 2, 1
				return cfg
			}
			want := trained(t, g.train(t, t.Context(), 1, configure, nil)[0])
			for rank, r := range g.train(t, t.Context(), 2, configure, func(_ int, cfg *train.Config) { cfg.ZeroStage = 1 }) {
				if !r.Recorded {
					t.Errorf("rank %d: the step is not recorded", rank)
				}
				same(t, trained(t, r), want)
			}

			dir := t.TempDir()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			for rank, r := range g.train(t, ctx, 2, configure, func(rank int, cfg *train.Config) {
				cfg.ZeroStage = 1
				if rank == 0 {
					cfg.Checkpoint.Dir = dir
					cfg.Hooks = []train.Hooks{{Step: func(_ *train.Training, s *train.StepDone) {
						if s.Step == 10 {
							cancel()
						}
					}}}
				}
			}) {
				if !r.Interrupted || r.Steps < 10 || r.Steps == 24 {
					t.Fatalf("rank %d: %d steps, interrupted: %v", rank, r.Steps, r.Interrupted)
				}
			}
			for _, c := range []struct{ size, zero int }{{1, 0}, {2, 0}, {2, 1}} {
				for _, r := range g.train(t, t.Context(), c.size, configure, func(_ int, cfg *train.Config) {
					cfg.Resume, cfg.ZeroStage = filepath.Join(dir, "checkpoint.safetensors"), c.zero
				}) {
					same(t, trained(t, r), want)
				}
			}
		})
	}
}

// TestGPUsSyncBatchNorm: with statistics over all ranks, two GPUs train as one with the whole batch does, to rounding, and both have the
// same bits.
func TestGPUsSyncBatchNorm(t *testing.T) {
	g := connectGPUs(t, 2)
	configure := func(dev device.Device) train.Config {
		cfg := epochConfig(dev)
		cfg.Model = nn.NewSequential( // without dropout, whose masks depend on the parts
			nn.Conv2D{OutC: 4, Kernel: nn.Square(3)}, nn.BatchNorm{}, nn.ReLU{}, nn.Flatten{}, nn.Dense{Out: 8}, nn.BatchNorm{}, nn.GELU{}, nn.Dense{Out: 3},
		)
		cfg.Batch, cfg.Epochs = 16, 2
		return cfg
	}
	alone := g.train(t, t.Context(), 1, configure, nil)[0]
	parts := g.train(t, t.Context(), 2, configure, func(_ int, cfg *train.Config) { cfg.Shards = 2 })[0]
	both := g.train(t, t.Context(), 2, configure, func(_ int, cfg *train.Config) { cfg.SyncBatchNorm = true })
	off := func(r *train.Result) float64 { return math.Abs(r.FinalLoss-alone.FinalLoss) / alone.FinalLoss }
	if off(both[0]) > 1e-4 {
		t.Errorf("the last loss is %v, of one GPU %v", both[0].FinalLoss, alone.FinalLoss)
	}
	if off(parts) < 1e-3 {
		t.Errorf("the last loss is %v with parts normalised by themselves, and %v with the whole batch: the test tests nothing", parts.FinalLoss, alone.FinalLoss)
	}
	if !reflect.DeepEqual(trained(t, both[1]), trained(t, both[0])) {
		t.Error("the GPUs have other weights")
	}
}
