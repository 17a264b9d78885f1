//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"trainer/gpu/cudasim"
	"trainer/nn/device"
)

// newFetch prepares a fetch of n float32, and closes it after the test.
func newFetch(t *testing.T, d *Device, n int) device.AsyncDownload {
	t.Helper()
	f, err := d.NewAsyncDownload(4 * n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// On the software emulation (or a GPU), a fetch copies the tensor as it is at the fetch's place in the queue: after the
// earlier work and before the later work. It may be used again.
func TestFetch(t *testing.T) {
	d := anyDevice(t)
	n := &smallNet{t: t, dev: d}
	x, ones := n.zeros(5), n.floats([]float32{1, 1, 1, 1, 1}, 5)
	add, err := d.NewWeightedSum(device.WeightedSumSpec{Len: 5, Alpha: 1, Beta: 1})
	if err != nil {
		t.Fatal(err)
	}
	first, second := newFetch(t, d, 5), newFetch(t, d, 5)
	for round := range 3 {
		add.Run(x, x, ones)
		first.Queue(x)
		add.Run(x, x, ones)
		second.Queue(x)
		d.Zero(x)
		add.Run(x, x, ones)
		got := make([]float32, 5)
		for i, f := range []device.AsyncDownload{first, second} {
			if err := f.Wait(device.Bytes(got)); err != nil {
				t.Fatal(err)
			}
			want := float32(1 + i)
			if round > 0 {
				want++
			}
			if slices.Max(got) != want || slices.Min(got) != want {
				t.Errorf("round %d, fetch %d: %v, want %v each", round, i, got, want)
			}
		}
	}
}

// On the software emulation (or a GPU), the tensor may be smaller than the size for which the fetch was prepared.
func TestFetchOfLess(t *testing.T) {
	d := anyDevice(t)
	n := &smallNet{t: t, dev: d}
	x := n.floats([]float32{1, 2, 3, 4, 5, 6}, 3, 2)
	f := newFetch(t, d, 6)
	for _, rows := range []int{3, 1, 2} {
		x.SetRows(rows)
		f.Queue(x)
		got := make([]float32, 2*rows)
		if err := f.Wait(device.Bytes(got)); err != nil {
			t.Fatal(err)
		}
		if want := []float32{1, 2, 3, 4, 5, 6}[:2*rows]; !slices.Equal(got, want) {
			t.Errorf("%d rows: %v, want %v", rows, got, want)
		}
	}
}

// The host continues while the device, a slowed-down software emulation, works: Ready returns false, then true. Wait
// waits for the event, but not if Ready has returned true.
func TestFetchIsAsynchronous(t *testing.T) {
	d := newDevice(t)
	n := newSmallNet(t, d, true)
	f := newFetch(t, d, device.StatsLen)
	n.step()
	if err := d.Sync(); err != nil {
		t.Fatal(err)
	}
	configure(t, "delay=20000")
	before := synchronisations()
	n.step()
	f.Queue(n.stats)
	if f.Ready() {
		t.Error("the fetch is there at once: the test tests nothing, or the host has waited")
	}
	if now := synchronisations(); now != before {
		t.Errorf("%v after a step and a fetch, %v before", now, before)
	}
	stats := make([]float32, device.StatsLen)
	if err := f.Wait(device.Bytes(stats)); err != nil {
		t.Fatal(err)
	}
	if stats[device.StatCount] != 2*netBatch {
		t.Errorf("the statistics are %v, want a count of %d", stats, 2*netBatch)
	}
	if now := synchronisations(); now.events != before.events+1 || now.streams != before.streams {
		t.Errorf("%v after Wait, %v before: want one wait for an event", now, before)
	}
	configure(t, "delay=0")
	n.step()
	f.Queue(n.stats)
	for !f.Ready() {
	}
	before = synchronisations()
	if err := f.Wait(device.Bytes(stats)); err != nil || stats[device.StatCount] != 3*netBatch {
		t.Errorf("the statistics are %v, %v, want a count of %d", stats, err, 3*netBatch)
	}
	if now := synchronisations(); now != before {
		t.Errorf("%v after Wait for what was there, %v before", now, before)
	}
}

// syncCalls counts the calls of the software emulation that make the host wait for the device.
type syncCalls struct{ streams, events, contexts, copies, allocations uint64 }

func synchronisations() syncCalls {
	sum := func(names ...string) (n uint64) {
		for _, name := range names {
			n += cudasim.Calls(name)
		}
		return n
	}
	return syncCalls{
		streams: sum("cuStreamSynchronize"), events: sum("cuEventSynchronize"), contexts: sum("cuCtxSynchronize"),
		copies: sum("cuMemcpyDtoH_v2", "cuMemcpyHtoD_v2", "cuMemcpyDtoD_v2"),
		// Freeing waits too.
		allocations: sum("cuMemAlloc_v2", "cuMemFree_v2", "cuMemHostAlloc", "cuMemFreeHost"),
	}
}

// openFetch opens an emulated device, a small network on it, and a fetch for its statistics. A test that makes faults closes
// fetch and device itself.
func openFetch(t *testing.T) (*Device, *smallNet, device.AsyncDownload) {
	t.Helper()
	emulate(t, "")
	dev, err := New(0)
	if err != nil {
		t.Fatal(err)
	}
	d := dev.(*Device)
	n := newSmallNet(t, d, true)
	f, err := d.NewAsyncDownload(4 * device.StatsLen)
	if err != nil {
		t.Fatal(err)
	}
	return d, n, f
}

// After a fault of the software emulation a fetch is ready at once, and Wait returns the fault.
func TestFetchReturnsTheFault(t *testing.T) {
	for _, waits := range []string{"Wait", "Ready"} {
		t.Run(waits, func(t *testing.T) {
			d, n, f := openFetch(t)
			configure(t, "fail=loss_cross_entropy#1:LAUNCH_FAILED")
			n.step()
			f.Queue(n.stats)
			if waits == "Ready" {
				for !f.Ready() {
				}
			}
			stats := make([]byte, 4*device.StatsLen)
			fault := f.Wait(stats)
			checkError(t, fault, device.ErrLost, "cuda:0", "CUDA_ERROR_LAUNCH_FAILED")
			f.Queue(n.stats)
			if !f.Ready() || !errors.Is(f.Wait(stats), fault) || !errors.Is(d.Sync(), fault) {
				t.Error("the fault is not kept")
			}
			if err := f.Close(); !errors.Is(err, fault) {
				t.Errorf("closing: %v, want the fault", err)
			}
			if err := f.Close(); err != nil {
				t.Errorf("closing again: %v", err)
			}
			if err := d.Close(); err != nil {
				t.Errorf("closing the device: %v", err)
			}
			forgiveLeaks(t)
		})
	}
}

// What was copied before a fault of the software emulation can still be had, whether or not the host has asked for it
// before; what was queued after the fault can't.
func TestFetchFromBeforeAFault(t *testing.T) {
	for _, asked := range []bool{false, true} {
		d, n, f := openFetch(t)
		n.step()
		configure(t, "delay=20000")
		f.Queue(n.stats)
		for asked && !f.Ready() {
		}
		configure(t, "fail=cuLaunchKernel#1:OUT_OF_MEMORY")
		n.step()
		stats := make([]float32, device.StatsLen)
		if err := f.Wait(device.Bytes(stats)); err != nil || stats[device.StatCount] != netBatch {
			t.Errorf("the statistics are %v, %v; want a count of %d", stats, err, netBatch)
		}
		fault := d.Sync()
		checkError(t, fault, device.ErrOutOfMemory, "CUDA_ERROR_OUT_OF_MEMORY")
		f.Queue(n.stats)
		if err := f.Wait(device.Bytes(stats)); !errors.Is(err, fault) {
			t.Errorf("after the fault: %v, want %v", err, fault)
		}
		if err := f.Close(); !errors.Is(err, fault) {
			t.Errorf("closing: %v, want the fault", err)
		}
		if err := d.Close(); err != nil {
			t.Errorf("closing the device: %v", err)
		}
	}
}

// If a call fails while a fetch is being prepared, that is an error but no fault; a failure in Queue is a fault.
func TestFetchFails(t *testing.T) {
	for _, call := range []string{"cuMemHostAlloc", "cuEventCreate"} {
		t.Run(call, func(t *testing.T) {
			d := newDevice(t)
			configure(t, "fail="+call+"#1:OUT_OF_MEMORY")
			_, err := d.NewAsyncDownload(16)
			checkError(t, err, device.ErrOutOfMemory, "preparing a fetch", "CUDA_ERROR_OUT_OF_MEMORY")
			newFetch(t, d, 4)
			if err := d.Sync(); err != nil {
				t.Error(err)
			}
		})
	}
	for _, call := range []string{"cuMemcpyDtoHAsync_v2", "cuEventRecord"} {
		t.Run(call, func(t *testing.T) {
			d := newDevice(t)
			n := &smallNet{t: t, dev: d}
			x := n.zeros(4)
			f, err := d.NewAsyncDownload(16)
			if err != nil {
				t.Fatal(err)
			}
			configure(t, "fail="+call+"#1:INVALID_VALUE")
			f.Queue(x)
			if !f.Ready() {
				t.Error("not ready after a fault")
			}
			checkError(t, f.Wait(make([]byte, 16)), nil, "a fetch", "CUDA_ERROR_INVALID_VALUE")
			if err := f.Close(); err == nil {
				t.Error("closing does not return the fault")
			}
		})
	}
}

// Wrong use of a fetch is a programmer's mistake; the device, here the software emulation, remains usable.
func TestFetchPanics(t *testing.T) {
	d := newDevice(t)
	n := newSmallNet(t, d, false)
	n.step()
	f := newFetch(t, d, device.StatsLen)
	if err := d.Sync(); err != nil {
		t.Fatal(err)
	}
	f.Queue(n.stats)
	stats := make([]byte, 4*device.StatsLen)
	for name, c := range map[string]struct {
		call func()
		word string
	}{
		"queued twice":    {func() { f.Queue(n.stats) }, "under way"},
		"too large":       {func() { f.Queue(n.x) }, "was prepared for 16"},
		"no tensor":       {func() { f.Queue(nil) }, "is nil"},
		"too little room": {func() { _ = f.Wait(stats[:8]) }, "16 bytes to 8"},
		"of nothing":      {func() { _, _ = d.NewAsyncDownload(0) }, "at least a byte"},
		"Queue recorded":  {func() { _, _ = d.Capture(func() { n.step(); f.Queue(n.stats) }) }, "being recorded"},
		"Ready recorded":  {func() { _, _ = d.Capture(func() { n.step(); f.Ready() }) }, "being recorded"},
		"Wait recorded":   {func() { _, _ = d.Capture(func() { n.step(); _ = f.Wait(stats) }) }, "being recorded"},
		"made recorded":   {func() { _, _ = d.Capture(func() { n.step(); _, _ = d.NewAsyncDownload(4) }) }, "being recorded"},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if p, _ := recover().(string); !strings.Contains(p, c.word) {
					t.Errorf("the panic is %q, want %q in it", p, c.word)
				}
				n.step()
				if err := d.Sync(); err != nil {
					t.Errorf("afterwards: %v", err)
				}
			}()
			configure(t, "delay=5000")
			defer configure(t, "delay=0")
			c.call()
			t.Error("no panic")
		})
	}
	if err := f.Wait(stats); err != nil {
		t.Error(err)
	}
}

// A fetch of the software emulation may be closed while it is in progress.
func TestFetchClosed(t *testing.T) {
	d := newDevice(t)
	n := newSmallNet(t, d, true)
	n.step()
	configure(t, "delay=5000")
	f, err := d.NewAsyncDownload(4 * device.StatsLen)
	if err != nil {
		t.Fatal(err)
	}
	n.step()
	f.Queue(n.stats)
	for range 2 {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Closing a device of the software emulation frees its fetches; closing them afterwards does nothing.
func TestFetchClosedWithTheDevice(t *testing.T) {
	emulate(t, "")
	dev, err := New(0)
	if err != nil {
		t.Fatal(err)
	}
	f, err := dev.(*Device).NewAsyncDownload(4 * device.StatsLen)
	if err != nil {
		t.Fatal(err)
	}
	n := newSmallNet(t, dev, true)
	n.step()
	f.Queue(n.stats)
	if err := dev.Close(); err != nil {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

// Fetching allocates nothing, on the software emulation.
func TestFetchAllocatesNothing(t *testing.T) {
	d := newDevice(t)
	n := &smallNet{t: t, dev: d}
	x, f := n.zeros(4), newFetch(t, d, 4)
	to := make([]byte, 16)
	once := func() {
		f.Queue(x)
		d.Zero(x)
		for !f.Ready() {
		}
		if err := f.Wait(to); err != nil {
			t.Fatal(err)
		}
	}
	once()
	if n := testing.AllocsPerRun(20, once); n != 0 {
		t.Errorf("%v allocations a fetch", n)
	}
}
