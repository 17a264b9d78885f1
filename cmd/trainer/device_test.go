package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"trainer/gpu"
	"trainer/nn/device"
)

// A build without CUDA never trains on the CPU in place of the GPU that was asked for.
func TestCUDAIsNotInThisBuild(t *testing.T) {
	if gpu.Built {
		t.Skip("this build has the CUDA device")
	}
	workplace(t)
	for _, name := range []string{"cuda", "cuda:7"} {
		got := trainer(t, "-data", "pictures", "-recipe", "small.toml", "-device", name)
		if got.status != exitEnvironment || got.stdout != "" {
			t.Errorf("%s: status %d, stdout %q", name, got.status, got.stdout)
		}
		if want := "trainer: -device " + name + ": this build has no CUDA device: "; !strings.HasPrefix(got.stderr, want) {
			t.Errorf("%s: stderr %q, want it to begin with %q", name, got.stderr, want)
		}
		if strings.Count(got.stderr, "\n") != 1 || !strings.Contains(got.stderr, "use -device cpu") {
			t.Errorf("%s: stderr %q", name, got.stderr)
		}
	}
	got := trainer(t, "-data", "pictures", "-recipe", "small.toml", "-autotune")
	want := "trainer: -autotune is for a GPU: -device auto found no GPU that can do it (this build has no CUDA device: "
	if got.status != exitUsage || !strings.HasPrefix(got.stderr, want) || strings.Count(got.stderr, "\n") != 1 {
		t.Errorf("-autotune with auto: %+v", got)
	}
}

// What the CPU does anyway, it takes.
func TestFlagsThatHoldOnTheCPU(t *testing.T) {
	workplace(t)
	got := trainer(t, "-data", "pictures", "-recipe", "small.toml", "-device", "cpu", "-precision", "fp32", "-deterministic", "-dry-run")
	if got.status != exitOK || got.stderr != "" {
		t.Errorf("%+v", got)
	}
}

func TestOpenErrorIsOneLine(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{
			&device.Error{Device: "cuda:7", Op: "opening the device", Err: fmt.Errorf("no cuda:7: there is one GPU, cuda:0")},
			"-device cuda:7: no cuda:7: there is one GPU, cuda:0 (trainer doctor says more; -device cpu does without)",
		},
		{
			&device.Error{Device: "cuda:7", Op: "opening the device", Err: &device.MemoryError{Wanted: 9, Free: 5}},
			"-device cuda:7: out of device memory: 9 bytes wanted, 5 free; other processes use the GPU's memory, nvidia-smi names them (trainer doctor says more; -device cpu does without)",
		},
		{
			fmt.Errorf("first\nsecond: %w", device.ErrLost),
			"-device cuda:7: first; second: device lost; the GPU or its driver has failed: nvidia-smi, or a restart of the machine (trainer doctor says more; -device cpu does without)",
		},
	} {
		e := &openError{"cuda:7", c.err}
		if e.Error() != c.want {
			t.Errorf("got  %s\nwant %s", e, c.want)
		}
		if !errors.Is(e, c.err) || exitStatus(e) != exitEnvironment {
			t.Errorf("%v: status %d", e, exitStatus(e))
		}
	}
}
