//go:build cuda && linux && cgo && (amd64 || arm64)

package command

import (
	"bytes"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"trainer/gpu/cudasim"
)

// shared is a recipe whose batches two GPUs share.
var shared = strings.Replace(small, "epochs = ", "shards = 2\nepochs = ", 1)

// TestGPUs: two emulated GPUs train to the weights of one with -deterministic; with NCCL's own sums, too, they finish. A GPU that
// fails ends all ranks with one line, and the run is resumed by one GPU to the same bits.
func TestGPUs(t *testing.T) {
	if testing.Short() {
		t.Skip("trains")
	}
	workplace(t)
	write(t, "shared.toml", shared)
	args := []string{"-data", "pictures", "-recipe", "shared.toml", "-device", "cuda", "-precision", "fp32", "-deterministic", "-quiet", "-checkpoint-every", "1steps"}
	run := func(settings, out string, more ...string) outcome {
		return emulated(t, cudasim.Options{}, "devices=2; "+settings, append(append(args, "-out", out), more...)...)
	}
	if got := run("", "one"); got.status != exitOK || got.stderr != "" {
		t.Fatalf("one GPU: %+v", got)
	}
	if got := run("", "two", "-gpus", "all"); got.status != exitOK || got.stderr != "" {
		t.Fatalf("two GPUs: %+v", got)
	}
	same := func(out string) {
		t.Helper()
		if !bytes.Equal([]byte(read(t, "one/model.safetensors")), []byte(read(t, out+"/model.safetensors"))) {
			t.Errorf("%s has other weights than one GPU", out)
		}
	}
	same("two")
	if got := run("", "fastest", "-gpus", "0,1", "-deterministic=false"); got.status != exitOK || got.stderr != "" {
		t.Errorf("with NCCL's sums: %+v", got)
	}
	for _, c := range []struct{ name, settings, patience, want string }{
		{"killed", "peer=die:1#7", "10m", `rank 1 on \S+: its process was ended by signal 9 \(killed\); `},
		{"hang", "peer=hang:1#7", "1s", `rank \d on \S+: .* for 1s`}, // a loaded machine may be slower than this before
	} {
		name := c.name
		t.Setenv("TRAINER_RANK_PATIENCE", c.patience)
		got := run(c.settings, name, "-gpus", "0,1")
		if got.status != exitEnvironment || !regexp.MustCompile(`^trainer: `+c.want+`.*\n$`).MatchString(got.stderr) {
			t.Errorf("%s: %+v", name, got)
			continue
		}
		if got := emulated(t, cudasim.Options{}, "", "-resume", name, "-quiet"); got.status != exitOK {
			t.Errorf("resuming after %s: %+v", name, got)
		}
		same(name)
	}
}

// TestGPUsRefused: mistakes with -gpus end in one line, of one process.
func TestGPUsRefused(t *testing.T) {
	workplace(t)
	for _, c := range []struct {
		settings string
		args     []string
		want     string
	}{
		{"devices=2", []string{"-gpus", "0,2"}, "trainer: -gpus: no cuda:2: this machine has 2\n"},
		{"devices=2", []string{"-gpus", "0,1", "-device", "cuda:1"}, "trainer: -device cuda:1 names one GPU, and -gpus several: use -device cuda\n"},
		{"devices=2", []string{"-gpus", "all", "-folds", "2"}, "trainer: -folds needs a single process\n"},
		{"devices=2; fail=ncclGetUniqueId#1:SystemError", []string{"-gpus", "all"}, "ncclSystemError"},
	} {
		got := emulated(t, cudasim.Options{}, c.settings, append([]string{"-data", "pictures", "-recipe", "small.toml", "-out", filepath.Join(t.TempDir(), "run")}, c.args...)...)
		if got.status == exitOK || !strings.Contains(got.stderr, c.want) || strings.Count(got.stderr, "\n") != 1 {
			t.Errorf("%q: %+v, want %s", c.args, got, c.want)
		}
	}
}
