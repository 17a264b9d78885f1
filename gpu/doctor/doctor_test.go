package doctor

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"trainer/cpu"
	"trainer/gpu"
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
		{"no GPU", Driver{Library: Library{Reason: "the driver lists no GPU"}}, nil, false, "no GPU can be used: the driver lists no GPU"},
		{"one", found, []GPU{{Name: "NVIDIA H100", Usable: true}}, true, "cuda:0 (NVIDIA H100) can be used"},
		{"the second", found, []GPU{{Reason: "too old"}, {Index: 1, Name: "NVIDIA L4", Usable: true}}, true, "cuda:1 (NVIDIA L4) can be used"},
		{"two", found, []GPU{{Name: "A", Usable: true}, {Index: 1, Name: "B", Usable: true}}, true, "cuda:0 (A) and cuda:1 (B) can be used"},
		{"none of two", found, []GPU{{Reason: "too old"}, {Index: 1, Reason: "busy"}}, false, "no GPU can be used: cuda:0: too old"},
		{"with a remedy", found, []GPU{{Reason: "busy", Remedy: "wait"}}, false, "no GPU can be used: cuda:0: busy; wait"},
		{"emulation", found, []GPU{{Name: "software emulation", Usable: true}}, true, "cuda:0 (software emulation) can be used"},
	} {
		d := Diagnosis{Built: true, Driver: c.driver, GPUs: c.gpus}
		d.Conclude()
		if d.Usable != c.usable || d.Verdict != c.want {
			t.Errorf("%s: %v, %q; want %v, %q", c.name, d.Usable, d.Verdict, c.usable, c.want)
		}
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

// sixteen is a device that convolves in float16 like a GPU, by rounding the CPU's results.
type sixteen struct{ device.Device }

func (s sixteen) NewConv2D(spec device.Conv2DSpec) (device.Conv2D, error) {
	half := spec.DType == device.Float16
	spec.DType = device.Float32
	plan, err := s.Device.NewConv2D(spec)
	if err != nil || !half {
		return plan, err
	}
	return roundedConv{plan, s.Device}, nil
}

type roundedConv struct {
	device.Conv2D
	cpu device.Device
}

func (c roundedConv) Forward(y, x, w, bias *device.Tensor) {
	wide := c.cast(y, device.Float32)
	c.Conv2D.Forward(wide, c.cast(x, device.Float32), c.cast(w, device.Float32), bias)
	c.cpu.Copy(y, c.cast(wide, device.Float16))
}

// cast returns the tensor converted to another dtype.
func (c roundedConv) cast(t *device.Tensor, to device.DType) *device.Tensor {
	plan, err := c.cpu.NewCast(device.CastSpec{From: t.DType(), To: to, Len: t.Len()})
	if err != nil {
		panic(err)
	}
	dst, err := c.cpu.NewTensor(to, t.Shape()...)
	if err != nil {
		panic(err)
	}
	plan.Run(dst, t)
	return dst
}

// wrong is a device whose first download of a dtype has a wrong value.
type wrong struct {
	device.Device
	dtype device.DType
}

func (w wrong) Download(dst []byte, src *device.Tensor) error {
	err := w.Device.Download(dst, src)
	if src.DType() == w.dtype {
		dst[1] ^= 0x40 // an exponent bit of a float16, or a mantissa bit of a float32
		dst[3] ^= 0x40
	}
	return err
}

// broken is a device that can't download.
type broken struct{ device.Device }

func (broken) Download([]byte, *device.Tensor) error { return device.ErrLost }

func ignore(string, []Selftest) {}

func TestSelftest(t *testing.T) {
	reference := newCPU(t)
	var begun []string
	tests, err := selftest(sixteen{newCPU(t)}, reference, func(name string, done []Selftest) {
		begun = append(begun, fmt.Sprint(len(done), " ", name))
	})
	if err != nil {
		t.Fatal(err)
	}
	g := GPU{Tests: tests}
	if g.judge(); !g.Usable || g.Reason != "" {
		t.Errorf("the CPU against itself: %+v", g)
	}
	want := "0 convolution in fp32 (cuDNN), 1 convolution in fp16 (cuDNN), 2 matrix product (cuBLAS), 3 softmax (own kernel)"
	if got := strings.Join(begun, ", "); got != want || len(tests) != 4 {
		t.Errorf("%d tests: %s", len(tests), got)
	}
	for i, test := range tests {
		if rounds := i == 1; rounds != (test.Error > 0) || test.Error > 5e-4 {
			t.Errorf("%+v: want only float16 to be rounded, and once", test)
		}
	}
}

func TestSelftestFindsWhatIsWrong(t *testing.T) {
	reference := newCPU(t)
	for _, c := range []struct {
		dtype device.DType
		want  string
	}{
		{device.Float32, "wrong result: convolution in fp32 (cuDNN), error "},
		{device.Float16, "wrong result: convolution in fp16 (cuDNN), error "},
	} {
		tests, err := selftest(wrong{sixteen{newCPU(t)}, c.dtype}, reference, ignore)
		g := GPU{Tests: tests}
		g.judge()
		if err != nil || g.Usable || !strings.Contains(g.Reason, c.want) {
			t.Errorf("a device that computes wrong: %v, %+v, want %s", err, g, c.want)
		}
	}
	if _, err := selftest(broken{sixteen{newCPU(t)}}, reference, ignore); !errors.Is(err, device.ErrLost) {
		t.Errorf("a device that fails: %v", err)
	}
	if _, err := selftest(newCPU(t), reference, ignore); !errors.Is(err, device.ErrNotSupported) {
		t.Errorf("a device without float16: %v", err)
	}
	g := GPU{Reason: "busy"}
	if g.judge(); g.Usable {
		t.Error("a GPU with a reason is usable")
	}
}

func TestSurveyWithoutCUDA(t *testing.T) {
	if gpu.Built {
		t.Skip("this build has the CUDA device")
	}
	d := Survey(func(string) {})
	if d.Built || d.Usable || !strings.HasPrefix(d.Verdict, "this build has no CUDA device: ") {
		t.Errorf("%+v", d)
	}
	g := Examine(3, nil, func(string, GPU) {})
	if g.Index != 3 || g.Usable || !strings.HasPrefix(g.Reason, "this build has no CUDA device: ") {
		t.Errorf("%+v", g)
	}
}
