//go:build cuda && linux && cgo && (amd64 || arm64)

package cudasim

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"gorgonia.org/cu"

	"trainer/gpu/internal/cuda"
)

// The calls that the program makes, in a Go process with its signal handlers and threads.

// start opens the device, on this thread.
func start(t *testing.T) *cuda.Context {
	t.Helper()
	t.Setenv(PathVariable, selftestBuilder(t).folder(t, Options{}))
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	c, err := cuda.Open(0)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// expect takes the findings; there must be exactly one for each pair of kind and text.
func expect(t *testing.T, want ...string) {
	t.Helper()
	got := Findings()
	Clear()
	if len(got)*2 != len(want) {
		t.Fatalf("findings %q, want %q", got, want)
	}
	for i, line := range got {
		if !strings.HasPrefix(line, want[2*i]+": ") || !strings.Contains(line, want[2*i+1]) {
			t.Errorf("finding %q, want kind %s with %q", line, want[2*i], want[2*i+1])
		}
	}
}

// early prevents the compiler from removing a read.
var early byte

func TestInProcess(t *testing.T) {
	c := start(t)
	Watch(t)
	if name, err := c.Device.Name(); err != nil || name != "software emulation" {
		t.Errorf("the device is called %q, %v", name, err)
	}
	image, err := os.ReadFile(filepath.Join("testdata", "selftest", "kernels.ptx"))
	ok(t, err)
	m := must[*cuda.Module](t)(cuda.LoadModule("selftest", string(image)))
	scale, write := must[*cuda.Kernel](t)(m.Kernel("test_scale")), must[*cuda.Kernel](t)(m.Kernel("test_write"))
	s := must[cu.Stream](t)(cuda.NewStream())
	x, y := must[cu.DevicePtr](t)(cuda.Alloc(4096)), must[cu.DevicePtr](t)(cuda.Alloc(4096))
	host := must[[]byte](t)(cuda.AllocHost(4096))

	// A correct step has no findings.
	before := Calls("cuLaunchKernel")
	ok(t, cuda.SetAsync(x, 0x3F, 4096, s))
	var args cuda.Args
	ok(t, scale.Launch(cuda.Along(4), cuda.Along(256), 0, s, args.Reset().Pointer(y).Pointer(x).Float32(2).Int32(1024)))
	ok(t, cuda.CopyToHostAsync(host, y, s))
	ok(t, cuda.Wait(s))
	// Doubling 0x3F3F3F3F adds 1 to the exponent, which begins at bit 23.
	if host[3] != 0x3F || host[2] != 0xBF || host[4095] != 0x3F {
		t.Errorf("twice 0x3F3F3F3F begins % x", host[:4])
	}
	if n := Calls("cuLaunchKernel") - before; n != 1 {
		t.Errorf("%d launches were counted, want 1", n)
	}
	expect(t)

	// Reading pinned memory too early is found, and the read succeeds.
	ok(t, cuda.CopyToHostAsync(host, x, s))
	early = host[100]
	expect(t, "missing-sync", "the program read pinned memory of 4096 bytes")
	ok(t, cuda.Wait(s))

	// The Go runtime still handles bad accesses by the program itself.
	func() {
		defer func() {
			if recover() == nil {
				t.Error("an access through nil does not panic")
			}
		}()
		var nothing *[1 << 10]int
		nothing[1000] = 1
	}()

	if err := Configure("nonsense=1"); err == nil || !strings.Contains(err.Error(), "no such setting") {
		t.Errorf("a wrong setting gives %v", err)
	}
	ok(t, Configure("fail=cuMemAlloc_v2#1:OUT_OF_MEMORY"))
	if _, err := cuda.Alloc(16); err == nil || !strings.Contains(err.Error(), "CUDA_ERROR_OUT_OF_MEMORY") {
		t.Errorf("an allocation that was to fail gives %v", err)
	}
	Disarm()

	// A kernel that accesses memory far outside its buffers ends its launch and the context,
	// but not the process.
	ok(t, write.Launch(cuda.Along(1), cuda.Along(1), 0, s, args.Reset().Pointer(x).Int64(1<<40)))
	if err := cuda.Wait(s); err == nil || !strings.Contains(err.Error(), "CUDA_ERROR_ILLEGAL_ADDRESS") {
		t.Errorf("a wild write gives %v", err)
	}
	expect(t, "overrun", "test_write: reached")
	Reset()

	// A new context in the same process.
	c = must[*cuda.Context](t)(cuda.Open(0))
	must[cu.DevicePtr](t)(cuda.Alloc(16)) // and lost
	ok(t, c.Close())
	expect(t, "leak", "16 bytes of cuMemAlloc_v2")
}
