//go:build cuda && linux && cgo && (amd64 || arm64)

package doctor

import (
	"os"
	"slices"
	"strings"
	"testing"

	"trainer/gpu/cudasim"
	"trainer/gpu/internal/cuda"
	"trainer/nn/device"
)

// emulate makes this process use package cudasim, a software emulation of the driver, cuBLAS and cuDNN, in its first
// state except for the settings. Misuse that the emulation finds fails the test. Without a C++ compiler the test is
// skipped.
func emulate(t *testing.T, settings string) {
	t.Helper()
	if os.Getenv("TRAINER_TEST_GPU") != "" {
		t.Skip("TRAINER_TEST_GPU is set: this test is for the software emulation")
	}
	t.Log("on the software emulation of CUDA, not on a GPU")
	os.Setenv(cudasim.PathVariable, cudasim.Build(t, cudasim.Options{}))
	if _, err := cuda.DriverVersion(); err != nil { // loads the driver
		t.Fatal(err)
	}
	cudasim.Reset()
	if err := cudasim.Configure(settings); err != nil {
		t.Fatal(err)
	}
	cudasim.Watch(t)
	t.Cleanup(cudasim.Disarm)
}

// forgiveLeaks drops the emulation's findings of memory that was not freed: in a lost context memory can't be freed.
func forgiveLeaks(t *testing.T) {
	t.Helper()
	for _, line := range cudasim.Findings() {
		if !strings.HasPrefix(line, "leak:") {
			t.Errorf("software CUDA: %s", line)
		}
	}
	cudasim.Clear()
}

// diagnose surveys, and examines each GPU, in this process.
func diagnose(reference device.Device) Diagnosis {
	d := Survey(func(string) {})
	for i, g := range d.GPUs {
		d.GPUs[i] = Examine(g.Index, reference, func(string, GPU) {})
	}
	d.Conclude()
	return d
}

// The diagnosis of an emulated machine that meets all requirements, and of machines with one fault each.
func TestDiagnose(t *testing.T) {
	reference := newCPU(t)
	for _, c := range []struct {
		name, settings string
		gpus           int
		usable         bool
		want           string // in the verdict
	}{
		{"all is well", "memory=512MiB; driver=12040; cc=90", 1, true, "cuda:0 (software emulation) can be used"},
		{"two GPUs", "devices=2", 2, true, "cuda:0 (software emulation) and cuda:1 (software emulation) can be used"},
		{"no GPU", "devices=0", 0, false, "no GPU can be used: "},
		{"busy", "busy", 1, false, "another process has exclusive use of the GPU"},
		{"old driver", "driver=11080", 1, false, "CUDA 11.8, 12.1 or newer is needed"},
		{"old GPU", "cc=61", 1, false, "compute capability 6.1, 7.5 or newer"},
		{"no memory", "memory=1MiB", 1, false, "other processes may be using the GPU's memory"},
		{"cuBLAS fails", "fail=cublasCreate_v2#1:NOT_INITIALIZED", 1, false, "CUBLAS_STATUS_NOT_INITIALIZED"},
		{"convolution fails", "fail=cudnnConvolutionBiasActivationForward#1:EXECUTION_FAILED", 1, false, "CUDNN_STATUS_EXECUTION_FAILED"},
		{"launch fails", "fail=cuLaunchKernel#1:LAUNCH_FAILED", 1, false, "CUDA_ERROR_LAUNCH_FAILED"},
		{"device lost", "fail=cuLaunchKernel#1:LOST", 1, false, "has failed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			emulate(t, c.settings)
			d := diagnose(reference)
			if !d.Built || d.Usable != c.usable || len(d.GPUs) != c.gpus || !strings.Contains(d.Verdict, c.want) {
				t.Errorf("%+v", d)
			}
			if strings.Contains(d.Verdict, "\n") {
				t.Errorf("the verdict has several lines: %q", d.Verdict)
			}
			if strings.HasSuffix(c.settings, "LAUNCH_FAILED") || strings.HasSuffix(c.settings, "LOST") {
				forgiveLeaks(t)
			}
			for _, g := range d.GPUs {
				if g.Name != "software emulation" || g.Usable != (g.Reason == "") || g.Usable != c.usable {
					t.Errorf("%+v", g)
				}
			}
		})
	}
}

func TestDiagnosisNamesTheFiles(t *testing.T) {
	emulate(t, "memory=512MiB; used=128MiB; driver=12040; cc=90; cubins=1")
	d := diagnose(newCPU(t))
	if d.Driver.CUDA != "12.8" && d.Driver.CUDA != "12.4" || !strings.Contains(d.Driver.File, "libcuda.so.1") {
		t.Errorf("the driver is %+v", d.Driver)
	}
	for i, want := range []string{"cuBLAS", "cuBLASLt", "cuDNN"} {
		l := d.Libraries[i]
		if l.Name != want || (l.File == "") != (l.Reason != "") {
			t.Errorf("library %d is %+v, want %s", i, l, want)
		}
		if want != "cuBLASLt" && (l.Version == "" || len(l.Tried) == 0) {
			t.Errorf("%s has no version, or was found in no place: %+v", want, l)
		}
	}
	g := d.GPUs[0]
	if g.Memory != 512<<20 || g.Free < 1 || g.Free > 384<<20 || g.ComputeCapability != "9.0" || len(g.Tests) != 4 || g.Seconds <= 0 {
		t.Errorf("the GPU is %+v", g)
	}
	if want := "cubins for compute capability 9.0"; g.Kernels != want {
		t.Errorf("the kernels are loaded as %q, want %q", g.Kernels, want)
	}
}

// Every action is announced before it starts, with what is known by then.
func TestStepsAreTold(t *testing.T) {
	emulate(t, "devices=2")
	var steps []string
	Survey(func(doing string) { steps = append(steps, doing) })
	if want := []string{"starting the driver", "loading cuBLAS and cuDNN", "loading NCCL", "asking the driver about cuda:0", "asking the driver about cuda:1"}; !slices.Equal(steps, want) {
		t.Errorf("the survey: %q", steps)
	}
	steps = nil
	g := Examine(1, newCPU(t), func(doing string, g GPU) {
		steps = append(steps, doing)
		if g.Name == "" || strings.Contains(doing, "softmax") && len(g.Tests) != 3 {
			t.Errorf("before %s, %+v is known", doing, g)
		}
	})
	want := []string{
		"opening it", "the self-test's convolution in fp32 (cuDNN)", "the self-test's convolution in fp16 (cuDNN)",
		"the self-test's matrix product (cuBLAS)", "the self-test's softmax (own kernel)", "closing it",
	}
	if !slices.Equal(steps, want) || !g.Usable || g.Index != 1 {
		t.Errorf("the examination: %q, %+v", steps, g)
	}
}

// The precisions that a GPU offers follow from its compute capability.
func TestOfferedPrecisions(t *testing.T) {
	for _, c := range []struct{ settings, precisions, auto string }{
		{"cc=61", "", ""},
		{"cc=75", "fp32 fp16", "fp32"},
		{"cc=80", "fp32 tf32 fp16 bf16", "tf32"},
		{"cc=90", "fp32 tf32 fp16 bf16", "tf32"},
	} {
		emulate(t, c.settings)
		g := Survey(func(string) {}).GPUs[0]
		if got := strings.Join(g.Precisions, " "); got != c.precisions || g.Auto != c.auto {
			t.Errorf("%s: %s, auto %s", c.settings, got, g.Auto)
		}
	}
}

func TestDriverVersion(t *testing.T) {
	for file, want := range map[string]string{
		"/usr/lib/x86_64-linux-gnu/libcuda.so.570.86.15": "570.86.15",
		"/usr/lib64/libcuda.so.535.54":                   "535.54",
		"":                                               "",
	} {
		if got := driverVersion(file); got != want {
			t.Errorf("driverVersion(%q) = %q, want %q", file, got, want)
		}
	}
	text := "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.14  Thu Feb 22 01:44:30 UTC 2024\n"
	if m := moduleVersion.FindStringSubmatch(text); m == nil || m[1] != "550.54.14" {
		t.Errorf("the kernel module's version is %v", m)
	}
}
