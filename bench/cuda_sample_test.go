package bench

import (
	"slices"
	"testing"
	"time"

	"trainer/cpu"
	"trainer/nn/device"
)

// recordingDevice is the CPU as a device that records.
type recordingDevice struct {
	*cpu.Device
	recordings int
}

func (d *recordingDevice) Capture(step func()) (device.Graph, error) {
	d.recordings++
	step() // the CPU has run the step, so there is nothing left to record
	return replay(step), nil
}

type replay func()

func (r replay) Launch()      { r() }
func (r replay) Close() error { return nil }

// A call that takes a known time is measured as taking that time, recorded or not, so the number of calls in a sample
// is right.
func TestSample(t *testing.T) {
	const each = 200 * time.Microsecond
	for name, record := range map[string]bool{"recorded": true, "direct": false} {
		t.Run(name, func(t *testing.T) {
			plain, err := cpu.New()
			if err != nil {
				t.Fatal(err)
			}
			defer plain.Close()
			d := &recordingDevice{Device: plain}
			var got samples
			testing.Benchmark(func(b *testing.B) {
				w := kernel(func() {
					for start := time.Now(); time.Since(start) < each; {
					}
				})
				w.record = record
				got = (&accelerator{}).sample(b, d, w)
			})
			if len(got) == 0 || !slices.IsSorted(got) {
				t.Fatalf("samples %v, want some, ascending", got)
			}
			// Other programs make calls longer; nothing makes them shorter.
			if got.shortest() < each.Seconds() || got.shortest() > 3*each.Seconds() {
				t.Errorf("the shortest sample has %v s per call, want %v", got.shortest(), each)
			}
			if record != (d.recordings > 0) {
				t.Errorf("%d recordings, want some: %v", d.recordings, record)
			}
		})
	}
}

func TestWithin(t *testing.T) {
	for _, c := range []struct {
		t, each time.Duration
		want    int
	}{
		{10 * time.Millisecond, time.Millisecond, 10},
		{10 * time.Millisecond, 3 * time.Millisecond, 4},
		{10 * time.Millisecond, time.Second, 1},
		{10 * time.Millisecond, time.Nanosecond, 100},
	} {
		if got := within(c.t, c.each, 100); got != c.want {
			t.Errorf("within(%v, %v, 100) = %d, want %d", c.t, c.each, got, c.want)
		}
	}
}
