package gpu

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"trainer/cpu"
	"trainer/gpu/internal/cuda"
	"trainer/nn/device"
)

func TestVerdict(t *testing.T) {
	found := Driver{Library: Library{Name: "driver", File: "/usr/lib/libcuda.so.1"}}
	for _, c := range []struct {
		name   string
		driver Driver
		gpus   []GPU
		usable bool
		want   string
	}{
		{"no driver", Driver{Library: Library{Reason: "libcuda.so.1 not found"}, Remedy: "install the NVIDIA driver"}, nil, false, "no GPU can be used: libcuda.so.1 not found; install the NVIDIA driver"},
		{"no GPU", Driver{Library: Library{Reason: "the driver sees no GPU"}}, nil, false, "no GPU can be used: the driver sees no GPU"},
		{"one", found, []GPU{{Name: "NVIDIA H100", Usable: true}}, true, "cuda:0 can be used"},
		{"the second", found, []GPU{{Reason: "too old"}, {Index: 1, Usable: true}}, true, "cuda:1 can be used"},
		{"two", found, []GPU{{Usable: true}, {Index: 1, Usable: true}}, true, "cuda:0, cuda:1 can be used"},
		{"none of two", found, []GPU{{Reason: "too old"}, {Index: 1, Reason: "busy"}}, false, "no GPU can be used: cuda:0: too old"},
		{"with a remedy", found, []GPU{{Reason: "busy", Remedy: "wait"}}, false, "no GPU can be used: cuda:0: busy; wait"},
		{"emulation", found, []GPU{{Name: "software emulation", Usable: true}}, true, "cuda:0 can be used, which is a software emulation and no GPU"},
	} {
		d := Diagnosis{Built: true, Driver: c.driver, GPUs: c.gpus}
		d.conclude()
		if d.Usable != c.usable || d.Verdict != c.want {
			t.Errorf("%s: %v, %q; want %v, %q", c.name, d.Usable, d.Verdict, c.usable, c.want)
		}
	}
}

func TestRemedyOfAnError(t *testing.T) {
	code := func(library, name string) error {
		for n := range 10000 {
			if cuda.StatusName(library, n) == name {
				return &device.Error{Device: "cuda:0", Op: "opening the device", Err: &cuda.Error{Library: library, Code: n, Name: name}}
			}
		}
		t.Fatalf("%s has no %s", library, name)
		return nil
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("opening: %w", &cuda.LoadError{Library: cuda.Library{Name: "libcuda"}}), "install the NVIDIA driver"},
		{&cuda.LoadError{Library: cuda.Library{Name: "libcublas"}}, "nvidia-cublas-cu12"},
		{&cuda.LoadError{Library: cuda.Library{Name: "libcudnn"}}, "nvidia-cudnn-cu12"},
		{code(cuda.CUDA, "CUDA_ERROR_NO_DEVICE"), "CUDA_VISIBLE_DEVICES"},
		{code(cuda.CUDA, "CUDA_ERROR_DEVICE_UNAVAILABLE"), "another process holds the GPU"},
		{code(cuda.CUDA, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION"), "update the NVIDIA driver"},
		{code(cuda.CUDA, "CUDA_ERROR_OUT_OF_MEMORY"), "other processes use the GPU's memory"},
		{&device.MemoryError{}, "other processes use the GPU's memory"},
		{device.ErrLost, "has failed"},
	} {
		if got := Remedy(c.err); !strings.Contains(got, c.want) {
			t.Errorf("the remedy of %v is %q, want in it %q", c.err, got, c.want)
		}
	}
	if got := Remedy(errors.New("something else")); got != "" {
		t.Errorf("the remedy of an unknown error is %q", got)
	}
}

func TestExplainIsOneLine(t *testing.T) {
	reason, remedy := explain(&device.Error{Device: "cuda:0", Op: "opening", Err: fmt.Errorf("a\nb: %w", device.ErrLost)})
	if reason != "a; b: device lost" || remedy == "" {
		t.Errorf("%q, %q", reason, remedy)
	}
}

func TestRelativeError(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range []struct {
		got, want []float32
		error     float64
	}{
		{[]float32{1, -2}, []float32{1, -2}, 0},
		{[]float32{1, -1}, []float32{1, -2}, 0.5},
		{[]float32{0, 0}, []float32{0, 0}, 0},
		{[]float32{1, 0}, []float32{0, 0}, math.MaxFloat64},
		{[]float32{nan, 0}, []float32{1, 1}, math.MaxFloat64},
		{[]float32{inf, 0}, []float32{1, 1}, math.MaxFloat64},
		{[]float32{1}, []float32{1, 1}, math.MaxFloat64},
	} {
		if got := relativeError(c.got, c.want); got != c.error {
			t.Errorf("relativeError(%v, %v) = %v, want %v", c.got, c.want, got, c.error)
		}
	}
}

// newCPU returns a CPU device for a test.
func newCPU(t *testing.T) device.Device {
	t.Helper()
	dev, err := cpu.New(cpu.WithThreads(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	return dev
}

// wrong is a device that downloads other values than it has.
type wrong struct{ device.Device }

func (w wrong) Download(dst []byte, src *device.Tensor) error {
	err := w.Device.Download(dst, src)
	copy(dst, device.Bytes([]float32{100}))
	return err
}

// broken is a device that can't download.
type broken struct{ device.Device }

func (broken) Download([]byte, *device.Tensor) error { return device.ErrLost }

func TestSelftest(t *testing.T) {
	reference := newCPU(t)
	tests, err := selftest(newCPU(t), reference)
	if err != nil {
		t.Fatal(err)
	}
	g := GPU{Tests: tests}
	if g.judge(); !g.Usable || g.Reason != "" || len(tests) != 3 {
		t.Errorf("the CPU against itself: %+v", g)
	}

	tests, err = selftest(wrong{newCPU(t)}, reference)
	g = GPU{Tests: tests}
	g.judge()
	if err != nil || g.Usable || !strings.Contains(g.Reason, "wrong result: convolution (cuDNN), off by ") {
		t.Errorf("a device that computes wrong: %v, %+v", err, g)
	}

	if _, err := selftest(broken{newCPU(t)}, reference); !errors.Is(err, device.ErrLost) {
		t.Errorf("a device that fails: %v", err)
	}
	g = GPU{Reason: "busy"}
	if g.judge(); g.Usable {
		t.Error("a GPU with a reason is usable")
	}
}

func TestDiagnoseWithoutCUDA(t *testing.T) {
	if Built {
		t.Skip("this build has the CUDA device")
	}
	d := Diagnose(context.Background(), newCPU(t))
	if d.Built || d.Usable || !strings.HasPrefix(d.Verdict, "this build has no CUDA device: ") {
		t.Errorf("%+v", d)
	}
}
