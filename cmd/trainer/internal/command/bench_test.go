package command

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"reflect"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"trainer/bench"
	"trainer/nn/recipe"
	"trainer/nn/train"
)

// pause is the time of a measurement in tests: what is measured runs twice or a little more.
const pause = "1ms"

func TestBenchPrintsEveryKernelAndRecipe(t *testing.T) {
	got := trainer(t, "bench", "-device", "cpu", "-time", pause)
	if got.status != exitOK || got.stderr != "" {
		t.Fatalf("status %d, stderr %q", got.status, got.stderr)
	}
	for line := range strings.Lines(got.stdout) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	want := []string{`kernels (avx512|avx2|generic)`, `1 thread +[\d.]+`, `memory copy, read and written +[\d.]+ GB/s`}
	for _, k := range bench.Kernels() {
		if k.FLOPs > 0 {
			want = append(want, regexp.QuoteMeta(k.Name)+`.*`+k.Pass+` +[\d.]+ +\d+%\*?`)
		}
	}
	for _, name := range recipe.NamesForDataSets() {
		want = append(want, name+` +[\d.,]+ +\d+%[* ] +\d+.*  [\d.]+ epochs? of (mnist|cifar10): [\d.]+ (s|min|h)`)
	}
	for _, pattern := range want {
		if !regexp.MustCompile(`(?m)^` + pattern + `$`).MatchString(got.stdout) {
			t.Errorf("no line matches %s in\n%s", pattern, got.stdout)
		}
	}
}

// benchJSON runs trainer bench and returns its objects by their event.
func benchJSON(t *testing.T, args ...string) map[string][]map[string]any {
	t.Helper()
	got := trainer(t, append([]string{"bench", "-json", "-device", "cpu", "-time", pause}, args...)...)
	if got.status != exitOK || got.stderr != "" {
		t.Fatalf("status %d, stderr %q", got.status, got.stderr)
	}
	events := map[string][]map[string]any{}
	for line := range strings.Lines(got.stdout) {
		var object map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		event, _ := object["event"].(string)
		events[event] = append(events[event], object)
	}
	return events
}

func TestBenchJSONAddsUp(t *testing.T) {
	events := benchJSON(t, "-threads", "2")
	if len(events) != 5 || len(events["machine"]) != 1 || len(events["peak"]) != 2 || len(events["copy"]) != 1 ||
		len(events["kernel"]) != len(bench.Kernels())-1 || len(events["recipe"]) != len(recipe.NamesForDataSets()) {
		t.Fatalf("events %v", events)
	}
	if m := events["machine"][0]; m["threads"] != 2.0 || m["go"] != runtime.Version() || m["cpu"] == "" {
		t.Errorf("machine %v", m)
	}
	peak := events["peak"][1]["gflops"].(float64)
	for i, p := range events["peak"] {
		if p["threads"] != float64(i+1) || !(p["gflops"].(float64) > 0) {
			t.Errorf("peak %v", p)
		}
	}
	if c := events["copy"][0]; !(c["bytes_per_second"].(float64) > 0) {
		t.Errorf("copy %v", c)
	}
	for _, m := range append(events["kernel"], events["recipe"]...) {
		if gflops := m["gflops"].(float64); !(gflops > 0) || !near(m["percent_of_peak"].(float64), 100*gflops/peak) {
			t.Errorf("peak %v, %v", peak, m)
		}
	}
	for i, name := range recipe.NamesForDataSets() {
		checkRecipeEvent(t, name, events["recipe"][i])
	}
}

// checkRecipeEvent holds what is said of a recipe against the recipe.
func checkRecipeEvent(t *testing.T, name string, m map[string]any) {
	t.Helper()
	r, err := recipe.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	if m["name"] != name || m["data"] != r.Data[0] || m["epochs"] != r.Epochs || m["recipe_batch"] != float64(r.Batch) {
		t.Errorf("%s: %v", name, m)
	}
	if batch := m["batch"].(float64); batch < 1 || batch > float64(r.Batch) {
		t.Errorf("%s: batch %v, the recipe's is %d", name, batch, r.Batch)
	}
	images := map[string]float64{"mnist": 60_000, "cifar10": 50_000}[r.Data[0]]
	if r.LastBatch == train.DropLastBatch {
		images = math.Floor(images/float64(r.Batch)) * float64(r.Batch)
	}
	if !near(m["train_seconds"].(float64)*m["images_per_second"].(float64), r.Epochs*images) {
		t.Errorf("%s: want the time of %v epochs of %v images, got %v", name, r.Epochs, images, m)
	}
}

// near reports whether two numbers are the same but for rounding.
func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*math.Abs(b) }

func TestBenchOfOneRecipe(t *testing.T) {
	workplace(t)
	write(t, "sized.toml", "image-size = 8\n"+small)
	for name, images := range map[string]any{"mnist-basic": 60_000.0, "sized.toml": nil} {
		events := benchJSON(t, "-recipe", name, "-threads", "1")
		if len(events) != 3 || len(events["machine"]) != 1 || len(events["peak"]) != 1 || len(events["recipe"]) != 1 {
			t.Fatalf("%s: events %v", name, events)
		}
		if m := events["recipe"][0]; m["train_images"] != images || (m["train_seconds"] == nil) != (images == nil) {
			t.Errorf("%s: %v", name, m)
		}
	}
}

// A longer measurement has room for a larger batch, up to the recipe's.
func TestBenchHalvesTheBatch(t *testing.T) {
	dev, err := (&program{Config: config(), getenv: func(string) string { return "" }}).openHost(1)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	r, err := recipe.Load("mnist-basic")
	if err != nil {
		t.Fatal(err)
	}
	// 2*26*26*8*9 + 2*13*13*8*10 operations an image forward, three times as many a step.
	const step = 3 * (97344 + 27040)
	for _, tt := range []struct {
		peak float64
		want int
	}{
		{129 * step, 64},
		{127 * step, 32},
		{33 * step, 16},
		{1, 1},
	} {
		speed, err := bench.MeasureSteps(t.Context(), dev, r, r.ImageShape(), 1000*tt.peak, time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		if speed.Batch != tt.want {
			t.Errorf("peak of %v a millisecond: batch %d, want %d", tt.peak, speed.Batch, tt.want)
		}
		if !near(speed.FLOPs, speed.ImagesPerSecond*step) {
			t.Errorf("%v FLOP/s at %v images/s", speed.FLOPs, speed.ImagesPerSecond)
		}
	}
}

func TestBenchBadInput(t *testing.T) {
	workplace(t)
	tests := []struct {
		args []string
		want string // in stderr
	}{
		{[]string{"-recipe", "minst"}, `unknown recipe "minst", did you mean mnist?`},
		{[]string{"-recipe", ""}, "want a name or a file"},
		{[]string{"-recipe", "small.toml"}, "recipe small doesn't set the size of its images"},
		{[]string{"-device", "gpu"}, `-device: unknown device "gpu", did you mean cpu? (valid: auto, cuda, cpu)`},
		{[]string{"-device", "cpu", "-precision", "fp16"}, "-precision fp16: device cpu computes in fp32 only; use -device cuda"},
		{[]string{"-precision", "fp8"}, "want auto, fp32, tf32, fp16 or bf16"},
		{[]string{"-device", "cpu:1"}, "-device cpu:1: want auto, cuda, cuda:N or cpu"},
		{[]string{"-time", "0s"}, "want a duration above 0, such as 1s or 500ms"},
		{[]string{"-time", "soon"}, "want a duration above 0, such as 1s or 500ms"},
		{[]string{"-threads", "0"}, "want a whole number from 1"},
		{[]string{"-thread", "1"}, "unknown flag -thread, did you mean -threads?"},
		{[]string{"mnist"}, `unexpected argument "mnist"`},
	}
	for _, tt := range tests {
		got := trainer(t, append([]string{"bench"}, tt.args...)...)
		if got.status != exitUsage || got.stdout != "" {
			t.Errorf("%v: status %d, stdout %q", tt.args, got.status, got.stdout)
		}
		if !strings.HasPrefix(got.stderr, "trainer: ") || !strings.Contains(got.stderr, tt.want) || strings.Count(got.stderr, "\n") != 1 {
			t.Errorf("%v: stderr %q, want in it %q", tt.args, got.stderr, tt.want)
		}
	}
}

func TestBenchStopsBetweenMeasurements(t *testing.T) {
	for _, last := range []string{"1 thread", "matrix product", "images/s"} {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		stdout := &stopAfter{text: last, cancel: cancel}
		var stderr bytes.Buffer
		p := &program{Config: config(), stdout: stdout, stderr: &stderr, getenv: func(string) string { return "" }, now: time.Now}
		status := run(ctx, p, []string{"bench", "-device", "cpu", "-time", pause, "-threads", "2"})
		if status != exitInterrupted || stderr.String() != "trainer: interrupted\n" {
			t.Errorf("status %d, stderr %q", status, stderr.String())
		}
		lines := strings.Split(strings.TrimSpace(stdout.seen.String()), "\n")
		if final := lines[len(lines)-1]; !strings.Contains(final, last) {
			t.Errorf("went on after %q to %q", last, final)
		}
	}
}

func TestBenchHelpNamesEveryField(t *testing.T) {
	got := trainer(t, "bench", "-h")
	if got.status != exitOK || got.stderr != "" {
		t.Fatalf("status %d, stderr %q", got.status, got.stderr)
	}
	for _, line := range []any{machineLine{}, peakLine{}, kernelLine{}, copyLine{}, recipeLine{}, gpuLine{}, gpuKernelLine{}, gpuRecipeLine{}} {
		for _, field := range reflect.VisibleFields(reflect.TypeOf(line)) {
			if field.Anonymous {
				continue // its fields are visible
			}
			key, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if key == "" || !regexp.MustCompile(`\b`+key+`\b`).MatchString(got.stdout) {
				t.Errorf("the help says nothing of %s of %T", key, line)
			}
		}
	}
}

func TestBenchMarksWhatIsAboveThePeak(t *testing.T) {
	var stdout bytes.Buffer
	b := &benchmark{program: &program{Config: config(), stdout: &stdout}, benchOptions: &benchOptions{}, peak: 100e9}
	for flops, want := range map[float64]string{84e9: "84% ", 100e9: "100% "} {
		if got := percentText(b.percent(flops)); got != want {
			t.Errorf("%v of the peak: %q, want %q", flops/b.peak, got, want)
		}
	}
	if b.printNotes(); strings.Contains(stdout.String(), "*") {
		t.Errorf("a note without its mark: %s", stdout.String())
	}
	if got := percentText(b.percent(125e9)); got != "125%*" {
		t.Errorf("1.25 of the peak: %q, want 125%%*", got)
	}
	if b.printNotes(); !strings.Contains(stdout.String(), "* Counting the direct method's operations") {
		t.Errorf("no note: %s", stdout.String())
	}
}

func TestHumanDuration(t *testing.T) {
	for seconds, want := range map[float64]string{3.64: "3.6 s", 36: "36 s", 89: "89 s", 90: "2 min", 60 * 89: "89 min", 60 * 90: "1.5 h", 71280: "19.8 h"} {
		if got := humanDuration(seconds); got != want {
			t.Errorf("%v seconds: %q, want %q", seconds, got, want)
		}
	}
}
