//go:build cuda && linux && cgo && (amd64 || arm64)

package command

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"trainer/gpu/cudasim"
)

// The program with CUDA, in processes of its own, on the software emulation of package cudasim: no GPU
// is involved. Where there is no C++ compiler, these tests are skipped.

// emulated runs the program on the emulation, with its settings, and fails the test for what the
// emulation finds wrong.
func emulated(t *testing.T, o cudasim.Options, settings string, args ...string) outcome {
	t.Helper()
	return emulatedIn(t, cudasim.Build(t, o), settings, args...)
}

// emulatedIn does so with the libraries of a folder, or of several as in PathVariable.
func emulatedIn(t *testing.T, folder, settings string, args ...string) outcome {
	t.Helper()
	got, found := observed(t, folder, settings, args...)
	if len(found) > 0 {
		t.Errorf("%v: the emulation found\n%s", args, strings.Join(found, "\n"))
	}
	return got
}

// observed runs the program on the emulation, and returns what that finds wrong.
func observed(t *testing.T, folder, settings string, args ...string) (outcome, []string) {
	t.Helper()
	findings := filepath.Join(t.TempDir(), "findings")
	got := process(t, cudasim.Environment(folder, findings, settings), args...)
	found, err := cudasim.ReadReport(findings)
	if err != nil {
		t.Fatal(err)
	}
	return got, found
}

// process runs the program in a process of its own.
func process(t *testing.T, env []string, args ...string) outcome {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(append(os.Environ(), "TRAINER_TEST_MAIN=1", "XDG_CACHE_HOME="+t.TempDir()), env...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = time.Minute // for ranks that it has started
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// fault is what can be wrong with a machine, or go wrong in the midst of training, and what the program says of it.
type fault struct {
	name     string
	folder   func(t *testing.T) string // of the libraries; nil for all of them
	settings string
	args     []string
	status   int
	want     []string // in the only line of stderr
	missing  bool     // a library is: the test is skipped where the machine has its own
	lost     bool     // the context is of no use then: what is in it can't be freed
	step     int      // of the checkpoint that there must be; 0 for none
}

// faults lists what can go wrong on a GPU. A checkpoint leaves the device beside training, and may be lost with it: devices
// are lost after the second one has begun, which waited for the first.
func faults() []fault {
	all := []string{cudasim.Driver, cudasim.CuBLAS12, cudasim.CuDNN9}
	fp16 := []string{"-precision", "fp16"}
	more := "(run trainer doctor for details, or pass -device cpu)"
	return []fault{
		{name: "no driver", folder: without(all, cudasim.Driver), missing: true, want: []string{"-device cuda: libcuda.so.1 not found", "; install the NVIDIA driver", more}},
		{name: "no cuBLAS", folder: without(all, cudasim.CuBLAS12), missing: true, want: []string{"libcublas.so.12", "not found", "pip install nvidia-cublas-cu12", more}},
		{name: "no cuDNN", folder: without(all, cudasim.CuDNN9), missing: true, want: []string{"libcudnn.so.9 or libcudnn.so.8 not found", "pip install nvidia-cudnn-cu12", more}},
		{name: "cuDNN 7", folder: oldCuDNN, missing: true, want: []string{"libcudnn.so.9 or libcudnn.so.8 not found", "pip install nvidia-cudnn-cu12", more}},
		{name: "cuDNN without its parts", folder: withoutParts, missing: true, want: []string{"libcudnn.so.9: its part libcudnn_", more}},
		{name: "driver of CUDA 11", settings: "driver=11080", want: []string{"the driver is for CUDA 11.8, 12.1 or newer is needed", "update the NVIDIA driver to 530 or newer", more}},
		{name: "driver that refuses the PTX", settings: "fail=cuModuleLoadDataEx#1+:UNSUPPORTED_PTX_VERSION", want: []string{"CUDA_ERROR_UNSUPPORTED_PTX_VERSION", "; update the NVIDIA driver"}},
		{name: "libraries of another CUDA", folder: libraries(cudasim.Driver, cudasim.CuBLAS13, cudasim.CuDNN9), settings: "driver=12080", want: []string{"cublasCreate_v2", "CUBLAS_STATUS_", more}},
		{name: "no GPU", settings: "devices=0", want: []string{"-device cuda: ", "CUDA_VISIBLE_DEVICES", more}},
		{name: "no such GPU", settings: "devices=2", args: []string{"-device", "cuda:7"}, want: []string{"-device cuda:7: no cuda:7: there are 2 GPUs, cuda:0 to cuda:1", more}},
		{name: "exclusive mode", settings: "busy", want: []string{"CUDA_ERROR_DEVICE_UNAVAILABLE; another process has exclusive use of the GPU; nvidia-smi shows which", more}},
		{name: "no memory to open with", settings: "memory=1MiB", want: []string{"other processes may be using the GPU's memory; nvidia-smi shows which", more}},
		{name: "old GPU", settings: "cc=61", want: []string{"compute capability 6.1, 7.5 or newer is needed", more}},
		{name: "bf16 on an older GPU", settings: "cc=75", args: []string{"-precision", "bf16"}, want: []string{"precision bf16 needs compute capability 8.0", "use fp16", more}},
		{name: "no memory for the batch", settings: "memory=64MiB", args: mnistBatch("4096"), want: []string{"out of device memory on cuda:0 for batch 4096: ", " needed, ", " free; batch 512 would fit: pass -batch 512"}},
		{name: "no memory for any batch", settings: "memory=12MiB", args: mnistBatch("64"), want: []string{"out of device memory on cuda:0 for batch 64: ", " free; not even batch 1 would fit: other processes may be using the GPU's memory"}},
		{name: "no memory in mid-run", settings: "fail=cuGraphLaunch#8:OUT_OF_MEMORY", step: 6, want: []string{"CUDA_ERROR_OUT_OF_MEMORY", "; to continue from step 6: trainer -resume run"}},
		{name: "no memory before a checkpoint", settings: "fail=cuGraphLaunch#2:OUT_OF_MEMORY", want: []string{"CUDA_ERROR_OUT_OF_MEMORY", "; there is no checkpoint yet to resume from"}},
		{name: "device lost", settings: "fail=cuGraphLaunch#14:LOST", lost: true, step: 6, want: []string{"cuda:0: ", "; the GPU or its driver has failed: check nvidia-smi, or restart the machine; to continue from step "}},
		{name: "a kernel fails", settings: "fail=dense_cross_entropy_f32#15:LAUNCH_FAILED", args: []string{"-cuda-graph=false"}, lost: true, step: 6, want: []string{"CUDA_ERROR_LAUNCH_FAILED", "; to continue from step "}},
		{name: "cuDNN fails in fp16", settings: "fail=cudnnConvolutionBackwardFilter#13:EXECUTION_FAILED", args: append(fp16, "-cuda-graph=false"), step: 6, want: []string{"CUDNN_STATUS_EXECUTION_FAILED", "; to continue from step "}},
		{name: "NaN in fp16", args: append(fp16, "-lr", "1e30"), status: exitUsage, want: []string{"the loss is ", "first non-finite in the ", "try a lower learning rate, or a precision with a larger range: -precision bf16 or fp32"}},
		{name: "NaN in fp32", args: []string{"-precision", "fp32", "-lr", "1e30"}, status: exitUsage, want: []string{"the loss is ", "try a lower learning rate"}},
	}
}

// One line, and the status of its kind; never the CPU in place of the GPU, and never a signal.
func TestFaults(t *testing.T) {
	for _, f := range faults() {
		t.Run(f.name, func(t *testing.T) {
			workplace(t)
			if f.folder == nil {
				f.folder = libraries()
			}
			folder := f.folder(t)
			args := append([]string{"-data", "pictures", "-recipe", "small.toml", "-device", "cuda", "-out", "run"}, f.args...)
			if f.missing {
				skipOnRealCUDA(t, folder)
			}
			got, found := observed(t, folder, f.settings, args...)
			if f.lost {
				found = slices.DeleteFunc(found, func(line string) bool { return strings.HasPrefix(line, "leak:") })
			}
			if len(found) > 0 {
				t.Errorf("the emulation found\n%s", strings.Join(found, "\n"))
			}
			checkFault(t, f, got)
		})
	}
}

func checkFault(t *testing.T, f fault, got outcome) {
	t.Helper()
	status := f.status
	if status == 0 {
		status = exitEnvironment
	}
	if got.status != status || strings.Count(got.stderr, "\n") != 1 || !strings.HasPrefix(got.stderr, "trainer: ") {
		t.Errorf("status %d, want %d; stderr %q", got.status, status, got.stderr)
	}
	for _, want := range f.want {
		if !strings.Contains(got.stderr, want) {
			t.Errorf("stderr %q\nwant in it %q", got.stderr, want)
		}
	}
	if strings.Contains(got.stdout, "; cpu (") {
		t.Errorf("the CPU trained instead:\n%s", got.stdout)
	}
	_, err := os.Stat("run/checkpoint.safetensors")
	if kept := err == nil; kept != (f.step > 0) && status == exitEnvironment {
		t.Errorf("there is a checkpoint: %v", kept)
	}
}

// libraries returns a folder with libraries, or with all that are needed.
func libraries(names ...string) func(*testing.T) string {
	return func(t *testing.T) string { return cudasim.Build(t, cudasim.Options{Libraries: names}) }
}

// without returns a folder that lacks a library.
func without(all []string, missing string) func(*testing.T) string {
	return libraries(slices.DeleteFunc(slices.Clone(all), func(name string) bool { return name == missing })...)
}

// withoutParts returns a folder with a cuDNN that lacks the libraries that it consists of. Files are copied, because
// beside what links point to the parts would be found.
func withoutParts(t *testing.T) string {
	return copied(t, cudasim.Build(t, cudasim.Options{WithoutParts: true}))
}

// oldCuDNN returns a folder with a cuDNN that is named as version 7 is.
func oldCuDNN(t *testing.T) string {
	folder := copied(t, libraries(cudasim.Driver, cudasim.CuBLAS12, cudasim.CuDNN8)(t))
	if err := os.Rename(filepath.Join(folder, cudasim.CuDNN8), filepath.Join(folder, "libcudnn.so.7")); err != nil {
		t.Fatal(err)
	}
	return folder
}

// copied copies the files of a folder, and what links in it point to, to a new one.
func copied(t *testing.T, folder string) string {
	t.Helper()
	to := t.TempDir()
	files, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		write(t, filepath.Join(to, filepath.Base(file)), read(t, file))
	}
	return to
}

// mnistBatch returns the flags of a training on MNIST with a batch.
func mnistBatch(n string) []string {
	return []string{"-data", "mnist", "-recipe", "mnist", "-epochs", "0.001", "-batch", n}
}

// What a line about memory recommends works, and twice of it does not.
func TestBatchThatIsSaidToFitFits(t *testing.T) {
	t.Chdir(t.TempDir())
	for batch, want := range map[string]int{"512": exitOK, "1024": exitEnvironment} {
		args := append(mnistBatch(batch), "-device", "cuda", "-dry-run")
		if got := emulated(t, cudasim.Options{}, "memory=64MiB", args...); got.status != want {
			t.Errorf("batch %s: %+v", batch, got)
		}
	}
}

// A run that a fault has ended goes on from its checkpoint, of step 6 or 12 (see faults), and gives the bits of one that met
// none.
func TestResumingAfterAFault(t *testing.T) {
	workplace(t)
	args := []string{"-data", "pictures", "-recipe", "small.toml", "-device", "cuda", "-deterministic"}
	if got := emulated(t, cudasim.Options{}, "", append(args, "-out", "whole")...); got.status != exitOK || got.stderr != "" {
		t.Fatalf("%+v", got)
	}
	got, _ := observed(t, cudasim.Build(t, cudasim.Options{}), "fail=cuGraphLaunch#14:LOST", append(args, "-out", "part")...)
	if got.status != exitEnvironment || !strings.Contains(got.stderr, "to continue from step ") || !strings.Contains(got.stderr, ": trainer -resume part") {
		t.Fatalf("%+v", got)
	}
	if _, err := os.Stat("part/model.safetensors"); err == nil {
		t.Error("weights were saved from a device that was lost")
	}
	got = emulated(t, cudasim.Options{}, "", "-resume", "part")
	if got.status != exitOK || got.stderr != "" || !strings.Contains(got.stdout, "continuing from step ") {
		t.Fatalf("%+v", got)
	}
	if read(t, "whole/model.safetensors") != read(t, "part/model.safetensors") {
		t.Error("the resumed run has other weights than the whole one")
	}
}

// A recipe's wish that a GPU is too old for is told and done without; the same as a flag is an error (see faults).
func TestRecipesWishThatCannotBe(t *testing.T) {
	workplace(t)
	for precision, refused := range map[string]bool{"bf16": true, "tf32": true, "fp16": false} {
		got := emulated(t, cudasim.Options{}, "cc=75", "-data", "pictures", "-recipe", "small.toml", "-set", "precision="+precision, "-dry-run")
		stderr, now := "", precision
		if refused {
			now = "fp32"
			stderr = "trainer: cuda:0 computes in fp32, not in the recipe's " + precision + ": precision " + precision + " needs compute capability 8.0"
		}
		if got.status != exitOK || !strings.HasPrefix(got.stderr, stderr) || strings.Count(got.stderr, "\n") != len(stderr[:min(1, len(stderr))]) {
			t.Errorf("%s: %+v", precision, got)
		}
		if !strings.Contains(got.stdout, " on cuda:0 (software emulation, "+now+")") {
			t.Errorf("%s: %s", precision, got.stdout)
		}
	}
	got := emulated(t, cudasim.Options{}, "cc=75", "-data", "pictures", "-recipe", "small.toml", "-precision", "bf16", "-dry-run")
	if got.status != exitUsage || !strings.Contains(got.stderr, "-precision bf16: device cpu computes in fp32 only, and -device auto found no other device (cuda: precision bf16 needs compute capability 8.0") {
		t.Errorf("an explicit bf16 with auto: %+v", got)
	}
}

func TestAutoTakesWhatCanBeOpened(t *testing.T) {
	workplace(t)
	for settings, want := range map[string]string{"": "cuda:0", "busy": "cpu", "cc=61": "cpu", "devices=0": "cpu"} {
		got := emulated(t, cudasim.Options{}, settings, "-data", "pictures", "-recipe", "small.toml", "-dry-run")
		if got.status != exitOK || got.stderr != "" || !strings.Contains(got.stdout, " on "+want+" (") {
			t.Errorf("%q: %+v, want the device %s", settings, got, want)
		}
	}
}

// What uses no GPU loads no library of NVIDIA's, and so is as quick as a build without CUDA.
func TestStartLoadsNothing(t *testing.T) {
	workplace(t)
	for _, args := range [][]string{
		{"-h"}, {"version"}, {"doctor", "-h"}, {"recipe", "mnist"}, {"-device", "cpu", "-data", "pictures", "-recipe", "small.toml", "-dry-run"},
	} {
		start := time.Now()
		log := filepath.Join(t.TempDir(), "loaded")
		// The loader itself lists every library that it opens or looks for.
		got := process(t, []string{"LD_DEBUG=libs", "LD_DEBUG_OUTPUT=" + log}, args...)
		took := time.Since(start)
		if got.status != exitOK || got.stderr != "" {
			t.Errorf("%v: %+v", args, got)
		}
		logs, err := filepath.Glob(log + ".*")
		if err != nil || len(logs) == 0 {
			t.Skipf("the loader of this system keeps no log: %v", err)
		}
		for _, file := range logs {
			text := read(t, file)
			if !strings.Contains(text, "libc.so") {
				t.Errorf("%v: the loader's log doesn't name libc: %q", args, text)
			}
			for _, name := range []string{"libcuda", "libcublas", "libcudnn", "libnvrtc"} {
				if strings.Contains(text, name) {
					t.Errorf("%v looked for %s", args, name)
				}
			}
		}
		if took > 2*time.Second {
			t.Errorf("%v took %v", args, took)
		}
	}
}
