package command

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"trainer/cpu"
	"trainer/gpu"
	"trainer/nn/device"
	"trainer/nn/ranks/mpi"
	"trainer/nn/recipe"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestMain makes the test's own binary the program, for the tests that need a process.
func TestMain(m *testing.M) {
	if way := os.Getenv(stepVariable); way != "" {
		pretendStep(way)
	}
	if os.Getenv("TRAINER_TEST_MAIN") == "1" {
		mpi.Exit(Main(config()))
	}
	cache, err := os.MkdirTemp("", "trainer-cache-*")
	if err != nil {
		panic(err)
	}
	os.Setenv("XDG_CACHE_HOME", cache) // indexes of folders
	status := m.Run()
	os.RemoveAll(cache)
	os.Exit(status)
}

// config is what main decides, for tests.
func config() Config {
	return Config{Commands: BuiltIn(), Devices: []device.Kind{gpu.Kind(), cpu.Kind()}, Kinds: recipe.BuiltIn()}
}

// testProgram is a program with these lists, and without surroundings.
func testProgram() *program {
	return &program{Config: config(), getenv: func(string) string { return "" }}
}

// outcome is what a run of the program left.
type outcome struct {
	status         int
	stdout, stderr string
}

// trainer runs the program in the present folder.
func trainer(t *testing.T, args ...string) outcome {
	t.Helper()
	return trainerIn(context.Background(), nil, args...)
}

func trainerIn(ctx context.Context, env map[string]string, args ...string) outcome {
	var stdout, stderr bytes.Buffer
	p := &program{
		Config: config(),
		stdout: &stdout, stderr: &stderr,
		getenv: func(name string) string { return env[name] },
		now:    func() time.Time { return time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC) },
	}
	status := run(ctx, p, args)
	return outcome{status, stdout.String(), stderr.String()}
}

// pictures makes a folder of two classes of 8x8 images in the present folder: dark ones and
// bright ones, n of each, told apart by any network.
func pictures(t *testing.T, n int) string {
	t.Helper()
	for class, level := range map[string]int{"dark": 40, "bright": 200} {
		dir := filepath.Join("pictures", class)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			img := image.NewGray(image.Rect(0, 0, 8, 8))
			for k := range img.Pix {
				img.Pix[k] = uint8(level + (k*7+i*13)%32)
			}
			img.SetGray(i%8, i/8%8, color.Gray{uint8(255 - level)})
			var file bytes.Buffer
			if err := png.Encode(&file, img); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, string(rune('a'+i/26))+string(rune('a'+i%26))+".png"), file.String())
		}
	}
	return "pictures"
}

// small is a recipe that trains on pictures in no time.
const small = `name = "small"
epochs = 3
batch = 8

[loss]
kind = "cross-entropy"

[optimizer]
kind = "sgd"
lr = 0.05
momentum = 0.5

[[network]]
layer = "conv2d"
out = 4
kernel = 3

[[network]]
layer = "relu"

[[network]]
layer = "max-pool2d"
kernel = 2

[[network]]
layer = "flatten"

[[network]]
layer = "dense"
out = "classes"
`

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func readJSON(t *testing.T, path string) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(read(t, path)), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// workplace makes a folder with pictures and small.toml, and goes there.
func workplace(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	pictures(t, 30)
	write(t, "small.toml", small)
}

func TestHelpIsAsWritten(t *testing.T) {
	got := trainer(t, "-h")
	if got.status != exitOK || got.stderr != "" {
		t.Fatalf("status %d, stderr %q", got.status, got.stderr)
	}
	golden(t, "help.txt", got.stdout)
}

// golden compares text with a file in testdata, which -update rewrites.
func golden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		write(t, path, text)
	}
	if want := read(t, path); text != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
}

func TestEveryFlagHasAPlaceInTheHelp(t *testing.T) {
	grouped := map[string]bool{}
	for _, g := range flagGroups() {
		for _, name := range g.flags {
			grouped[name] = true
		}
	}
	testProgram().newFlags(&options{}).VisitAll(func(f *flag.Flag) {
		if !grouped[f.Name] {
			t.Errorf("-%s is in no group", f.Name)
		}
	})
}

// A flag's text is a phrase of its own, after the name of its value.
func TestFlagTexts(t *testing.T) {
	p := testProgram()
	for _, set := range []*flag.FlagSet{p.newFlags(&options{}), p.benchFlags(&benchOptions{}), p.runFlags(&runOptions{}), networkFlags(&networkOptions{}), p.dataFlags(&options{}), doctorFlags(&doctorOptions{}), p.lrFlags(&lrOptions{options: newOptions()}), p.tuneFlags(&tuneOptions{options: newOptions()})} {
		set.VisitAll(func(f *flag.Flag) {
			_, usage := valueAndUsage(f.Usage)
			if usage == "" || strings.Contains(usage, "`") || strings.HasPrefix(usage, "of ") {
				t.Errorf("%s: -%s has the text %q", set.Name(), f.Name, f.Usage)
			}
		})
	}
}

// Every command prints its help for -h, wherever it stands, and as trainer help.
func TestEveryCommandHasHelp(t *testing.T) {
	for _, c := range BuiltIn() {
		if c.Hidden {
			continue
		}
		asked := trainer(t, c.Name, "-h")
		if asked.status != exitOK || asked.stderr != "" || !strings.Contains(asked.stdout, "Usage:\n  trainer") || !strings.Contains(asked.stdout, "print this help") {
			t.Errorf("%s -h: %+v", c.Name, asked)
		}
		for _, kind := range c.Kinds {
			if got := trainer(t, "help", c.Name, kind); got.status != exitOK || !strings.Contains(got.stdout, "trainer "+c.Name+" "+kind) {
				t.Errorf("help %s %s: %+v", c.Name, kind, got)
			}
		}
		if c.Name != "train" && c.Name != "help" { // help.txt is that of train
			golden(t, c.Name+".txt", asked.stdout)
		}
		if got := trainer(t, "help", c.Name); got != asked {
			t.Errorf("help %s: %+v", c.Name, got)
		}
	}
	if got := trainer(t, "help"); got != trainer(t, "-h") {
		t.Errorf("help: %+v", got)
	}
	refused(t, trainer(t, "help", "drow"), `unknown command "drow", did you mean draw?`)
}

// The lists and tables are also printed as JSON.
func TestListsAsJSON(t *testing.T) {
	t.Chdir(t.TempDir())
	for args, want := range map[string]string{
		"-list -json": `"name":"fashion-mnist"`, "-dry-run -json": `"parameters":215194`, "version -json": `"platform":`, "-version -json": `"platform":`,
		"recipe mnist -json": `"epochs":1`,
	} {
		got := trainer(t, strings.Fields(args)...)
		if got.status != exitOK || !json.Valid([]byte(got.stdout)) || !strings.Contains(got.stdout, want) {
			t.Errorf("%s: status %d, %s %s", args, got.status, got.stdout, got.stderr)
		}
	}
}

func TestTooManyThreadsAreCapped(t *testing.T) {
	t.Chdir(t.TempDir())
	got := trainer(t, "-dry-run", "-device", "cpu", "-threads", "99999")
	if want := fmt.Sprintf("so %d threads will be used", runtime.NumCPU()); got.status != exitOK || strings.Count(got.stderr, want) != 1 {
		t.Errorf("status %d, stderr %s, want in it %s", got.status, got.stderr, want)
	}
}

func TestVersionAndRecipe(t *testing.T) {
	got := trainer(t, "version")
	if got.status != exitOK || !regexp.MustCompile(`(?m)^trainer .*\ngo +go1.*\ncpu +.*in use: .*\ncuda +(not )?in this build.*$`).MatchString(got.stdout) {
		t.Errorf("version: %+v", got)
	}
	got = trainer(t, "recipe", "mnist")
	if got.status != exitOK || !strings.Contains(got.stdout, "name = \"mnist\"\n") {
		t.Errorf("recipe: %+v", got)
	}
}

func TestListNamesEverything(t *testing.T) {
	got := trainer(t, "-list")
	for _, name := range []string{"fashion-mnist", "mnist-basic", "airbench96", "conv2d", "residual", "whitening", "one-cycle", "resized-crop", "adamw", "log-every", "best-by", "patience", "cpu", "cuda"} {
		if !strings.Contains(got.stdout, name) {
			t.Errorf("-list has no %s", name)
		}
	}
	if got.status != exitOK {
		t.Errorf("status %d: %s", got.status, got.stderr)
	}
}

func TestDryRunPrintsTheTable(t *testing.T) {
	t.Chdir(t.TempDir())
	got := trainer(t, "-dry-run", "-threads", "2")
	if got.status != exitOK {
		t.Fatalf("%+v", got)
	}
	for _, want := range []string{
		`conv1 +conv2d +24x24x24 +624 +691\.2 kFLOP`,
		`dense1 +dense +256 +205,056`,
		`total +215,194`,
		`60,000 training images, 10,000 test images; 1 epoch, 235 steps of 256 images on cpu`,
	} {
		if !regexp.MustCompile(want).MatchString(got.stdout) {
			t.Errorf("no %q in\n%s", want, got.stdout)
		}
	}
	if _, err := os.Stat("runs"); err == nil {
		t.Error("a dry run left a folder")
	}
}

func TestTrainingOnAFolderLeavesItsResults(t *testing.T) {
	workplace(t)
	got := trainer(t, "-data", "pictures", "-recipe", "small.toml", "-epochs", "4", "-set", "network.0.out=6", "-seed", "3")
	if got.status != exitOK || got.stderr != "" {
		t.Fatalf("%+v", got)
	}
	lines := strings.Split(strings.TrimSpace(got.stdout), "\n")
	if last := lines[len(lines)-1]; last != "test accuracy 100.00% (12/12)" {
		t.Errorf("last line %q", last)
	}
	if n := strings.Count(got.stdout, "\nepoch "); n != 4 {
		t.Errorf("%d lines of epochs in\n%s", n, got.stdout)
	}
	dir := filepath.Join("runs", "2026-01-31-pictures-small")
	s := readJSON(t, filepath.Join(dir, "summary.json"))
	for key, want := range map[string]any{
		"device": "cpu", "data": "pictures", "recipe": "small", "seed": 3.0, "epochs": 4.0, "steps": 24.0, "batch": 8.0,
		"test_accuracy": 1.0, "test_correct": 12.0, "test_count": 12.0, "interrupted": false,
		"parameters": 6*9 + 6 + 54*2 + 2.0,
	} {
		if s[key] != want {
			t.Errorf("summary: %s is %v, want %v", key, s[key], want)
		}
	}
	if n := strings.Count(read(t, filepath.Join(dir, "metrics.jsonl")), "\n"); n != 4 {
		t.Errorf("metrics have %d lines", n)
	}
	if read(t, filepath.Join(dir, "model.safetensors")) == "" {
		t.Error("no weights")
	}
	config := read(t, filepath.Join(dir, "config.toml"))
	for _, want := range []string{"epochs = 4", "out = 6", "seed = 3", "/pictures'", "mean = ["} {
		if !strings.Contains(config, want) {
			t.Errorf("config has no %q:\n%s", want, config)
		}
	}

	// The configuration is a recipe, which gives the same again, in another folder.
	again := trainer(t, "-data", "pictures", "-recipe", filepath.Join(dir, "config.toml"), "-seed", "3", "-quiet")
	if again.status != exitOK || again.stdout != "test accuracy 100.00% (12/12)\n" {
		t.Fatalf("%+v", again)
	}
	other := filepath.Join("runs", "2026-01-31-pictures-config")
	if a, b := read(t, filepath.Join(dir, "model.safetensors")), read(t, filepath.Join(other, "model.safetensors")); a != b {
		t.Error("the same configuration gave other weights")
	}
}

func TestDefaultFolderIsNeverUsedTwice(t *testing.T) {
	workplace(t)
	for _, want := range []string{"", "-2"} {
		got := trainer(t, "-data", "pictures", "-recipe", "small.toml", "-epochs", "1")
		if dir := filepath.Join("runs", "2026-01-31-pictures-small") + want; !strings.Contains(got.stdout, "results in "+dir+"\n") {
			t.Errorf("no %s in %+v", dir, got)
		}
	}
}

func TestRunsGiveMeanAndDeviation(t *testing.T) {
	workplace(t)
	got := trainer(t, "-data", "pictures", "-recipe", "small.toml", "-runs", "3", "-out", "three", "-quiet")
	if got.status != exitOK {
		t.Fatalf("%+v", got)
	}
	lines := strings.Split(strings.TrimSpace(got.stdout), "\n")
	if len(lines) != 4 || !regexp.MustCompile(`^test accuracy \d+\.\d\d% \+- \d+\.\d\d% \(mean and standard deviation of 3 runs\)$`).MatchString(lines[3]) {
		t.Errorf("got %q", lines)
	}
	s := readJSON(t, "three/summary.json")
	runs := s["runs"].([]any)
	sum := 0.0
	for i, r := range runs {
		one := r.(map[string]any)
		sum += one["test_accuracy"].(float64)
		if one["seed"] != float64(i) {
			t.Errorf("run %d has seed %v", i, one["seed"])
		}
	}
	if len(runs) != 3 || math.Abs(s["test_accuracy"].(float64)-sum/3) > 1e-9 || s["test_accuracy_std"] == nil {
		t.Errorf("summary %v", s)
	}
	read(t, "three/seed-2/model.safetensors")
}

func TestJSONIsForPrograms(t *testing.T) {
	workplace(t)
	got := trainer(t, "-data", "pictures", "-recipe", "small.toml", "-json")
	var events []string
	var last map[string]any
	for line := range strings.Lines(got.stdout) {
		last = nil
		if err := json.Unmarshal([]byte(line), &last); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		events = append(events, last["event"].(string))
	}
	// A checkpoint is written beside training, and its event may follow the next epoch's.
	saved := 0
	for i, event := range events {
		if event == "checkpoint" {
			saved++
		}
		if epochs := i - saved; event == "checkpoint" && saved > epochs {
			t.Errorf("events %q: a checkpoint before its epoch", events)
		}
	}
	others := slices.DeleteFunc(slices.Clone(events), func(event string) bool { return event == "checkpoint" })
	if want := "start epoch epoch epoch summary"; saved != 3 || strings.Join(others, " ") != want || events[len(events)-1] != "summary" {
		t.Errorf("events %q", events)
	}
	if s, ok := last["summary"].(map[string]any); !ok || s["test_count"] != 12.0 {
		t.Errorf("last %v", last)
	}
}

// stopAfter is a writer that cancels when it has seen a text.
type stopAfter struct {
	text   string
	seen   bytes.Buffer
	cancel context.CancelFunc
}

func (s *stopAfter) Write(b []byte) (int, error) {
	s.seen.Write(b)
	if strings.Contains(s.seen.String(), s.text) {
		s.cancel()
	}
	return len(b), nil
}

func TestInterruptedAndResumedIsTheSame(t *testing.T) {
	workplace(t)
	args := []string{"-data", "pictures", "-recipe", "small.toml", "-seed", "5"}
	if got := trainer(t, append(args, "-out", "whole")...); got.status != exitOK {
		t.Fatalf("%+v", got)
	}

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stdout := &stopAfter{text: "epoch   1", cancel: cancel}
	var stderr bytes.Buffer
	p := &program{Config: config(), stdout: stdout, stderr: &stderr, getenv: func(string) string { return "" }, now: time.Now}
	if status := run(ctx, p, append(args, "-out", "part")); status != exitInterrupted {
		t.Fatalf("status %d, stderr %q", status, stderr.String())
	}
	if stderr.String() != "trainer: interrupted; to continue: trainer -resume part\n" {
		t.Errorf("stderr %q", stderr.String())
	}
	if s := readJSON(t, "part/summary.json"); s["interrupted"] != true || s["steps"].(float64) >= 18 {
		t.Errorf("summary %v", s)
	}
	read(t, "part/model.safetensors")

	got := trainer(t, "-resume", "part")
	if got.status != exitOK || !strings.Contains(got.stdout, "continuing from step") {
		t.Fatalf("%+v", got)
	}
	if read(t, "whole/model.safetensors") != read(t, "part/model.safetensors") {
		t.Error("the resumed run has other weights than the whole one")
	}
	if n := strings.Count(read(t, "part/metrics.jsonl"), "\n"); n != 3 {
		t.Errorf("metrics have %d lines:\n%s", n, read(t, "part/metrics.jsonl"))
	}
	if s := readJSON(t, "part/summary.json"); s["interrupted"] != false || s["steps"] != 18.0 || s["seed"] != 5.0 {
		t.Errorf("summary %v", s)
	}
}

func TestDivergenceIsReportedAndLeavesTheGoodWeights(t *testing.T) {
	workplace(t)
	got := trainer(t, "-data", "pictures", "-recipe", "small.toml", "-lr", "1e30", "-out", "run")
	if got.status != exitUsage || strings.Count(got.stderr, "\n") != 1 {
		t.Fatalf("%+v", got)
	}
	if !regexp.MustCompile(`^trainer: the loss is (NaN|\+Inf) at step \d+ \(epoch 1\), first non-finite in the .+; the weights after step \d+ were restored; try a lower learning rate\n$`).MatchString(got.stderr) {
		t.Errorf("stderr %q", got.stderr)
	}
	read(t, "run/model.safetensors")
	readJSON(t, "run/summary.json")
}

func TestBadInput(t *testing.T) {
	workplace(t)
	write(t, "misfit.toml", strings.Replace(small, "kernel = 3", "kernel = 30", 1))
	write(t, "unknown.toml", strings.Replace(small, "momentum", "momentun", 1))
	write(t, "syntax.toml", "name = [\n")
	write(t, "file", "")
	if err := os.MkdirAll("empty/a", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll("empty/b", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll("broken/a", 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, "broken/a/one.png", "this is no image")
	if err := os.MkdirAll("done", 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, "done/summary.json", "{}")

	onPictures := []string{"-data", "pictures", "-recipe", "small.toml"}
	with := func(args ...string) []string { return append(onPictures[:4:4], args...) }
	tests := []struct {
		name string
		args []string
		want string // in stderr
	}{
		{"unknown flag", []string{"-epoch", "3"}, "unknown flag -epoch, did you mean -epochs?"},
		{"unknown flag far from all", []string{"-zzzzzzzz"}, "unknown flag -zzzzzzzz (valid: -all-bytes, -autotune, -batch, "},
		{"flag without value", []string{"-epochs"}, "flag needs an argument: -epochs"},
		{"stray argument", []string{"-quiet", "mnist"}, `unexpected argument "mnist"`},
		{"unknown subcommand", []string{"trian"}, `unknown command "trian", did you mean train? (valid: train, lr, tune, predict, evaluate, serve, export, import, data, recipe, draw, runs, compare, report, bench, plan, doctor, completion, man, version, help)`},
		{"subcommand without argument", []string{"recipe"}, "recipe takes one name: trainer recipe NAME"},
		{"version with argument", []string{"version", "x"}, "version takes no arguments"},
		{"flag of a command without flags", []string{"help", "-json"}, "unknown flag -json (trainer help -h shows the usage)"},
		{"unknown recipe to print", []string{"recipe", "minst"}, `unknown recipe "minst", did you mean mnist?`},
		{"unknown device", []string{"-device", "gpu"}, `-device: unknown device "gpu", did you mean cpu? (valid: auto, cuda, cpu)`},
		{"numbered cpu", []string{"-device", "cpu:1"}, "-device cpu:1: want auto, cuda, cuda:N or cpu"},
		{"cuda without a number", []string{"-device", "cuda:first"}, "-device cuda:first: want auto, cuda, cuda:N or cpu"},
		{"precision", with("-precision", "half"), `invalid value "half" for flag -precision: want auto, fp32, tf32, fp16 or bf16`},
		{"precision of the CPU", with("-device", "cpu", "-precision", "tf32"), "-precision tf32: device cpu computes in fp32 only; use -device cuda"},
		{"16 bits on the CPU", with("-device", "cpu", "-precision", "fp16"), "-precision fp16: device cpu computes in fp32 only; use -device cuda"},
		{"other 16 bits on the CPU", with("-device", "cpu", "-precision", "bf16"), "-precision bf16: device cpu computes in fp32 only; use -device cuda"},
		{"precision of the recipe", with("-set", "precision=fp-16"), `-set precision: unknown value "fp-16", did you mean fp16? (valid: fp32, tf32, fp16, bf16)`},
		{"graph on the CPU", with("-device", "cpu", "-cuda-graph"), "-cuda-graph: the CPU records no steps; use -device cuda"},
		{"graph without a truth value", with("-cuda-graph=maybe"), `invalid boolean value "maybe" for -cuda-graph`},
		{"autotune on the CPU", with("-device", "cpu", "-autotune"), "-autotune: the CPU has no algorithms to time; use -device cuda"},
		{"unknown data", []string{"-data", "minst"}, "did you mean mnist?"},
		{"missing data folder", []string{"-data-dir", "nowhere"}, "data folder nowhere: "},
		{"offline", []string{"-data", "cifar10", "-offline", "-data-dir", "empty"}, "cifar-10-binary.tar.gz"},
		{"file as data", []string{"-data", "file"}, "it is a file in no known format"},
		{"empty class folder", []string{"-data", "empty", "-recipe", "small.toml"}, "want at least one PNG, JPEG, GIF, BMP, TIFF or WebP file, got none"},
		{"unreadable image", []string{"-data", "broken", "-recipe", "small.toml"}, filepath.Join("broken", "a", "one.png")},
		{"unknown recipe", []string{"-recipe", "minst"}, `unknown recipe "minst", did you mean mnist?`},
		{"missing recipe file", []string{"-recipe", "my.toml"}, "my.toml"},
		{"recipe with unknown key", []string{"-recipe", "unknown.toml"}, "unknown.toml:11: optimizer.momentun: unknown key, did you mean optimizer.momentum?"},
		{"recipe with wrong syntax", []string{"-recipe", "syntax.toml"}, "syntax.toml:1: "},
		{"misfit", []string{"-data", "pictures", "-recipe", "misfit.toml"}, "layer conv1: got an image of 8x8"},
		{"channels", []string{"-data", "pictures", "-recipe", "airbench94", "-batch", "8", "-set", "image-size=32"}, "whitening initialisation: got 24 filters"},
		{"set unknown", with("-set", "optimizer.momentun=0.8"), "-set optimizer.momentun: unknown key, did you mean optimizer.momentum?"},
		{"set wrong", with("-set", "optimizer.momentum=big"), "-set optimizer.momentum: want a number from 0 to below 1, got \"big\""},
		{"set nothing", with("-set", "momentum"), "-set momentum: want key=value"},
		{"zero epochs", with("-epochs", "0"), `invalid value "0" for flag -epochs: want a number above 0`},
		{"negative epochs", with("-epochs", "-3"), `invalid value "-3" for flag -epochs: want a number above 0`},
		{"NaN epochs", with("-epochs", "NaN"), `invalid value "NaN" for flag -epochs: want a number above 0`},
		{"zero batch", with("-batch", "0"), `invalid value "0" for flag -batch: want a whole number from 1, or auto`},
		{"fraction of a batch", with("-batch", "1.5"), `invalid value "1.5" for flag -batch: want a whole number from 1, or auto`},
		{"batch larger than the data", with("-batch", "49"), "batch: 49, more than the 48 training images: use 48 or less, as in -batch 48"},
		{"zero lr", with("-lr", "0"), `invalid value "0" for flag -lr: want a number above 0`},
		{"infinite lr", with("-lr", "Inf"), `invalid value "Inf" for flag -lr: want a number above 0`},
		{"seed", with("-seed", "-1"), `invalid value "-1" for flag -seed: want a whole number from 0`},
		{"runs", with("-runs", "0"), `invalid value "0" for flag -runs: want a whole number from 1`},
		{"threads", with("-threads", "none"), `invalid value "none" for flag -threads: want a whole number from 1`},
		{"val", with("-val", "1"), `invalid value "1" for flag -val: want a number between 0 and 1`},
		{"checkpoint", with("-checkpoint-every", "often"), "want epochs, such as 2, steps, such as 500steps, or a time, such as 10m"},
		{"group without parameters", with("-set", `optimizer.group=[{match="norm*", lr-scale=2}]`), `group "norm*" has no parameters`},
		{"out is a file", with("-out", "file"), "file"},
		{"out in a file", with("-out", "file/run"), "file"},
		{"out holds a run", with("-out", "done"), "output folder done: it already holds a run"},
		{"out empty", with("-out", ""), "-out is empty"},
		{"address without a port", []string{"-recipe", "small.toml", "-data", "pictures", "-serve", "8080"}, "-serve 8080: want host:port, as in 127.0.0.1:8080"},
		{"resume nothing", []string{"-resume", "nowhere"}, "-resume: no run to continue: "},
		{"resume without checkpoint", []string{"-resume", "pictures"}, "-resume: no run to continue: "},
		{"exact without resume", with("-exact"), "-exact is for -resume"},
		{"rates in the wrong order", []string{"lr", "-from", "1", "-to", "0.1"}, "-from 1 -to 0.1: the rate grows, so -to must be the larger one"},
		{"range test of a few steps", []string{"lr", "-steps", "5"}, "-steps 5: want at least 20"},
		{"range test with an argument", []string{"lr", "mnist"}, `unexpected argument "mnist": lr takes only flags (trainer lr -h lists them)`},
		{"flag of training in lr", []string{"lr", "-epochs", "3"}, "unknown flag -epochs (valid: -autotune, "},
		{"nothing to search", []string{"tune", "-set", "batch=64"}, "nothing to search: pass a range or a list, such as -set optimizer.lr=1e-4..1e-1"},
		{"range backwards", []string{"tune", "-set", "optimizer.lr=0.1..0.01"}, "-set optimizer.lr=0.1..0.01: want the smaller end of the range first"},
		{"range without an end", []string{"tune", "-set", "optimizer.lr=0.1.."}, "-set optimizer.lr=0.1..: want two numbers with .. between them"},
		{"list with a gap", []string{"tune", "-set", "batch=64,,128"}, "-set batch=64,,128: the list has an empty value"},
		{"searched twice", []string{"tune", "-set", "batch=64,128", "-batch", "32"}, "-set batch=32: batch is set twice, and one of the values is searched"},
		{"unknown key to search", searchOf("new", "-set", "optimizer.momentun=0.1..0.9"), "-set optimizer.momentun: unknown key, did you mean optimizer.momentum?"},
		{"end of a range out of bounds", searchOf("new", "-set", "optimizer.momentum=0.1..1.5"), "-set optimizer.momentum: want a number from 0 to below 1, got 1.5"},
		{"value of a list out of bounds", searchOf("new", "-set", "accumulate=1,0"), "-set accumulate: want a whole number from 1, got 0"},
		{"settings that don't go together", searchOf("new", "-set", "optimizer.kind=sgd,adam"), "with optimizer.kind=adam: small.toml:11: optimizer.momentum: unknown key (valid here: "},
		{"picture before the model", []string{"predict", "pictures/bright/aa.png", "small.toml"}, "reading weights: pictures/bright/aa.png: the file is damaged: it does not begin like a safetensors file"},
		{"search of the classes", searchOf("new", "-set", "data.labels=a,b"), "-set data.labels: of the data, only data.size, data.resize, data.background, data.orientation, data.grayscale, data.balance can be searched"},
		{"search of the size of MNIST", []string{"tune", "-data", "mnist", "-device", "cpu", "-set", "data.size=14,28"}, "-set data.size: this says how picture files are read, and mnist has none"},
		{"search of the epochs by halving", searchOf("new", "-strategy", "halving", "-set", "epochs=2..4"), "-set epochs: the epochs are what halving divides"},
		{"unknown strategy", searchOf("new", "-strategy", "bayes"), `-strategy: unknown strategy "bayes" (valid: random, halving)`},
		{"eta of a random search", searchOf("new", "-eta", "3"), "-eta is for -strategy halving"},
		{"eta of 1", searchOf("new", "-strategy", "halving", "-eta", "1"), "-eta 1: want at least 2"},
		{"many trials", searchOf("new", "-trials", "10001"), "-trials 10001: want at most 10000"},
		{"search on an unknown device", searchOf("new", "-device", "cpu,gpu"), `-device: unknown device "gpu"`},
		{"search on any device and another", searchOf("new", "-device", "auto,cpu"), "-device auto,cpu: name the devices, as in cuda:0,cuda:1"},
		{"resume no search", []string{"tune", "-resume", "nowhere"}, "-resume: no search to continue: "},
		{"resume a folder as a search", []string{"tune", "-resume", "pictures"}, "-resume: no search to continue: "},
		{"resume a search with a space", []string{"tune", "-resume", "pictures", "-set", "batch=1,2"}, "-resume continues a search with its own settings: remove -set"},
		{"resume with out", []string{"-resume", "pictures", "-out", "x"}, "-resume continues a run with the run's own settings: remove -out"},
	}
	before := listing(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := trainer(t, tt.args...)
			if got.status != exitUsage {
				t.Errorf("status %d, want %d", got.status, exitUsage)
			}
			if !strings.HasPrefix(got.stderr, "trainer: ") || !strings.Contains(got.stderr, tt.want) {
				t.Errorf("stderr %q\nwant in it %q", got.stderr, tt.want)
			}
			if n := strings.Count(got.stderr, "\n"); n > maxErrorLines || strings.Contains(got.stderr, "goroutine") {
				t.Errorf("%d lines: %s", n, got.stderr)
			}
			if got.stdout != "" {
				t.Errorf("stdout %q", got.stdout)
			}
		})
	}
	if after := listing(t); after != before {
		t.Errorf("files were left behind (-before +after):\n%s", cmp.Diff(before, after))
	}
}

// listing names all files below the present folder.
func listing(t *testing.T) string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		names = append(names, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(names, "\n")
}

func TestInstructionsByEnvironment(t *testing.T) {
	got := trainerIn(context.Background(), map[string]string{"TRAINER_CPU": "generic"}, "version")
	if !strings.Contains(got.stdout, "in use: generic") {
		t.Errorf("%+v", got)
	}
	got = trainerIn(context.Background(), map[string]string{"TRAINER_CPU": "mmx"}, "-dry-run")
	if got.status != exitUsage || !strings.Contains(got.stderr, "TRAINER_CPU=mmx: ") {
		t.Errorf("%+v", got)
	}
}

func TestSkippedImagesAreNamed(t *testing.T) {
	workplace(t)
	write(t, "pictures/dark/zz.png", "this is no image")
	got := trainer(t, "-data", "pictures", "-recipe", "small.toml", "-epochs", "1", "-quiet")
	if got.status != exitOK || !strings.Contains(got.stderr, "skipped "+filepath.Join("pictures", "dark", "zz.png")) {
		t.Errorf("%+v", got)
	}
}

func TestPanicIsOneLine(t *testing.T) {
	for debug, lines := range map[string]bool{"": false, "1": true} {
		var stderr bytes.Buffer
		getenv := func(name string) string { return map[string]string{"TRAINER_DEBUG": debug}[name] }
		p := &program{Config: config(), stderr: &stderr, getenv: getenv} // stdout is nil: -h panics
		if status := run(context.Background(), p, []string{"-h"}); status != exitEnvironment {
			t.Errorf("status %d", status)
		}
		if got := strings.Count(stderr.String(), "\n") > 1; got != lines || !strings.HasPrefix(stderr.String(), "trainer: internal error: ") {
			t.Errorf("TRAINER_DEBUG=%q: %s", debug, stderr.String())
		}
	}
}

// A network that is larger than the memory is refused in one line, before anything is trained or written.
func TestNetworksLargerThanTheMemory(t *testing.T) {
	workplace(t)
	// The limit is that of GOMEMLIMIT, so that little memory is really taken.
	limit := debug.SetMemoryLimit(256 << 20)
	t.Cleanup(func() { debug.SetMemoryLimit(limit) })
	large := "[[network]]\nlayer = \"up-sample\"\nfactor = 1000\n[[network]]\nlayer = \"max-pool2d\"\nkernel = 1000\n"
	write(t, "large.toml", strings.Replace(small, "[[network]]\nlayer = \"flatten\"", large+"[[network]]\nlayer = \"flatten\"", 1))
	for _, args := range [][]string{{"-dry-run"}, {"-out", "run"}} {
		got := trainer(t, append([]string{"-recipe", "large.toml", "-data", "pictures", "-device", "cpu", "-batch", "40"}, args...)...)
		if got.status != exitEnvironment || strings.Count(got.stderr, "\n") != 1 || !strings.Contains(got.stderr, "out of device memory on cpu for batch 40: ") ||
			!strings.Contains(got.stderr, "not even batch 1 would fit: use a smaller network") {
			t.Errorf("%v: status %d, stderr %q", args, got.status, got.stderr)
		}
	}
	if _, err := os.Stat("run"); err == nil {
		t.Error("a folder was left behind")
	}
}
