//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"trainer/gpu/cudasim"
	"trainer/gpu/internal/cuda"
	"trainer/nn/device"
)

// The software emulation identifies itself as an emulation.
func TestInfo(t *testing.T) {
	emulate(t, "memory=512MiB; cc=90")
	info, err := openEmulated(0, WithPrecision(TF32))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(info.Description, "software emulation") || info.Memory != 512<<20 || info.Threads != 0 {
		t.Errorf("the device is %+v", info)
	}
	for _, want := range []string{"tf32", "compute capability 9.0", "driver for CUDA 12", "cuBLAS 12", "cuDNN 9"} {
		if !slices.ContainsFunc(info.Features, func(f string) bool { return strings.HasPrefix(f, want) }) {
			t.Errorf("the features %q lack %q", info.Features, want)
		}
	}
}

// A device tells what precision it has settled on, and which of TF32 and FMA float32 products get. What is said
// of compute capabilities is what the software emulation is told to pretend.
func TestSettledPrecision(t *testing.T) {
	for _, c := range []struct {
		settings      string
		ask           Precision
		want, factors Precision
	}{
		{"cc=75", Auto, FP32, FP32},
		{"cc=80", Auto, TF32, TF32},
		{"cc=90", Auto, TF32, TF32},
		{"cc=90", FP32, FP32, FP32},
		{"cc=80", TF32, TF32, TF32},
		{"cc=75", FP16, FP16, FP32},
		{"cc=80", FP16, FP16, TF32},
		{"cc=90", BF16, BF16, TF32},
	} {
		t.Run(c.settings+" "+c.ask.String(), func(t *testing.T) {
			emulate(t, c.settings)
			d := open(t, WithPrecision(c.ask))
			if got := device.PrecisionOf(d); got != c.want {
				t.Errorf("the precision is %v, want %v", got, c.want)
			}
			if got := d.products(device.Float32); got != c.factors {
				t.Errorf("products of float32 are in %v, want %v", got, c.factors)
			}
			if !slices.Contains(d.Info().Features, c.want.String()) {
				t.Errorf("the features %q lack %q", d.Info().Features, c.want)
			}
		})
	}
	emulate(t, "cc=90")
	if d := open(t); d.Precision() != TF32 {
		t.Errorf("without an option the precision is %v, want that of auto", d.Precision())
	}
}

// bfloat16 needs tensor cores that the GPU, the software emulation here, may not have: the error for its plans says so,
// and names an alternative.
func TestBFloat16OnAnOldGPU(t *testing.T) {
	emulate(t, "cc=75")
	d := open(t, WithPrecision(FP16))
	const bf16 = device.BFloat16
	conv := ordinary
	conv.DType = bf16
	_, convolution := d.NewConv2D(conv)
	_, product := d.NewMatMul(device.MatMulSpec{M: 2, N: 2, K: 2, DType: bf16})
	_, sum := d.NewWeightedSum(device.WeightedSumSpec{Len: 2, DType: bf16})
	_, conversion := d.NewCast(device.CastSpec{From: device.Float32, To: bf16, Len: 2})
	for name, err := range map[string]error{"conv2d": convolution, "matmul": product, "weighted sum": sum, "cast": conversion} {
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		checkError(t, err, device.ErrNotSupported, name, "bfloat16 need compute capability 8.0", "has 7.5", "use float16")
	}
	if err := d.Sync(); err != nil {
		t.Error(err)
	}
}

// What can be wrong with the machine, as the software emulation pretends, or with the options, in the words that a user
// reads.
func TestNewSaysWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		name, settings string
		index          int
		options        []Option
		is             error // nil means none of the kinds
		want           []string
	}{
		{"no GPU", "devices=0", 0, nil, device.ErrNoDevice, []string{"cuda:0", "CUDA_ERROR_NO_DEVICE"}},
		{"no such GPU", "", 7, nil, device.ErrNoDevice, []string{"cuda:7", "there is one GPU, cuda:0"}},
		{"negative", "", -1, nil, device.ErrNoDevice, []string{"cuda:-1"}},
		{"busy", "busy", 0, nil, nil, []string{"cuda:0", "CUDA_ERROR_DEVICE_UNAVAILABLE"}},
		{"old driver", "driver=11080", 0, nil, device.ErrNotSupported, []string{"CUDA 11.8", "12.1 or newer", "update the NVIDIA driver"}},
		{"old GPU", "cc=61", 0, nil, device.ErrNotSupported, []string{"compute capability 6.1", "7.5 or newer"}},
		{"tf32 on an old GPU", "cc=75", 0, []Option{WithPrecision(TF32)}, device.ErrNotSupported, []string{"tf32 needs compute capability 8.0", "use fp32"}},
		{"bf16 on an old GPU", "cc=75", 0, []Option{WithPrecision(BF16)}, device.ErrNotSupported, []string{"bf16 needs compute capability 8.0", "has 7.5", "use fp16"}},
		{"no precision", "", 0, []Option{WithPrecision(9)}, device.ErrNotSupported, []string{"precision 9", "want auto, fp32, tf32, fp16 or bf16"}},
		{"negative workspace", "", 0, []Option{WithWorkspaceLimit(-1)}, nil, []string{"-1 bytes", "want 0"}},
		{"no pinned memory", "fail=cuMemHostAlloc#1:OUT_OF_MEMORY", 0, nil, device.ErrOutOfMemory, []string{"pinned"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			emulate(t, c.settings)
			d, err := New(c.index, c.options...)
			if err == nil {
				t.Error("no error", d.Close())
				return
			}
			checkError(t, err, c.is, c.want...)
		})
	}
}

// checkError fails the test unless the error is of the kind, or of none where that is nil, and has the words.
func checkError(t *testing.T, err, kind error, words ...string) {
	t.Helper()
	for _, k := range []error{device.ErrNoDevice, device.ErrNotSupported, device.ErrOutOfMemory, device.ErrLost, device.ErrNotBuilt} {
		if errors.Is(err, k) != (k == kind) {
			t.Errorf("the error %q: errors.Is %q is %v", err, k, k != kind)
		}
	}
	var e *device.Error
	if !errors.As(err, &e) || !strings.HasPrefix(e.Device, "cuda:") {
		t.Errorf("the error %q names no device", err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error %q doesn't say %q", err, w)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("the error %q has more than one line", err)
	}
}

// If opening fails half way, everything is released: whichever call fails, no memory or handle is left, which the
// emulation would report.
func TestNewCleansUp(t *testing.T) {
	for _, function := range []string{
		"cuStreamCreate", "cuMemHostAlloc", "cuEventCreate",
	} {
		t.Run(function, func(t *testing.T) {
			emulate(t, "fail="+function+"#1:1")
			if _, err := openEmulated(0); err == nil || !strings.Contains(err.Error(), function) {
				t.Errorf("error %v, want one of %s", err, function)
			}
			if _, err := openEmulated(0); err != nil {
				t.Errorf("opening again: %v", err)
			}
		})
	}
}

// The first plan of a product opens cuBLAS, and that of a convolution cuDNN. If a call of the software emulation fails at it,
// everything is released, and the next plan tries again. A device without such plans opens neither.
func TestLibrariesAreOpenedByPlans(t *testing.T) {
	product := func(d *Device) error {
		_, err := d.NewMatMul(device.MatMulSpec{M: 2, N: 2, K: 2})
		return err
	}
	convolution := func(d *Device) error {
		_, err := d.NewConv2D(ordinary)
		return err
	}
	for function, plan := range map[string]func(*Device) error{
		"cublasCreate_v2": product, "cublasSetStream_v2": product, "cublasSetMathMode": product, "cuMemAlloc_v2": product,
		"cublasSetWorkspace_v2": product, "cudnnCreate": convolution, "cudnnSetStream": convolution,
	} {
		t.Run(function, func(t *testing.T) {
			emulate(t, "")
			d := open(t)
			created := cudasim.Calls("cublasCreate_v2") + cudasim.Calls("cudnnCreate")
			if _, err := d.NewCast(device.CastSpec{From: device.Float32, To: device.Float16, Len: 1}); err != nil {
				t.Fatal(err)
			}
			if cudasim.Calls("cublasCreate_v2")+cudasim.Calls("cudnnCreate") != created {
				t.Error("a device without products and convolutions has opened a library")
			}
			configure(t, "fail="+function+"#1:1")
			if err := plan(d); err == nil || !strings.Contains(err.Error(), function) {
				t.Errorf("error %v, want one of %s", err, function)
			}
			if err := plan(d); err != nil {
				t.Errorf("the next plan: %v", err)
			}
		})
	}
}

// againVariable names what the test program was started again for, in a process of its own: libraries are loaded
// once a process.
const againVariable = "GPU_TEST_AGAIN"

// Each library of the software emulation that is missing is named. The test is skipped if the machine has such a
// library itself.
func TestMissingLibraries(t *testing.T) {
	all := []string{cudasim.Driver, cudasim.CuBLAS12, cudasim.CuDNN9}
	for _, missing := range append(all, "parts") {
		t.Run(missing, func(t *testing.T) {
			o := cudasim.Options{WithoutParts: missing == "parts"}
			o.Libraries = slices.DeleteFunc(slices.Clone(all), func(l string) bool { return l == missing })
			folder := cudasim.Build(t, o)
			if o.WithoutParts {
				folder = copyFiles(t, folder) // beside what its links point to the parts would be found
			}
			again(t, "TestOpenAgain", missing, folder, "")
		})
	}
}

// copyFiles copies the files of a folder, and what links in it point to, to a new one.
func copyFiles(t *testing.T, folder string) string {
	t.Helper()
	to := t.TempDir()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		contents, err := os.ReadFile(filepath.Join(folder, e.Name()))
		if err == nil {
			err = os.WriteFile(filepath.Join(to, e.Name()), contents, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// Other versions of the software emulation's libraries work as well.
func TestOtherVersions(t *testing.T) {
	for _, c := range []struct {
		settings  string
		libraries []string
	}{
		{"driver=12010", []string{cudasim.Driver, cudasim.CuBLAS12, cudasim.CuDNN8}},
		{"driver=13000", []string{cudasim.Driver, cudasim.CuBLAS13, cudasim.CuDNN9}},
		{"driver=12080", []string{cudasim.Driver, cudasim.CuBLAS12, cudasim.CuBLAS13, cudasim.CuDNN8, cudasim.CuDNN9}},
	} {
		t.Run(strings.Join(c.libraries, " "), func(t *testing.T) {
			again(t, "TestStepAgain", "", cudasim.Build(t, cudasim.Options{Libraries: c.libraries}), c.settings)
		})
	}
}

// again runs one test in a process of its own, with the libraries of a folder. about is for it.
func again(t *testing.T, name, about, folder, settings string) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-test.run", "^"+name+"$", "-test.v")
	report := t.TempDir() + "/report"
	cmd.Env = append(os.Environ(), againVariable+"="+name+" "+about)
	cmd.Env = append(cmd.Env, cudasim.Environment(folder, report, settings)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v\n%s", name, err, out)
	}
	if strings.Contains(string(out), "--- SKIP") {
		t.Skipf("skipped in a process of its own:\n%s", out)
	}
	found, err := cudasim.ReadReport(report)
	if err != nil || len(found) > 0 {
		t.Errorf("the emulation found, error %v: %q", err, found)
	}
}

// about returns what a test that again runs is about, and skips it otherwise.
func about(t *testing.T, name string) string {
	t.Helper()
	called, about, _ := strings.Cut(os.Getenv(againVariable), " ")
	if called != name {
		t.Skip("runs in a process of its own, started by another test")
	}
	return about
}

func TestOpenAgain(t *testing.T) {
	missing := about(t, "TestOpenAgain")
	dir := os.Getenv(cudasim.PathVariable)
	_, err := openEmulated(0)
	for _, l := range cuda.Libraries() {
		if l.File != "" && filepath.Dir(l.File) != dir && !strings.Contains(l.File, "cudasim") {
			t.Skipf("this machine has %s; nothing from %s is missing", l.File, dir)
		}
	}
	var missed *cuda.LoadError
	if !errors.As(err, &missed) {
		t.Fatalf("the error is %v, want a *cuda.LoadError", err)
	}
	want := missing
	if missing == "parts" {
		want = "libcudnn_"
	}
	checkError(t, err, device.ErrNoDevice, want)
}

// A convolution, a product and a kernel, with other versions of the libraries.
func TestStepAgain(t *testing.T) {
	about(t, "TestStepAgain")
	d := open(t)
	n := newSmallNet(t, d, true)
	n.step()
	for _, v := range n.weights() {
		if v != v {
			t.Fatal("a weight is NaN")
		}
	}
}
