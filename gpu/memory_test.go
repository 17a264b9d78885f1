//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"bytes"
	"errors"
	"runtime"
	"strings"
	"testing"

	"trainer/nn"
	"trainer/nn/device"
)

// If the software emulation has no memory for a tensor, the error says how much was wanted and free, and the device
// remains usable.
func TestOutOfMemory(t *testing.T) {
	emulate(t, "memory=64MiB")
	d := open(t)
	_, err := d.NewTensor(device.Float32, 1<<14, 1<<10)
	var m *device.MemoryError
	if !errors.As(err, &m) || m.Wanted != 64<<20 || m.Free < 32<<20 || m.Free >= 64<<20 {
		t.Fatalf("the error is %v, want 64 MiB wanted and fewer free", err)
	}
	checkError(t, err, device.ErrOutOfMemory, "cuda:0", "allocating float32[16384 1024]", "67108864 bytes wanted")
	if _, err := d.NewTensor(device.Float32, 10); err != nil {
		t.Errorf("a smaller tensor afterwards: %v", err)
	}
	if err := d.Sync(); err != nil {
		t.Errorf("the device has a fault: %v", err)
	}
}

// A plan that the software emulation has no memory for is refused the same way.
func TestPlanOutOfMemory(t *testing.T) {
	emulate(t, "memory=64MiB")
	d := open(t)
	_, err := d.NewPool2D(device.Pool2DSpec{Mode: device.MaxPool, N: 1 << 10, H: 64, W: 64, C: 64, KH: 1, KW: 1, StrideH: 1, StrideW: 1})
	checkError(t, err, device.ErrOutOfMemory, "pool2d", "bytes wanted")
	if _, err := d.NewSoftmax(device.SoftmaxSpec{N: 1, Classes: 2}); err != nil {
		t.Errorf("another plan afterwards: %v", err)
	}
}

// Unreferenced memory of the software emulation is used again, gradually and before an allocation fails.
func TestMemoryIsCollected(t *testing.T) {
	emulate(t, "memory=128MiB")
	d := open(t)
	kept, err := d.NewTensor(device.Uint8, 20<<20)
	if err != nil {
		t.Fatal(err)
	}
	d.Zero(kept)
	for range 30 {
		x, err := d.NewTensor(device.Uint8, 40<<20)
		if err != nil {
			t.Fatal(err)
		}
		d.Copy(kept.View(20<<20), x.View(20<<20)) // work that is still queued when x is dropped
	}
	if err := d.Sync(); err != nil {
		t.Error(err)
	}
	runtime.KeepAlive(kept)
}

// TestSliceKeepsMemory: memory is not freed as long as a part of it is in use.
func TestSliceKeepsMemory(t *testing.T) {
	emulate(t, "memory=128MiB")
	d := open(t)
	part := func() *device.Tensor {
		x, err := d.NewTensor(device.Float32, 10<<20)
		if err != nil {
			t.Fatal(err)
		}
		return d.Slice(x, 9<<20, 3)
	}()
	if err := d.Upload(part, device.Bytes([]float32{1, 2, 3})); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if _, err := d.NewTensor(device.Uint8, 40<<20); err != nil {
			t.Fatal(err)
		}
	}
	got := make([]float32, 3)
	if err := d.Download(device.Bytes(got), part); err != nil || got[0] != 1 || got[2] != 3 {
		t.Errorf("%v, %v, want 1 2 3", got, err)
	}
}

// FreeMemory counts garbage of the software emulation as free.
func TestFreeMemory(t *testing.T) {
	emulate(t, "memory=128MiB")
	d := open(t)
	before := d.FreeMemory()
	if before <= 0 || before >= 128<<20 {
		t.Fatalf("%d bytes are free of 128 MiB", before)
	}
	x, err := d.NewTensor(device.Uint8, 16<<20)
	if err != nil {
		t.Fatal(err)
	}
	if got := d.FreeMemory(); got > before-16<<20 {
		t.Errorf("%d bytes are free with 16 MiB allocated, %d were before", got, before)
	}
	runtime.KeepAlive(x)
	if got := d.FreeMemory(); got != before {
		t.Errorf("%d bytes are free when the tensor is gone, %d were before", got, before)
	}
}

// On the software emulation, copies that are larger than the ring of pinned memory, or of odd sizes, arrive whole.
func TestLargeTransfers(t *testing.T) {
	d := newDevice(t)
	for _, size := range []int{1, 255, segmentBytes, segmentBytes + 1, downloadBytes + 3, ringSegments*segmentBytes + 12345} {
		x, err := d.NewTensor(device.Uint8, size)
		if err != nil {
			t.Fatal(err)
		}
		want := make([]byte, size)
		for i := range want {
			want[i] = byte(i + i>>8 + i>>16)
		}
		got := make([]byte, size)
		if err := errors.Join(d.Upload(x, want), d.Download(got, x)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%d bytes came back changed", size)
		}
	}
}

// Uploads that come faster than the software emulation works arrive in order, even if the ring is full: each sum
// belongs to the upload before it.
func TestUploadsKeepTheirOrder(t *testing.T) {
	emulate(t, "delay=2000")
	d := open(t)
	const rounds, size = 40, 1 << 18 // 1 MiB each, 16 in the ring
	n := &smallNet{t: t, dev: d}
	x := n.zeros(size)
	sum, err := d.NewReduce(device.ReduceSpec{Kind: device.ReduceSum, Batch: 1, Rows: size, C: 1})
	if err != nil {
		t.Fatal(err)
	}
	src := make([]float32, size)
	var sums []*device.Tensor
	for i := range rounds {
		for k := range src {
			src[k] = float32(i)
		}
		if err := d.Upload(x, device.Bytes(src)); err != nil {
			t.Fatal(err)
		}
		sums = append(sums, n.zeros(1))
		sum.Run(sums[i], x, nil)
	}
	for i, s := range sums {
		if got := n.download(s)[0]; got != float32(i*size) {
			t.Errorf("the sum of upload %d is %v, want %v", i, got, i*size)
		}
	}
}

// Methods may be called from another goroutine each time, on another thread; the software emulation would
// find a context that isn't current.
func TestAnyThread(t *testing.T) {
	d := newDevice(t)
	n := newSmallNet(t, d, true)
	done := make(chan error)
	for range 8 {
		go func() {
			runtime.LockOSThread() // a separate thread, which ends with the goroutine
			n.step()
			done <- d.Sync()
		}()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
}

// A tensor of another device, of two that the software emulation has here, is a programmer's mistake, and the panic
// names it.
func TestTensorOfAnotherDevice(t *testing.T) {
	emulate(t, "devices=2")
	d := open(t)
	second, err := New(1)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := second.Close(); err != nil {
			t.Error(err)
		}
	}()
	x, err := second.NewTensor(device.Float32, 4)
	if err != nil {
		t.Fatal(err)
	}
	y, err := d.NewTensor(device.Float32, 4)
	if err != nil {
		t.Fatal(err)
	}
	act, err := d.NewActivation(device.ActivationSpec{Function: nn.ReLU{}.Activation().Function, Len: 4})
	if err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]func(){
		"copy": func() { d.Copy(y, x) }, "activation forward": func() { act.Forward(y, x) },
		"upload": func() { _ = d.Upload(x, make([]byte, 16)) },
		"clip":   func() { _, _ = d.NewClip(device.ClipSpec{Grads: []*device.Tensor{x}, MaxNorm: 1}) },
	} {
		func() {
			defer func() {
				if p, _ := recover().(string); !strings.Contains(p, name) || !strings.Contains(p, "not on cuda:0") {
					t.Errorf("%s: the panic is %q", name, p)
				}
			}()
			call()
		}()
	}
	if err := d.Sync(); err != nil {
		t.Error(err)
	}
}
