package bench

import (
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"trainer/nn/device"
)

// How work on a GPU is timed. A method of a plan only queues work, so a sample is many calls and one wait for the last;
// the wait is a thousandth of the sample. A small kernel ends before the host has queued the next one, so the calls are
// recorded as a CUDA graph, like a training step, and samples replay it.

const (
	sampleTime = 10 * time.Millisecond // approximately, of a kernel's sample
	stepTime   = 60 * time.Millisecond // approximately, of a sample of whole steps
	warmTime   = 30 * time.Millisecond // of work before the first sample, which raises the clocks
	maxCalls   = 2000                  // per sample
	recorded   = 50                    // largest number of calls in a recording
)

// work is the work to measure.
type work struct {
	queue  func() error // queues one call
	target time.Duration
	record bool // queue may be recorded: it allocates, uploads and downloads nothing
}

// kernel is the work of calling a method of a plan.
func kernel(call func()) work {
	return work{queue: func() error { call(); return nil }, target: sampleTime, record: true}
}

// check fails the benchmark if there is an error.
func check(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// samples are the seconds per call, one for each sample, ascending.
type samples []float64

func (s samples) median() float64   { return s[len(s)/2] }
func (s samples) shortest() float64 { return s[0] }
func (s samples) longest() float64  { return s[len(s)-1] }

// sample takes samples for as long as the benchmark runs (-benchtime), after a warm-up. In a dry run it calls once, and
// once replays a recording if there is one, and returns nil.
func (a *accelerator) sample(b *testing.B, d device.Device, w work) samples {
	b.Helper()
	if a.dry {
		for b.Loop() {
			check(b, errors.Join(w.queue(), d.Sync()))
		}
		if w.record {
			if graph := record(b, d, w, 2); graph != nil {
				graph.Launch()
				check(b, d.Sync())
			}
		}
		b.ReportMetric(0, "ns/op") // leave it out of the report
		return nil
	}
	run, calls := prepare(b, d, w)
	var s samples
	for b.Loop() {
		start := time.Now()
		check(b, errors.Join(run(), d.Sync()))
		s = append(s, time.Since(start).Seconds()/float64(calls))
	}
	slices.Sort(s)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(1e6*s.median(), "us")
	return s
}

// prepare warms up and returns a function that makes a sample, and the number of calls in a sample.
func prepare(b *testing.B, d device.Device, w work) (sample func() error, calls int) {
	b.Helper()
	timed := func(n int, f func() error) time.Duration {
		start := time.Now()
		for range n {
			check(b, f())
		}
		check(b, d.Sync())
		return time.Since(start)
	}
	timed(2, w.queue) // loads code, and does the set-up that is not allowed in a recording
	each := max(timed(3, w.queue)/3, time.Microsecond)
	calls = within(w.target, each, maxCalls)
	turn, per := w.queue, 1 // the repeated function, and its number of calls
	if w.record && calls > 1 {
		if graph := record(b, d, w, min(calls, recorded)); graph != nil {
			turn, per = func() error { graph.Launch(); return nil }, min(calls, recorded)
			// Replays are faster than the calls were.
			each = max(timed(4, turn)/time.Duration(4*per), 100*time.Nanosecond)
			calls = within(w.target, each, 20*maxCalls)
		}
	}
	turns := (calls + per - 1) / per
	sample = func() error {
		for range turns {
			if err := turn(); err != nil {
				return err
			}
		}
		return nil
	}
	for start := time.Now(); time.Since(start) < warmTime; {
		timed(1, sample)
	}
	return sample, turns * per
}

// record records a number of calls; it returns nil if the device can't record. The recording is closed when b ends.
func record(b *testing.B, d device.Device, w work, calls int) device.Graph {
	b.Helper()
	c, ok := d.(device.Capturer)
	if !ok {
		return nil
	}
	graph, err := c.Capture(func() {
		for range calls {
			check(b, w.queue())
		}
	})
	check(b, err)
	b.Cleanup(func() { check(b, graph.Close()) })
	return graph
}

// within returns how many calls of a duration fill a time, from 1 to limit.
func within(t, each time.Duration, limit int) int {
	return min(max(1, int(math.Ceil(float64(t)/float64(each)))), limit)
}

// rate reports amounts per second: the median of the samples, the minimum and the maximum.
func rate(b *testing.B, s samples, amount float64, unit string) {
	b.ReportMetric(amount/s.median(), unit)
	b.ReportMetric(amount/s.longest(), "min-"+unit)
	b.ReportMetric(amount/s.shortest(), "max-"+unit)
}
