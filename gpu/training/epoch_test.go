//go:build cuda && linux && cgo && (amd64 || arm64)

package training

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"trainer/gpu"
	"trainer/gpu/cudasim"
	"trainer/gpu/internal/emulated"
	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/train"
)

// The tests of this file run whole trainings.

// listen returns hooks that call one function.
func listen(f func(any)) train.Hooks {
	return train.Hooks{
		Step:       func(_ *train.Training, e *train.StepDone) { f(e) },
		Log:        func(_ *train.Training, e *train.StepMetrics) { f(e) },
		Progress:   func(_ *train.Training, e *train.EvalProgress) { f(e) },
		Checkpoint: func(_ *train.Training, e train.CheckpointWritten) { f(e) },
	}
}

// epochConfig is a training of three epochs of 24 steps, with a test set of 5 batches.
func epochConfig(dev device.Device) train.Config {
	cfg := parityCases()["norm, GELU, dropout, Adam"]
	cfg.Device, cfg.Loss, cfg.Epochs, cfg.Batch, cfg.Seed = dev, nn.CrossEntropy{}, 3, 4, 5
	cfg.Data = &data.Dataset{Name: "stripes", Train: stripes(96, 1), Test: stripes(18, 2)}
	cfg.MetricsEvery = 4
	return cfg
}

// syncCalls counts the calls of the software emulation that make the host wait for the device. Freeing waits too.
type syncCalls struct{ streams, events, contexts, copies, allocations uint64 }

// calls counts the calls to the software emulation that matter in a step.
type calls struct {
	syncCalls
	uploads, launches, graphs uint64
}

func countCalls() calls {
	sum := func(names ...string) (n uint64) {
		for _, name := range names {
			n += cudasim.Calls(name)
		}
		return n
	}
	return calls{
		syncCalls{
			streams: sum("cuStreamSynchronize"), events: sum("cuEventSynchronize"), contexts: sum("cuCtxSynchronize"),
			copies:      sum("cuMemcpyDtoH_v2", "cuMemcpyHtoD_v2", "cuMemcpyDtoD_v2"),
			allocations: sum("cuMemAlloc_v2", "cuMemFree_v2", "cuMemHostAlloc", "cuMemFreeHost"),
		},
		cudasim.Calls("cuMemcpyHtoDAsync_v2"), cudasim.Calls("cuLaunchKernel"), cudasim.Calls("cuGraphLaunch"),
	}
}

// Within an epoch, on the software emulation, the host makes no call that waits for the device, except for the events
// of statistics that are two requests old; nor does it within an evaluation. It allocates and frees nothing, and copies
// a few numbers per step.
func TestEpochNeverWaits(t *testing.T) {
	for _, delay := range []string{"delay=0", "delay=200"} {
		t.Run(delay, func(t *testing.T) {
			d := newDevice(t)
			emulated.Configure(t, delay)
			var steps [73]calls
			evaluations := map[int][]calls{}
			cfg := epochConfig(d)
			cfg.Hooks = []train.Hooks{listen(func(e any) {
				switch e := e.(type) {
				case *train.StepDone:
					steps[e.Step] = countCalls()
				case *train.EvalProgress:
					evaluations[e.Epoch] = append(evaluations[e.Epoch], countCalls())
				}
			})}
			r, err := train.Run(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			if !r.Resident || !r.Recorded || r.Steps != 72 {
				t.Errorf("data on the device: %v; recorded: %v; %d steps", r.Resident, r.Recorded, r.Steps)
			}
			checkEpoch(t, steps[25], steps[47])
			for epoch, all := range evaluations {
				checkEvaluation(t, epoch, all)
			}
		})
	}
}

// checkEpoch compares the calls after the first step of an epoch with those after the last but one, 22 steps later.
func checkEpoch(t *testing.T, first, last calls) {
	t.Helper()
	const steps = 22
	want := first
	want.graphs += steps
	// One for the indices of the images, the step, the hyperparameters, and Lookahead's decay in the steps 27, 30 to 45. One for
	// Lookahead then, which is not in the graph.
	want.launches += steps + 7
	// The steps 36, 40 and 44 ask for statistics when those of two requests may be under way.
	if waits := last.events - first.events; waits > 3 {
		t.Errorf("%d waits for events in %d steps, want at most 3", waits, steps)
	}
	want.events = last.events
	if last != want {
		t.Errorf("after the epoch's first step %+v,\nafter its last but one %+v,\nwant %+v", first, last, want)
	}
}

// checkEvaluation looks at the calls after each batch of an evaluation.
func checkEvaluation(t *testing.T, epoch int, all []calls) {
	t.Helper()
	if len(all) != 5 {
		t.Fatalf("epoch %d: %d batches were evaluated, want 5", epoch, len(all))
	}
	first, last := all[0].syncCalls, all[4].syncCalls
	if waits := last.events - first.events; waits > 2*4 { // each batch has two downloads
		t.Errorf("epoch %d: %d waits for events in four batches, want at most 8", epoch, waits)
	}
	first.events, last.events = 0, 0
	if first != last {
		t.Errorf("epoch %d: %+v after the first batch, %+v after the last", epoch, first, last)
	}
}

// A training on the software emulation (or a GPU) has the same history as on the CPU: same seed, same losses.
func TestTrainingParity(t *testing.T) {
	want, err := train.Run(t.Context(), epochConfig(newCPU(t)))
	if err != nil {
		t.Fatal(err)
	}
	got, err := train.Run(t.Context(), epochConfig(anyDevice(t)))
	if err != nil {
		t.Fatal(err)
	}
	near := func(a, b float64) bool { return math.Abs(a-b) <= 10*lossBound*math.Abs(b) } // 72 steps instead of 20
	for i, w := range want.History {
		g := got.History[i]
		if !near(g.TrainLoss, w.TrainLoss) || !near(g.TestLoss, w.TestLoss) || g.TestCount != w.TestCount {
			t.Errorf("epoch %d: %+v, on the CPU %+v", w.Epoch, g, w)
		}
	}
}

// A training that is stopped within an epoch and resumed gives the same bits, on the software emulation (or a GPU), in
// each precision; so does one whose images are copied batch by batch in the first epoch. With float16 the state of the loss scaling is resumed too; a checkpoint of another precision is
// refused.
func TestTrainingResumes(t *testing.T) {
	for _, dtype := range []device.DType{device.Float32, device.Float16, device.BFloat16} {
		t.Run(dtype.String(), func(t *testing.T) {
			d := anyDevice(t, gpu.WithDeterministic())
			config := func() train.Config {
				cfg := epochConfig(d)
				cfg.DType = dtype
				return cfg
			}
			straight, err := train.Run(t.Context(), config())
			if err != nil {
				t.Fatal(err)
			}
			want := trained(t, straight)
			cfg := config()
			path := interrupted(t, config(), 30)
			cfg.Resume = path
			resumed, err := train.Run(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			same(t, trained(t, resumed), want)

			cfg = config()
			cfg.Data.Train = streamed{cfg.Data.Train} // as pictures in files
			inFiles, err := train.Run(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			same(t, trained(t, inFiles), want)
			cfg = config()
			cfg.Resume = path

			other := device.BFloat16
			if dtype == other {
				other = device.Float32
			}
			cfg.DType = other
			_, err = train.Run(t.Context(), cfg)
			if says := fmt.Sprintf("precision is %v, in the checkpoint %v", other, dtype); err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("going on in %v: %v, want %q", other, err, says)
			}
		})
	}
}

// streamed is a set that is not in memory.
type streamed struct{ data.Set }

// interrupted trains until step steps are done, and returns the checkpoint's path.
func interrupted(t *testing.T, cfg train.Config, step int) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cfg.Checkpoint.Dir = t.TempDir()
	cfg.Hooks = []train.Hooks{listen(func(e any) {
		if e, ok := e.(*train.StepDone); ok && e.Step == step {
			cancel()
		}
	})}
	if r, err := train.Run(ctx, cfg); err != nil || !r.Interrupted || r.Steps != step {
		t.Fatalf("interrupted: %+v, %v", r, err)
	}
	return filepath.Join(cfg.Checkpoint.Dir, "checkpoint.safetensors")
}

// trained returns all weights of a result, and the state of its loss scaling, one after the other.
func trained(t *testing.T, r *train.Result) (all []float32) {
	t.Helper()
	var tensors []*device.Tensor
	for _, p := range r.Network.Tensors() {
		tensors = append(tensors, p.Value)
	}
	if s := r.Network.Scaling(); s != nil {
		tensors = append(tensors, s)
	}
	for _, x := range tensors {
		values := make([]float32, x.Len())
		if err := r.Network.Device().Download(device.Bytes(values), x); err != nil {
			t.Fatal(err)
		}
		all = append(all, values...)
	}
	return all
}

// When the software emulation has no memory left in the middle of an epoch, the error says so, and the last checkpoint
// is unchanged.
func TestOutOfMemoryInAnEpoch(t *testing.T) {
	d := newDevice(t)
	cfg := epochConfig(d)
	cfg.Checkpoint.Dir = t.TempDir()
	path := filepath.Join(cfg.Checkpoint.Dir, "checkpoint.safetensors")
	var before []byte
	cfg.Hooks = []train.Hooks{listen(func(e any) {
		if _, isWritten := e.(train.CheckpointWritten); isWritten { // beside training, some steps after that of the checkpoint
			before, _ = os.ReadFile(path)
			emulated.Configure(t, "fail=cuGraphLaunch#2:OUT_OF_MEMORY")
		}
	})}
	r, err := train.Run(t.Context(), cfg)
	if !errors.Is(err, device.ErrOutOfMemory) || r == nil || len(r.History) != 1 {
		t.Errorf("error %v, result %+v, want one out of memory in the second epoch", err, r)
	}
	after, err := os.ReadFile(path)
	if err != nil || len(before) == 0 || !bytes.Equal(before, after) {
		t.Errorf("the checkpoint has changed: %d bytes, %d before; %v", len(after), len(before), err)
	}
}

// FittingBatch finds the largest batch for which the software emulation has the memory, and releases all of it.
func TestFittingBatch(t *testing.T) {
	const batch = 512
	for memory, fits := range map[string]func(n int) bool{
		"memory=1GiB":  func(n int) bool { return n == batch },
		"memory=16MiB": func(n int) bool { return n > 0 && n < batch },
	} {
		t.Run(memory, func(t *testing.T) {
			emulated.Use(t, memory)
			d := open(t)
			cfg := epochConfig(d)
			cfg.Data.Train = stripes(batch, 1)
			cfg.Batch, cfg.Epochs, cfg.MetricsEvery = 8, 2, 0
			train.FittingBatch(cfg) // the first plans start the libraries, whose memory remains
			free := d.FreeMemory()
			cfg.Batch = batch
			got := train.FittingBatch(cfg)
			if !fits(got) {
				t.Fatalf("%d of %d fits", got, batch)
			}
			// The workspace and similar memory remain.
			if left := d.FreeMemory(); left < free-4<<20 {
				t.Errorf("%d bytes are free afterwards, %d before", left, free)
			}
			cfg.Batch, cfg.Epochs = got, 2/float64(batch/got)
			if _, err := train.Run(t.Context(), cfg); err != nil {
				t.Errorf("a batch of %d does not train: %v", got, err)
			}
		})
	}
}
