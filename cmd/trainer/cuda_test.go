//go:build cuda && linux && cgo && (amd64 || arm64)

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"trainer/gpu"
	"trainer/gpu/cudasim"
)

// The program with CUDA, in processes of its own, on the software emulation of package cudasim: no GPU
// is involved. Where there is no C++ compiler, these tests are skipped.

// emulated runs the program on the emulation, with its settings, and fails the test for what the
// emulation finds wrong.
func emulated(t *testing.T, o cudasim.Options, settings string, args ...string) outcome {
	t.Helper()
	folder := cudasim.Build(t, o)
	findings := filepath.Join(t.TempDir(), "findings")
	got := process(t, cudasim.Environment(folder, findings, settings), args...)
	found, err := cudasim.ReadReport(findings)
	if err != nil || len(found) > 0 {
		t.Errorf("%v: the emulation found, error %v:\n%s", args, err, strings.Join(found, "\n"))
	}
	return got
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
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// skipOnRealCUDA skips a test of missing libraries where the machine has its own.
func skipOnRealCUDA(t *testing.T, d gpu.Diagnosis) {
	t.Helper()
	for _, l := range append([]gpu.Library{d.Driver.Library}, d.Libraries...) {
		if l.File != "" && !strings.Contains(l.File, "cudasim") {
			t.Skipf("this machine has %s: nothing is missing", l.File)
		}
	}
}

func TestDoctorOnTheEmulation(t *testing.T) {
	got := emulated(t, cudasim.Options{}, "driver=12040", "doctor")
	if got.status != exitOK || got.stderr != "" {
		t.Fatalf("%+v", got)
	}
	for _, want := range []string{
		`(?m)^driver +for CUDA 12\.4$`, `(?m)^cuBLAS +12\.`, `(?m)^cuDNN +9\.`, `(?m)^cuda:0 +software emulation$`,
		`convolution \(cuDNN\): right, `, `matrix product \(cuBLAS\): right, `, `softmax \(own kernel\): right, `,
		`(?s)verdict   cuda:0 can be used, which is a software emulation and no GPU\n$`,
	} {
		if !regexp.MustCompile(want).MatchString(got.stdout) {
			t.Errorf("no %s in\n%s", want, got.stdout)
		}
	}
	for _, line := range strings.Split(got.stdout, "\n") {
		if len(line) > doctorWidth {
			t.Errorf("%d letters: %q", len(line), line)
		}
	}
}

func TestDoctorFindsWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		name, settings string
		options        cudasim.Options
		want           string // in the verdict
	}{
		{"no GPU", "devices=0", cudasim.Options{}, "no GPU can be used: "},
		{"busy", "busy", cudasim.Options{}, "another process holds the GPU"},
		{"old driver", "driver=11080", cudasim.Options{}, "update the NVIDIA driver"},
		{"old GPU", "cc=61", cudasim.Options{}, "7.5 or newer is needed"},
		{"no cuDNN", "", cudasim.Options{Libraries: []string{cudasim.Driver, cudasim.CuBLAS12}}, "libcudnn.so.9 or libcudnn.so.8 not found"},
		{"no cuBLAS", "", cudasim.Options{Libraries: []string{cudasim.Driver, cudasim.CuDNN9}}, "pip install nvidia-cublas-cu12"},
		{"no driver", "", cudasim.Options{Libraries: []string{cudasim.CuBLAS12, cudasim.CuDNN9}}, "install the NVIDIA driver"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := emulated(t, c.options, c.settings, "doctor", "-json")
			var d gpu.Diagnosis
			if err := json.Unmarshal([]byte(got.stdout), &d); err != nil {
				t.Fatalf("%v: %+v", err, got)
			}
			if c.options.Libraries != nil {
				skipOnRealCUDA(t, d)
			}
			if got.status != exitEnvironment || d.Usable || !strings.Contains(d.Verdict, c.want) || got.stderr != "" {
				t.Errorf("status %d, verdict %q, want in it %q; stderr %q", got.status, d.Verdict, c.want, got.stderr)
			}
		})
	}
}

// What -device cuda answers where it can't be had: one line, and never the CPU in its place.
func TestDeviceCUDASaysWhatIsWrong(t *testing.T) {
	workplace(t)
	for _, c := range []struct {
		name, settings, device string
		want                   string
	}{
		{"no such GPU", "devices=2", "cuda:7", "-device cuda:7: no cuda:7: there are 2 GPUs, cuda:0 to cuda:1"},
		{"no GPU", "devices=0", "cuda", "-device cuda: "},
		{"busy", "busy", "cuda", "another process holds the GPU"},
		{"old driver", "driver=11080", "cuda:0", "update the NVIDIA driver"},
		{"no memory", "memory=1MiB", "cuda", "other processes use the GPU's memory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := emulated(t, cudasim.Options{}, c.settings, "-data", "pictures", "-recipe", "small.toml", "-device", c.device)
			if got.status != exitEnvironment || got.stdout != "" || strings.Count(got.stderr, "\n") != 1 {
				t.Errorf("%+v", got)
			}
			if !strings.Contains(got.stderr, c.want) || !strings.Contains(got.stderr, "trainer doctor says more") {
				t.Errorf("stderr %q, want in it %q", got.stderr, c.want)
			}
		})
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

// A short training on MNIST's kind of network, with each of the device's flags.
func TestTrainingOnTheEmulation(t *testing.T) {
	if testing.Short() {
		t.Skip("trains")
	}
	t.Chdir(t.TempDir())
	got := emulated(t, cudasim.Options{}, "", "-device", "cuda", "-deterministic", "-autotune", "-precision", "tf32",
		"-recipe", "mnist-basic", "-epochs", "0.02", "-out", "run")
	if got.status != exitOK || got.stderr != "" {
		t.Fatalf("%+v", got)
	}
	if !strings.Contains(got.stdout, "cuda:0 (software emulation)") || !strings.Contains(got.stdout, "test accuracy") {
		t.Errorf("stdout\n%s", got.stdout)
	}
	read(t, "run/weights.safetensors")
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
