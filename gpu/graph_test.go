//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"

	"trainer/gpu/cudasim"
	"trainer/gpu/internal/cuda"
	"trainer/nn/device"
)

// On the software emulation (or a GPU), a step that is recorded and replayed gives the bits of the step run directly, with
// counters that change between replays.
func TestReplayEqualsStep(t *testing.T) {
	d := anyDevice(t, WithDeterministic())
	const steps = 5
	direct := newSmallNet(t, d, true)
	for i := range steps {
		direct.count(int32(i))
		direct.step()
	}
	want := direct.weights()

	recorded := newSmallNet(t, d, true)
	g := capture(t, d, recorded.step)
	if got := recorded.download(recorded.stats)[device.StatCount]; got != 0 {
		t.Errorf("recording ran the step: %v images are counted", got)
	}
	runtime.GC() // the graph keeps the memory that the step uses
	for i := range steps {
		recorded.count(int32(i))
		g.Launch()
	}
	same(t, recorded.weights(), want)
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	if err := g.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
}

// capture records a step, and closes the recording after the test.
func capture(t *testing.T, d *Device, step func()) device.Graph {
	t.Helper()
	g := mustCapture(t, d, step)
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	return g
}

// mustCapture records a step.
func mustCapture(t *testing.T, d *Device, step func()) device.Graph {
	t.Helper()
	g, err := d.Capture(step)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// same fails the test unless the numbers are the same.
func same(t *testing.T, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d numbers, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("number %d of %d is %v, want %v", i, len(want), got[i], want[i])
		}
	}
}

// On the software emulation, a graph keeps memory that nothing else refers to: tensors, plans, and the workspace after a
// larger one took its place.
func TestGraphKeepsItsMemory(t *testing.T) {
	d := newDevice(t)
	out := newSmallNet(t, d, false).zeros(40)
	g := func() device.Graph {
		x, err := d.NewTensor(device.Float32, 300, 40)
		if err != nil {
			t.Fatal(err)
		}
		ones := make([]float32, x.Len())
		for i := range ones {
			ones[i] = 1
		}
		if err := d.Upload(x, device.Bytes(ones)); err != nil {
			t.Fatal(err)
		}
		sum, err := d.NewReduce(device.ReduceSpec{Kind: device.ReduceSum, Batch: 1, Rows: 300, C: 40, Keep: device.AxisC})
		if err != nil {
			t.Fatal(err)
		}
		return capture(t, d, func() { sum.Run(out, x, nil) })
	}()
	before := d.workspace.address
	if _, err := d.NewReduce(device.ReduceSpec{Kind: device.ReduceSum, Batch: 1, Rows: 1 << 16, C: 256, Keep: device.AxisC}); err != nil {
		t.Fatal(err)
	}
	if d.workspace.address == before {
		t.Fatal("the workspace didn't grow: the test tests nothing")
	}
	d.FreeMemory() // frees unreferenced memory
	g.Launch()
	got := make([]float32, 40)
	if err := d.Download(device.Bytes(got), out); err != nil {
		t.Fatal(err)
	}
	for _, v := range got {
		if v != 300 {
			t.Fatalf("sums %v, want 300 each", got)
		}
	}
}

// Recording what can't be recorded is a programmer's mistake and panics; the device, here the software emulation,
// remains usable.
func TestNotToBeRecorded(t *testing.T) {
	d := newDevice(t)
	n := newSmallNet(t, d, false)
	n.step()
	for name, call := range map[string]func(){
		"upload":     func() { _ = d.Upload(n.counter, make([]byte, 4)) },
		"download":   func() { _ = d.Download(make([]byte, 4), n.counter) },
		"waiting":    func() { _ = d.Sync() },
		"allocating": func() { _, _ = d.NewTensor(device.Float32, 1) },
		"softmax":    func() { _, _ = d.NewSoftmax(device.SoftmaxSpec{N: 1, Classes: 2}) },
		"recording":  func() { _, _ = d.Capture(func() {}) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if p, _ := recover().(string); !strings.Contains(p, name) || !strings.Contains(p, "being recorded") {
					t.Errorf("the panic is %q", p)
				}
				n.step()
				if err := d.Sync(); err != nil {
					t.Errorf("afterwards: %v", err)
				}
			}()
			_, err := d.Capture(func() { n.step(); call() })
			t.Error("no panic, error", err)
		})
	}
}

// If a recording fails, here because the software emulation is told to fail, Capture returns the error, and the device
// has no fault.
func TestCaptureFails(t *testing.T) {
	for _, fault := range []string{"cuStreamBeginCapture_v2", "cuLaunchKernel", "cublasGemmEx", "cuGraphInstantiateWithFlags", "cuGraphUpload"} {
		t.Run(fault, func(t *testing.T) {
			d := newDevice(t)
			n := newSmallNet(t, d, true)
			n.step()
			configure(t, "fail="+fault+"#1:1")
			g, err := d.Capture(n.step)
			if g != nil || err == nil || !strings.Contains(err.Error(), fault) {
				t.Fatalf("Capture = %v, %v; want an error of %s", g, err, fault)
			}
			n.step()
			if err := d.Sync(); err != nil {
				t.Fatalf("the device has a fault: %v", err)
			}
			again := capture(t, d, n.step)
			again.Launch()
			if err := d.Sync(); err != nil {
				t.Errorf("a recording after that: %v", err)
			}
		})
	}
}

// A call that invalidates the recording, noticed only by the software emulation, is also an error and no fault.
func TestSpoiltCapture(t *testing.T) {
	d := newDevice(t)
	n := newSmallNet(t, d, true)
	n.step()
	_, err := d.Capture(func() {
		n.step()
		_ = cuda.Wait(d.stream)
		n.step()
	})
	if err == nil || !strings.Contains(err.Error(), "CAPTURE_INVALIDATED") {
		t.Errorf("the error is %v", err)
	}
	if found := cudasim.Findings(); len(found) != 1 || !strings.HasPrefix(found[0], "capture: cuStreamSynchronize") {
		t.Errorf("the emulation found %q, want the wait", found)
	}
	cudasim.Clear()
	n.step()
	if err := d.Sync(); err != nil {
		t.Errorf("the device has a fault: %v", err)
	}
}

// A step of which the host computes a part can't be recorded: the error is an ErrNotSupported, so package train queues
// the step instead. Without recording the plan works, and the device remains usable.
func TestHostsPartIsNotRecorded(t *testing.T) {
	d := newDevice(t)
	n := newSmallNet(t, d, false)
	softmax, err := d.Operations.NewSoftmax(device.SoftmaxSpec{N: 2, Classes: 2})
	if err != nil {
		t.Fatal(err)
	}
	x, y := n.zeros(2, 2), n.zeros(2, 2)
	step := func() { n.step(); softmax.Forward(y, x); n.step() }
	step()
	if _, err := d.Capture(step); !errors.Is(err, device.ErrNotSupported) || !strings.Contains(err.Error(), "softmax") {
		t.Errorf("the error is %v, want an ErrNotSupported that names softmax", err)
	}
	step()
	got := make([]float32, 4)
	if err := d.Download(device.Bytes(got), y); err != nil {
		t.Fatal(err)
	}
	same(t, got, []float32{0.5, 0.5, 0.5, 0.5})
	if names := d.Fallbacks(); !slices.Equal(names, []string{"softmax"}) {
		t.Errorf("the fallbacks are %q, want softmax", names)
	}
	if _, err := d.Capture(n.step); err != nil {
		t.Errorf("a step without it: %v", err)
	}
}
