package command

import (
	"encoding/binary"
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
		reason := map[string]string{
			"-autotune": "the CPU has no algorithms to time", "-cuda-graph": "the CPU records no steps",
			"-precision fp16": "device cpu computes in fp32 only",
		}[flag]
		want := "trainer: " + flag + ": " + reason + ", and -device auto found no other device (cuda: this build has no CUDA device: "
		if got.status != exitUsage || !strings.HasPrefix(got.stderr, want) || strings.Count(got.stderr, "\n") != 1 {
			t.Errorf("%s with auto: %+v", flag, got)
		}
	}
}

// The CPU accepts flags that ask for what it does anyway.
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

// A run's configuration has its device and precision; a recipe's precision changes nothing on the CPU.
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
	if tensors(t, "fp32/model.safetensors") != tensors(t, "bf16/model.safetensors") {
		t.Error("the CPU heeds the recipe's precision")
	}
}

// tensors returns the weights in a model file, without the description.
func tensors(t *testing.T, path string) string {
	text := read(t, path)
	return text[8+binary.LittleEndian.Uint64([]byte(text[:8])):]
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
		{[]string{"-resume", "tf32"}, exitEnvironment, "trainer: -device cuda:0: this build has no CUDA device: run `make` with a C compiler installed to build a program that has it, or use -device cpu\n"},
		{[]string{"-resume", "tf32", "-device", "cpu", "-autotune"}, exitUsage, "trainer: -autotune: the CPU has no algorithms to time; use -device cuda\n"},
		{[]string{"-resume", "fp16", "-device", "cpu"}, exitUsage, "trainer: -resume: the run computes in fp16, which device cpu can't: use -device cuda\n"},
		{[]string{"-resume", "tf32", "-device", "cpu"}, exitOK, "trainer: the run started on cuda:0 in tf32 and continues on cpu in fp32: results will not be bit-identical\n"},
		{[]string{"-resume", "tf32"}, exitOK, ""}, // it was continued on the CPU
	} {
		got := trainer(t, c.args...)
		if got.status != c.status || got.stderr != c.stderr && !strings.Contains(got.stderr, "it needs Linux") {
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
			"-device cuda:7: no cuda:7: there is one GPU, cuda:0 (run trainer doctor for details, or pass -device cpu)",
		},
		{
			&device.Error{Device: "cuda:7", Op: "opening the device", Err: &device.MemoryError{Wanted: 9, Free: 5}},
			"-device cuda:7: out of device memory: 9 bytes wanted, 5 free; other processes may be using the GPU's memory; nvidia-smi shows which (run trainer doctor for details, or pass -device cpu)",
		},
		{
			fmt.Errorf("first\nsecond: %w", device.ErrLost),
			"-device cuda:7: first; second: device lost; the GPU or its driver has failed: check nvidia-smi, or restart the machine (run trainer doctor for details, or pass -device cpu)",
		},
	} {
		e := testProgram().openError("cuda:7", gpu.Kind(), c.err)
		if e.Error() != c.want {
			t.Errorf("got  %s\nwant %s", e, c.want)
		}
		if !errors.Is(e, c.err) || exitStatus(e) != exitEnvironment {
			t.Errorf("%v: status %d", e, exitStatus(e))
		}
	}
}
