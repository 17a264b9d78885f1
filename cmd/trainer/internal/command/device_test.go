package command

import (
	"errors"
	"fmt"
	"os"
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
	for _, flag := range []string{"-autotune", "-cuda-graph", "-precision fp16"} {
		args := append([]string{"-data", "pictures", "-recipe", "small.toml"}, strings.Fields(flag)...)
		got := trainer(t, args...)
		want := "trainer: " + flag + " is for a GPU: -device auto found no GPU that can do it (this build has no CUDA device: "
		if got.status != exitUsage || !strings.HasPrefix(got.stderr, want) || strings.Count(got.stderr, "\n") != 1 {
			t.Errorf("%s with auto: %+v", flag, got)
		}
	}
}

// What the CPU does anyway, it takes.
func TestFlagsThatHoldOnTheCPU(t *testing.T) {
	workplace(t)
	for _, precision := range []string{"fp32", "auto"} {
		got := trainer(t, "-data", "pictures", "-recipe", "small.toml", "-device", "cpu", "-precision", precision,
			"-deterministic", "-cuda-graph=false", "-autotune=false", "-set", "precision=fp16", "-dry-run")
		if got.status != exitOK || got.stderr != "" || !strings.Contains(got.stdout, " on cpu (") {
			t.Errorf("%s: %+v", precision, got)
		}
	}
}

// What a run computed on, and in, is in its configuration; a recipe's wish for a GPU changes nothing on the CPU.
func TestConfigurationTellsTheDevice(t *testing.T) {
	workplace(t)
	for _, precision := range []string{"fp32", "bf16"} {
		got := trainer(t, "-data", "pictures", "-recipe", "small.toml", "-device", "cpu", "-epochs", "1",
			"-set", "precision="+precision, "-deterministic", "-cuda-graph=false", "-out", precision, "-json")
		if got.status != exitOK || got.stderr != "" || !strings.Contains(got.stdout, `"device":"cpu","precision":"fp32",`) {
			t.Fatalf("%+v", got)
		}
		for _, want := range []string{
			"device = 'cpu'", "\n[run]\n", "precision = 'fp32'", "precision = '" + precision + "'",
			"deterministic = true", "autotune = false", "cuda-graph = false",
		} {
			if config := read(t, precision+"/config.toml"); !strings.Contains(config, want) {
				t.Errorf("config has no %q:\n%s", want, config)
			}
		}
		if s := readJSON(t, precision+"/summary.json"); s["precision"] != "fp32" {
			t.Errorf("summary %v", s)
		}
	}
	if read(t, "fp32/weights.safetensors") != read(t, "bf16/weights.safetensors") {
		t.Error("the CPU heeds the recipe's precision")
	}
}

// resumed is a run's configuration as if another device had written it, in a folder with its checkpoint.
func resumed(t *testing.T, name string, changes ...string) {
	t.Helper()
	if err := os.CopyFS(name, os.DirFS("run")); err != nil {
		t.Fatal(err)
	}
	config := read(t, "run/config.toml")
	before := config
	config = strings.NewReplacer(changes...).Replace(config)
	if config == before {
		t.Fatalf("nothing of %q is in\n%s", changes, config)
	}
	write(t, name+"/config.toml", config)
}

func TestResumingOnAnotherDevice(t *testing.T) {
	if gpu.Built {
		t.Skip("this build has the CUDA device: what is tested is a machine without")
	}
	workplace(t)
	if got := trainer(t, "-data", "pictures", "-recipe", "small.toml", "-out", "run", "-threads", "1"); got.status != exitOK {
		t.Fatalf("%+v", got)
	}
	resumed(t, "tf32", "device = 'cpu'", "device = 'cuda:0'", "precision = 'fp32'", "precision = 'tf32'", "autotune = false", "autotune = true")
	resumed(t, "fp16", "device = 'cpu'", "device = 'cuda:1'", "precision = 'fp32'", "precision = 'fp16'")
	resumed(t, "old", "device = 'cpu'\n", "device = 'auto'\n", "precision = 'fp32'\n", "", "deterministic = false\n", "", "autotune = false\n", "", "cuda-graph = true\n", "")
	for _, c := range []struct {
		args   []string
		status int
		stderr string
	}{
		{[]string{"-resume", "run"}, exitOK, ""},
		{[]string{"-resume", "old"}, exitOK, ""},
		{[]string{"-resume", "run", "-device", "auto"}, exitOK, ""},
		{[]string{"-resume", "tf32"}, exitEnvironment, "trainer: -device cuda:0: this build has no CUDA device: run `make` where there is a C compiler to get a program that has it, or use -device cpu\n"},
		{[]string{"-resume", "tf32", "-device", "cpu", "-autotune"}, exitUsage, "trainer: -autotune is for a GPU: -device cpu; the CPU has no algorithms to measure\n"},
		{[]string{"-resume", "fp16", "-device", "cpu"}, exitUsage, "trainer: -resume: the run computes in fp16, which the CPU can't: want -device cuda\n"},
		{[]string{"-resume", "tf32", "-device", "cpu"}, exitOK, "trainer: the run was on cuda:0 in tf32 and goes on on the CPU in fp32, not with the same bits\n"},
		{[]string{"-resume", "tf32"}, exitOK, ""}, // it has gone on on the CPU
	} {
		got := trainer(t, c.args...)
		if got.status != c.status || got.stderr != c.stderr && !strings.Contains(got.stderr, "it is there for Linux") {
			t.Errorf("%v: status %d, stderr %q", c.args, got.status, got.stderr)
		}
	}
	if config := read(t, "tf32/config.toml"); !strings.Contains(config, "device = 'cpu'") || !strings.Contains(config, "autotune = true") {
		t.Errorf("the configuration of the run that went on:\n%s", config)
	}
	if config := read(t, "fp16/config.toml"); !strings.Contains(config, "device = 'cuda:1'") {
		t.Errorf("the configuration of the run that did not go on:\n%s", config)
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
			"-device cuda:7: out of device memory: 9 bytes wanted, 5 free; other processes may use the GPU's memory, nvidia-smi names them (trainer doctor says more; -device cpu does without)",
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
