//go:build cuda && linux && cgo && (amd64 || arm64)

package bench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"trainer/gpu/cudasim"
)

// emulationVariable asks TestEmulationFolder to print the folder.
const emulationVariable = "TRAINER_EMULATION_FOLDER"

// TestEmulationFolder prints the folder of the software emulation of CUDA, which it builds, for scripts/gpu-report.sh: only
// tests can build it.
func TestEmulationFolder(t *testing.T) {
	if os.Getenv(emulationVariable) == "" {
		t.Skipf("%s is not set: nobody wants the folder", emulationVariable)
	}
	fmt.Printf("emulation: %s\n", cudasim.Build(t, cudasim.Options{}))
}

// benchmark runs GPU cases in a separate process, on the software emulation of CUDA, with more environment variables.
// It fails the test if the emulation reports an error.
func benchmark(t *testing.T, pattern string, variables ...string) (output string, err error) {
	t.Helper()
	folder := cudasim.Build(t, cudasim.Options{})
	findings := filepath.Join(t.TempDir(), "findings")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run", "^$", "-test.bench", pattern, "-test.benchtime", "1x")
	cmd.Env = append(os.Environ(), cudasim.Environment(folder, findings, "")...)
	cmd.Env = append(append(cmd.Env, deviceVariable+"=cuda", "XDG_CACHE_HOME="+t.TempDir()), variables...)
	text, err := cmd.CombinedOutput()
	found, readErr := cudasim.ReadReport(findings)
	if readErr != nil || len(found) > 0 {
		t.Errorf("the emulation found, error %v:\n%s", readErr, strings.Join(found, "\n"))
	}
	return string(text), err
}

// On the software emulation, the GPU cases run only as a dry run, which reports no speeds.
func TestCasesOnTheEmulation(t *testing.T) {
	text, err := benchmark(t, "Benchmark/cuda/gemm", dryVariable+"=")
	if err == nil || !strings.Contains(text, "is an emulation, whose speed means nothing") {
		t.Errorf("without a dry run: error %v, want a refusal in\n%s", err, text)
	}
	text, err = benchmark(t, "Benchmark/cuda/step/mnist|Benchmark/cuda/memory|Benchmark/cuda/gemm|Benchmark/cuda/conv/fp16/mnist", dryVariable+"=1")
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	for _, want := range []string{
		"step/mnist-basic/recipe-precision", "step/mnist/recipe-precision-autotune", "memory/float16/copy", "memory/float32/batch-norm-gelu/backward",
		"memory/float32/adam-of-2M", "memory/float32/cross-entropy/forward", "memory/float16/cast-list/from-float32", "gemm/bf16/square-8192x8192x8192", "conv/fp16/mnist-256x12x12x24-to-32-k3/backward-filter",
	} {
		if !strings.Contains(text, "Benchmark/cuda/"+want) {
			t.Errorf("no case %s in\n%s", want, text)
		}
	}
	for _, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(line, "Benchmark") && len(strings.Fields(line)) > 2 {
			t.Errorf("a dry run reports more than the name and the number of runs: %s", line)
		}
	}
}

// Valid and invalid values of TRAINER_BENCH_DEVICE.
func TestDeviceVariable(t *testing.T) {
	text, err := benchmark(t, ".", deviceVariable+"=gpu")
	if err == nil || !regexp.MustCompile(`TRAINER_BENCH_DEVICE=gpu: want cpu, cuda or cuda:N`).MatchString(text) {
		t.Errorf("error %v, want one that names the variable in\n%s", err, text)
	}
}
