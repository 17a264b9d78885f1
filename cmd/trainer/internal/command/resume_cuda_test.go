//go:build cuda && linux && cgo && (amd64 || arm64)

package command

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"trainer/gpu/cudasim"
	"trainer/nn/data"
)

// MNIST through the program on the software emulation: whole, and stopped and resumed. No GPU is involved.

// tinyMNIST writes the first images of MNIST to a folder, in MNIST's files.
func tinyMNIST(t *testing.T, train, test int) string {
	t.Helper()
	split, err := data.Open(t.Context(), "mnist", data.Options{})
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for _, s := range []struct {
		prefix string
		set    data.Set
		n      int
	}{{"train", split.Train, train}, {"t10k", split.Test, test}} {
		h, w, _ := s.set.ImageShape()
		images, labels := idxHead(s.n, h, w), idxHead(s.n)
		pixels := make([]byte, h*w)
		for i := range s.n {
			label, err := s.set.Read(i, pixels)
			if err != nil {
				t.Fatal(err)
			}
			images, labels = append(images, pixels...), append(labels, byte(label))
		}
		write(t, filepath.Join(folder, s.prefix+"-images-idx3-ubyte"), string(images))
		write(t, filepath.Join(folder, s.prefix+"-labels-idx1-ubyte"), string(labels))
	}
	return folder
}

// idxHead is the head of an IDX file of bytes.
func idxHead(dims ...int) []byte {
	head := []byte{0, 0, 8, byte(len(dims))}
	for _, n := range dims {
		head = binary.BigEndian.AppendUint32(head, uint32(n))
	}
	return head
}

// interrupted runs the program on the emulation, and sends it Ctrl-C when it has printed a line that begins as told.
func interrupted(t *testing.T, line string, args ...string) outcome {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	findings := filepath.Join(t.TempDir(), "findings")
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(append(os.Environ(), "TRAINER_TEST_MAIN=1"), cudasim.Environment(cudasim.Build(t, cudasim.Options{}), findings, "")...)
	var seen, stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	deadline := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer deadline.Stop()
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		seen.WriteString(lines.Text() + "\n")
		if strings.HasPrefix(lines.Text(), line) {
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait() // the status is what matters
	if found, err := cudasim.ReadReport(findings); err != nil || len(found) > 0 {
		t.Errorf("the emulation found, error %v: %q", err, found)
	}
	return outcome{cmd.ProcessState.ExitCode(), seen.String(), stderr.String()}
}

func TestMNISTStoppedAndResumed(t *testing.T) {
	if testing.Short() {
		t.Skip("trains")
	}
	t.Chdir(t.TempDir())
	images := tinyMNIST(t, 80, 20)
	for _, precision := range []string{"fp32", "fp16"} {
		t.Run(precision, func(t *testing.T) {
			whole, part := precision+"-whole", precision+"-part"
			args := []string{
				"-data", "mnist", "-data-dir", images, "-recipe", "mnist", "-batch", "16", "-epochs", "6", "-seed", "3",
				"-device", "cuda", "-precision", precision, "-deterministic",
			}
			got := emulated(t, cudasim.Options{}, "", append(args, "-out", whole)...)
			if got.status != exitOK || got.stderr != "" {
				t.Fatalf("%+v", got)
			}
			checkNoSpeed(t, got.stdout, whole)

			got = interrupted(t, "epoch   2", append(args, "-out", part)...)
			if got.status != exitInterrupted || got.stderr != "trainer: interrupted; to continue: trainer -resume "+part+"\n" {
				t.Fatalf("%+v", got)
			}
			checkOthersAreRefused(t, precision, part)
			got = emulated(t, cudasim.Options{}, "", "-resume", part)
			if got.status != exitOK || got.stderr != "" {
				t.Fatalf("%+v", got)
			}
			if !regexp.MustCompile(`; cuda:0 \(software emulation, ` + precision + `\); continuing from step 1\d\n`).MatchString(got.stdout) {
				t.Errorf("stdout\n%s", got.stdout)
			}
			if !bytes.Equal([]byte(read(t, whole+"/model.safetensors")), []byte(read(t, part+"/model.safetensors"))) {
				t.Error("the resumed run has other weights than the whole one")
			}
		})
	}
}

// checkNoSpeed fails the test for a speed of the emulation: in the output, or in the files.
func checkNoSpeed(t *testing.T, stdout, folder string) {
	t.Helper()
	if regexp.MustCompile(`img/s|GFLOP/s| \d+\.\d+s`).MatchString(stdout) {
		t.Errorf("a speed of the emulation in\n%s", stdout)
	}
	if s := readJSON(t, folder+"/summary.json"); s["images_per_second"] != 0.0 || s["train_seconds"] != 0.0 || s["cpu"] != "software emulation" {
		t.Errorf("summary %v", s)
	}
	if metrics := read(t, folder+"/metrics.jsonl"); strings.Count(metrics, `"images_per_second":0,"seconds":0,"eval_seconds":0}`) != strings.Count(metrics, "\n") {
		t.Errorf("a speed of the emulation in\n%s", metrics)
	}
}

// checkOthersAreRefused resumes in other precisions, and on the CPU in one that it hasn't: nothing of that may change
// the run.
func checkOthersAreRefused(t *testing.T, precision, folder string) {
	t.Helper()
	before := listing(t) + read(t, folder+"/config.toml") + read(t, folder+"/metrics.jsonl")
	others := []string{"tf32", "bf16"}
	if precision == "fp16" {
		got := emulated(t, cudasim.Options{}, "", "-resume", folder, "-device", "cpu")
		if got.status != exitUsage || got.stdout != "" || got.stderr != "trainer: -resume: the run computes in fp16, which device cpu can't: use -device cuda\n" {
			t.Errorf("on the CPU: %+v", got)
		}
	} else {
		others = slices.Concat(others, []string{"auto", "fp16"}) // the recipe's is fp16
	}
	for _, other := range others {
		got := emulated(t, cudasim.Options{}, "", "-resume", folder, "-precision", other)
		now := strings.Replace(other, "auto", "fp16", 1)
		want := "trainer: -resume: the run computes in " + precision + " and would continue in " + now + ": use -precision " + precision + "\n"
		if got.status != exitUsage || got.stdout != "" || got.stderr != want {
			t.Errorf("-precision %s: %+v", other, got)
		}
	}
	if after := listing(t) + read(t, folder+"/config.toml") + read(t, folder+"/metrics.jsonl"); after != before {
		t.Error("what was refused has changed files")
	}
}

// A run of the CPU goes on on the emulation and back, and is told each time.
func TestResumingOnTheOtherKind(t *testing.T) {
	workplace(t)
	args := []string{"-data", "pictures", "-recipe", "small.toml", "-device", "cpu", "-out", "run"}
	if got := trainer(t, args...); got.status != exitOK {
		t.Fatalf("%+v", got)
	}
	for _, c := range []struct{ device, want string }{
		{"cuda", "trainer: the run started on cpu in fp32 and continues on cuda:0 in fp32: results will not be bit-identical\n"},
		{"cuda:0", ""},
		{"cpu", "trainer: the run started on cuda:0 in fp32 and continues on cpu in fp32: results will not be bit-identical\n"},
	} {
		got := emulated(t, cudasim.Options{}, "", "-resume", "run", "-device", c.device)
		if got.status != exitOK || got.stderr != c.want {
			t.Errorf("-device %s: %+v", c.device, got)
		}
	}
	if config := read(t, "run/config.toml"); !strings.Contains(config, "device = 'cpu'") {
		t.Errorf("the configuration\n%s", config)
	}
}

// A short training on MNIST with each of the device's flags, which the configuration keeps.
func TestTrainingOnTheEmulation(t *testing.T) {
	if testing.Short() {
		t.Skip("trains")
	}
	images := tinyMNIST(t, 64, 20)
	t.Chdir(t.TempDir())
	noGraph := "fail=cuGraphLaunch#1+:INVALID_VALUE"
	got := emulated(t, cudasim.Options{}, noGraph, "-device", "cuda", "-deterministic", "-autotune", "-cuda-graph=false", "-precision", "tf32",
		"-data-dir", images, "-recipe", "mnist-basic", "-epochs", "2", "-batch", "16", "-out", "run")
	if got.status != exitOK || got.stderr != "" {
		t.Fatalf("%+v", got)
	}
	if !strings.Contains(got.stdout, "cuda:0 (software emulation, tf32)\n") || !strings.Contains(got.stdout, "test accuracy") {
		t.Errorf("stdout\n%s", got.stdout)
	}
	read(t, "run/model.safetensors")
	for _, want := range []string{"device = 'cuda:0'", "precision = 'tf32'", "deterministic = true", "autotune = true", "cuda-graph = false"} {
		if config := read(t, "run/config.toml"); !strings.Contains(config, want) {
			t.Errorf("config has no %q:\n%s", want, config)
		}
	}
}

// What a recipe wishes for a GPU is what it gets, and a flag comes before it.
func TestRecipesWishOnTheEmulation(t *testing.T) {
	workplace(t)
	write(t, "wish.toml", "precision = \"bf16\"\n"+small)
	for _, c := range []struct{ recipe, flag, want string }{
		{"small.toml", "", "tf32"},
		{"small.toml", "fp16", "fp16"},
		{"wish.toml", "", "bf16"},
		{"wish.toml", "auto", "bf16"},
		{"wish.toml", "fp32", "fp32"},
	} {
		args := []string{"-data", "pictures", "-recipe", c.recipe, "-dry-run"}
		if c.flag != "" {
			args = append(args, "-precision", c.flag)
		}
		got := emulated(t, cudasim.Options{}, "", args...)
		if got.status != exitOK || got.stderr != "" || !strings.Contains(got.stdout, " on cuda:0 (software emulation, "+c.want+")") {
			t.Errorf("%+v: %+v", c, got)
		}
	}
}
