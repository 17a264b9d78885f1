//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"
	"time"

	cudnn "gorgonia.org/cu/dnn"

	"trainer/nn"
	"trainer/nn/device"
)

// Our kernels compared with cuDNN's layers: the pairs of cudnn_test.go at the shapes of the recipes. On a GPU:
//
//	TRAINER_TEST_GPU=1 go test -tags cuda -run '^$' -bench AgainstCuDNN -benchtime 9x ./gpu
//
// Each operation of a pair is recorded as a CUDA graph of several calls, like a training step, so that the GPU's work
// is timed and not the host's. Every round measures both with events, one right after the other; they take turns at
// going first. For every pair the benchmark reports the median times per call, ours (us) and cuDNN's (cudnn-us), and
// cuDNN's time divided by ours: the ratio of the medians (ratio), and the smallest and largest ratio of a round
// (min-ratio, max-ratio). If a ratio is above 1, our kernel is faster.
//
// In the recipes some of these operations are fused with their neighbours (batch normalisation with GELU, pooling with
// ReLU), which these layers of cuDNN don't support. cuDNN's batch normalisation here is
// cudnnBatchNormalizationForwardTraining and -Backward in persistent mode, not the Ex calls or a graph of its backend.

// dryVariable, if it is 1, makes the benchmark run everything once, with few images, and report no times. This tests
// whether the benchmark works, and is the only way to run it on the software emulation. Package bench uses the same
// name.
const dryVariable = "TRAINER_BENCH_DRY"

// The numbers of recorded and timed calls.
const (
	recordedCalls = 20 // of a graph
	launches      = 4  // launches of a graph between two events
	dryImages     = 2
)

// contest is an operation of a recipe: its pairs for n images.
type contest struct {
	name  string
	pairs func(r *rivals, n int) []pair
}

// The operations on images [n,side,side,c]; a dense layer's have side 1.

func maxPoolContest(k, side, c int) contest {
	return contest{fmt.Sprintf("max-pool-%dx%d-%dx%dx%d", k, k, side, side, c), func(r *rivals, n int) []pair {
		return r.pool(device.MaxPool, [4]int{n, side, side, c}, k, k, 0)
	}}
}

func reluContest(side, c int) contest {
	return contest{fmt.Sprintf("relu-%dx%dx%d", side, side, c), func(r *rivals, n int) []pair {
		return r.activation(nn.ReLU{}, cudnn.ReLU, [4]int{n, side, side, c})
	}}
}

func normContest(side, c int) contest {
	return contest{fmt.Sprintf("batch-norm-%dx%dx%d", side, side, c), func(r *rivals, n int) []pair {
		return r.batchNorm(cudnn.SpatialPersistent, [4]int{n, side, side, c})
	}}
}

func biasContest(side, c int) contest {
	return contest{fmt.Sprintf("bias-%dx%dx%d", side, side, c), func(r *rivals, n int) []pair {
		return r.bias([4]int{n, side, side, c})
	}}
}

// softmaxContest is in float32, like our kernel.
func softmaxContest(classes int) contest {
	return contest{fmt.Sprintf("softmax-%d", classes), func(r *rivals, n int) []pair {
		wide := *r
		wide.dtype = device.Float32
		return wide.softmax(n, classes)
	}}
}

// contests are the operations by recipe, in float16, like the recipes on a GPU.
var contests = []struct {
	recipe     string
	batch      int
	operations []contest
}{
	{"airbench94", 1024, []contest{
		biasContest(31, 24), maxPoolContest(2, 31, 64), normContest(15, 64), maxPoolContest(2, 15, 256), normContest(7, 256),
		maxPoolContest(2, 7, 256), normContest(3, 256), maxPoolContest(3, 3, 256), softmaxContest(10),
	}},
	{"mnist", 256, []contest{
		biasContest(24, 24), maxPoolContest(2, 24, 24), reluContest(12, 24), biasContest(10, 32), maxPoolContest(2, 10, 32), reluContest(5, 32),
		biasContest(1, 256), reluContest(1, 256), softmaxContest(10),
	}},
	{"cifar10-basic", 128, []contest{
		normContest(32, 32), reluContest(32, 32), maxPoolContest(2, 32, 32), normContest(16, 64), reluContest(16, 64), maxPoolContest(2, 16, 64),
		normContest(8, 128), reluContest(8, 128), maxPoolContest(2, 8, 128), normContest(1, 128), reluContest(1, 128), softmaxContest(10),
	}},
}

// BenchmarkAgainstCuDNN measures on a GPU; on the software emulation it is skipped unless dry.
func BenchmarkAgainstCuDNN(b *testing.B) {
	dry := os.Getenv(dryVariable) == "1"
	if os.Getenv(gpuVariable) == "" && !dry {
		b.Skipf("%s is not set: it needs a GPU, and no speed is measured on the software emulation of CUDA", gpuVariable)
	}
	b.Run("cuda", func(b *testing.B) {
		d := anyDevice(b)
		openDNN(b, d)
		if d.Info().Emulated && !dry {
			b.Skipf("%s is an emulation, whose speed means nothing; %s=1 runs the cases without speeds", d.Name(), dryVariable)
		}
		for _, of := range contests {
			for _, c := range of.operations {
				b.Run(of.recipe+"/"+c.name, func(b *testing.B) { benchmarkPairs(b, d, c, of.batch, dry) })
			}
		}
	})
}

// benchmarkPairs runs a benchmark for each pair of an operation.
func benchmarkPairs(b *testing.B, d *Device, c contest, batch int, dry bool) {
	if dry {
		batch = dryImages
	}
	r := &rivals{t: b, d: d, dtype: device.Float16, noise: true}
	pairs := c.pairs(r, batch)
	for _, p := range pairs {
		r.warm(p)
	}
	for _, p := range pairs {
		b.Run(p.name, func(b *testing.B) {
			r.t = b
			metrics := map[string]float64{}
			if dry {
				for b.Loop() {
					r.once(p)
				}
			} else {
				m := r.measure(p, b.Loop)
				metrics = m.metrics()
			}
			metrics["ns/op"] = 0 // the host's time, which must not be reported
			for unit, value := range metrics {
				b.ReportMetric(value, unit)
			}
		})
	}
}

// warm calls both operations of a pair, which loads their code. Backward passes in other pairs rely on the forward pass
// having run.
func (r *rivals) warm(p pair) {
	r.t.Helper()
	p.ours()
	r.check(p.cudnn())
	r.check(r.d.Sync())
}

// record records the given number of calls of both operations of a pair; the returned function closes the graphs.
func (r *rivals) record(p pair, calls int) (ours, cudnn device.Graph, closeBoth func()) {
	r.t.Helper()
	var failed error
	ours, err := r.d.Capture(func() {
		for range calls {
			p.ours()
		}
	})
	r.check(err)
	cudnn, err = r.d.Capture(func() {
		for range calls {
			failed = errors.Join(failed, p.cudnn())
		}
	})
	r.check(errors.Join(failed, err))
	return ours, cudnn, func() { r.check(errors.Join(ours.Close(), cudnn.Close())) }
}

// once is a round without timing.
func (r *rivals) once(p pair) {
	r.t.Helper()
	ours, theirs, closeBoth := r.record(p, 2)
	defer closeBoth()
	ours.Launch()
	theirs.Launch()
	r.check(r.d.Sync())
}

// measured holds the times per call, one per round.
type measured struct{ ours, cudnn []time.Duration }

// measure runs rounds as long as more returns true, after one launch of each graph.
func (r *rivals) measure(p pair, more func() bool) (m measured) {
	r.t.Helper()
	ours, theirs, closeBoth := r.record(p, recordedCalls)
	defer closeBoth()
	ours.Launch()
	theirs.Launch()
	r.check(r.d.Sync())
	for round := 0; more(); round++ {
		first, second := &m.ours, &m.cudnn
		graphs := [2]device.Graph{ours, theirs}
		if round%2 == 1 {
			first, second = second, first
			graphs = [2]device.Graph{theirs, ours}
		}
		*first = append(*first, r.time(graphs[0]))
		*second = append(*second, r.time(graphs[1]))
	}
	return m
}

// time returns the time per call in a graph.
func (r *rivals) time(g device.Graph) (took time.Duration) {
	r.t.Helper()
	r.check(r.call(func() error {
		c, err := newClock(r.d.stream)
		if err != nil {
			return err
		}
		took, err = c.measure(launches, func() error {
			g.Launch()
			return r.d.fault
		})
		return errors.Join(err, c.close())
	})())
	return took / recordedCalls
}

// metrics returns the metrics to report, by unit.
func (m measured) metrics() map[string]float64 {
	least, most := math.Inf(1), 0.0
	for i, t := range m.cudnn {
		ratio := float64(t) / float64(m.ours[i])
		least, most = min(least, ratio), max(most, ratio)
	}
	ours, theirs := median(m.ours), median(m.cudnn)
	return map[string]float64{
		"us": float64(ours) / 1e3, "cudnn-us": float64(theirs) / 1e3, "ratio": float64(theirs) / float64(ours), "min-ratio": least, "max-ratio": most,
	}
}

// median returns the median of the times. There must be at least one.
func median(times []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(times))
	return sorted[len(sorted)/2]
}

// The benchmark works: every pair of every recipe runs one round without timing, on the software emulation (or a GPU).
// One pair also runs timed rounds, whose times are ignored.
func TestAgainstCuDNNDry(t *testing.T) {
	d := anyDevice(t)
	openDNN(t, d)
	for _, of := range contests {
		for i, c := range of.operations {
			t.Run(of.recipe+"/"+c.name, func(t *testing.T) {
				r := &rivals{t: t, d: d, dtype: device.Float16, noise: true}
				pairs := c.pairs(r, dryImages)
				for _, p := range pairs {
					r.warm(p)
				}
				for _, p := range pairs {
					r.once(p)
				}
				if i > 0 {
					return
				}
				rounds := 0
				m := r.measure(pairs[0], func() bool { rounds++; return rounds <= 3 })
				if len(m.ours) != 3 || len(m.cudnn) != 3 {
					t.Errorf("%d and %d times of three rounds", len(m.ours), len(m.cudnn))
				}
			})
		}
	}
}

func TestMetricsAgainstCuDNN(t *testing.T) {
	m := measured{
		ours:  []time.Duration{2 * time.Microsecond, 8 * time.Microsecond, 4 * time.Microsecond},
		cudnn: []time.Duration{10 * time.Microsecond, 4 * time.Microsecond, 6 * time.Microsecond},
	}
	got := m.metrics()
	for unit, want := range map[string]float64{"us": 4, "cudnn-us": 6, "ratio": 1.5, "min-ratio": 0.5, "max-ratio": 5} {
		if got[unit] != want {
			t.Errorf("%s is %v, want %v", unit, got[unit], want)
		}
	}
}
