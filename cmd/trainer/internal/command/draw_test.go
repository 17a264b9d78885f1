package command

import (
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// picturesOf lists the pictures of a run.
var picturesOf = []string{"network", "curves", "confusion", "filters", "predictions", "features"}

func TestDrawNetwork(t *testing.T) {
	workplace(t)
	for _, args := range [][]string{
		{"-recipe", "mnist-basic", "-o", "mnist.svg"},
		{"-recipe", "airbench96", "-o", "airbench.svg"},
		{"-recipe", "small.toml", "-input", "8x8x1", "-classes", "2", "-o", "small.svg"},
	} {
		got := trainer(t, append([]string{"draw", "network"}, args...)...)
		out := args[len(args)-1]
		if got.status != exitOK || got.stdout != out+"\n" || got.stderr != "" {
			t.Errorf("%v: status %d, stdout %q, stderr %q", args, got.status, got.stdout, got.stderr)
			continue
		}
		if svg := read(t, out); !strings.Contains(svg, ">conv1</text>") && !strings.Contains(svg, ">whiten</text>") {
			t.Errorf("%v: no first layer in %s", args, out)
		}
	}
	if small := read(t, "small.svg"); !strings.Contains(small, ">6×6×4</text>") {
		t.Error("small.svg does not show the output of conv1, 6×6×4")
	}
}

func TestDrawNetworkIsAPNGByDefault(t *testing.T) {
	t.Chdir(t.TempDir())
	if got := trainer(t, "draw", "network"); got.status != exitOK || got.stdout != "mnist.png\n" {
		t.Fatalf("status %d, stdout %q, stderr %q", got.status, got.stdout, got.stderr)
	}
	checkPNG(t, "mnist.png")
}

func TestDrawAugment(t *testing.T) {
	workplace(t)
	write(t, "mixed.toml", read(t, "small.toml")+"\n[[augment.transform]]\nkind = \"rotate\"\n[[augment.transform]]\nkind = \"mixup\"\nalpha = 1\n")
	for _, args := range [][]string{
		{"-recipe", "mixed.toml", "-data", "pictures", "-images", "3", "-epochs", "4", "-o", "mixed.png"},
		{"-recipe", "small.toml", "-data", "pictures", "-o", "small.png"},
	} {
		got := trainer(t, append([]string{"draw", "augment"}, args...)...)
		out := args[len(args)-1]
		if got.status != exitOK || got.stdout != out+"\n" || got.stderr != "" {
			t.Errorf("%v: status %d, stdout %q, stderr %q", args, got.status, got.stdout, got.stderr)
			continue
		}
		checkPNG(t, out)
	}
}

func checkPNG(t *testing.T, path string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := png.Decode(f); err != nil {
		t.Errorf("%s: %v", path, err)
	}
}

func TestDrawRun(t *testing.T) {
	workplace(t)
	if got := trainer(t, "-data", "pictures", "-recipe", "small.toml", "-out", "run", "-quiet"); got.status != exitOK {
		t.Fatalf("training: status %d, stderr %q", got.status, got.stderr)
	}
	if got := trainer(t, "draw", "run", "run"); got.status != exitOK || got.stderr != "" {
		t.Fatalf("status %d, stderr %q", got.status, got.stderr)
	}
	if got := trainer(t, "draw", "run", "-format", "svg", "-o", "elsewhere", "-device", "cpu", "run"); got.status != exitOK {
		t.Fatalf("status %d, stderr %q", got.status, got.stderr)
	}
	for _, name := range picturesOf {
		checkPNG(t, filepath.Join("run", "figures", name+".png"))
		if _, err := os.Stat(filepath.Join("elsewhere", name+".svg")); err != nil {
			t.Error(err)
		}
	}
	summary := readJSON(t, "run/summary.json")
	want := fmt.Sprintf(">%v of %v correct", summary["test_correct"], summary["test_count"])
	if svg := read(t, "elsewhere/confusion.svg"); !strings.Contains(svg, want) {
		t.Errorf("the confusion matrix does not say %q as the run's summary", want)
	}
}

func TestDrawRefuses(t *testing.T) {
	workplace(t)
	if got := trainer(t, "-data", "pictures", "-recipe", "small.toml", "-out", "run", "-quiet"); got.status != exitOK {
		t.Fatalf("training: status %d, stderr %q", got.status, got.stderr)
	}
	for name, change := range map[string]func(folder string){
		"no-weights":      func(f string) { os.Remove(filepath.Join(f, "model.safetensors")) },
		"damaged-weights": func(f string) { write(t, filepath.Join(f, "model.safetensors"), "short") },
		"no-metrics":      func(f string) { os.Remove(filepath.Join(f, "metrics.jsonl")) },
		"no-epochs":       func(f string) { write(t, filepath.Join(f, "metrics.jsonl"), "") },
		"damaged-metrics": func(f string) { write(t, filepath.Join(f, "metrics.jsonl"), "{\n") },
		"no-run":          func(f string) { write(t, filepath.Join(f, "config.toml"), small) },
	} {
		if err := os.CopyFS(name, os.DirFS("run")); err != nil {
			t.Fatal(err)
		}
		change(name)
	}
	write(t, "file", "")
	for _, tt := range []struct{ args, want string }{
		{"", "missing kind of picture: trainer draw network or trainer draw run RUNDIR"},
		{"netwrok", `unknown picture "netwrok", did you mean network?`},
		{"network -recipe minst", `unknown recipe "minst", did you mean mnist?`},
		{"network -recpie mnist", "unknown flag -recpie, did you mean -recipe?"},
		{"network -recipe small.toml", "recipe small doesn't set the size of its images: pass -input"},
		{"network -input 28x28", "want rows, columns and channels, as in 28x28x1"},
		{"network -input 28x0x1", "want rows, columns and channels, as in 28x28x1"},
		{"network -input 4x4x1", "layer conv1: got an image of 4x4"},
		{"network -classes 0", "-classes: want a number from 1, got 0"},
		{"network -o picture.gif", "-o picture.gif: want a name that ends in .png or .svg"},
		{"network -o nowhere/x.png", "writing a picture: "},
		{"network mnist", `unexpected argument "mnist"`},
		{"augment -recipe small.toml", "recipe small names no data set: pass -data"},
		{"augment -images 0", "-images and -epochs: want 1 to 32, got 0 and 8"},
		{"augment -o picture.gif", "-o picture.gif: want a name that ends in .png or .svg"},
		{"augment mnist", `draw augment: unexpected argument "mnist"`},
		{"run", "draw run takes one folder of a run"},
		{"run nowhere", "open nowhere: "},
		{"run -format gif run", `-format: unknown format "gif"`},
		{"run -o file run", "making the folder for pictures: "},
		{"run no-run", "has no table [run]: it is not the configuration of a run"},
		{"run no-weights", "model.safetensors"},
		{"run damaged-weights", "the file is damaged"},
		{"run no-metrics", "reading the metrics: "},
		{"run no-epochs", "the run has not finished an epoch"},
		{"run damaged-metrics", "metrics, line 1: "},
	} {
		t.Run(tt.args, func(t *testing.T) {
			got := trainer(t, append([]string{"draw"}, strings.Fields(tt.args)...)...)
			if got.status != exitUsage {
				t.Errorf("status %d, want %d", got.status, exitUsage)
			}
			if !strings.HasPrefix(got.stderr, "trainer: ") || !strings.Contains(got.stderr, tt.want) {
				t.Errorf("stderr %q\nwant in it %q", got.stderr, tt.want)
			}
			if strings.Count(got.stderr, "\n") > maxErrorLines {
				t.Errorf("more than %d lines: %s", maxErrorLines, got.stderr)
			}
		})
	}
}

func TestDrawHelp(t *testing.T) {
	for args, want := range map[string]string{
		"draw -h": "trainer draw run [flags] RUNDIR", "draw network -h": "-classes", "draw augment -h": "-epochs", "draw run -h": "-format", "draw run x -h": "-format",
	} {
		got := trainer(t, strings.Fields(args)...)
		if got.status != exitOK || !strings.Contains(got.stdout, want) {
			t.Errorf("%v: status %d, stdout %q, stderr %q", args, got.status, got.stdout, got.stderr)
		}
	}
}

// A default name never replaces a file, a name that was given does, and neither follows a link.
func TestDrawReplacesWhatWasNamedOnly(t *testing.T) {
	workplace(t)
	draw := []string{"draw", "network", "-recipe", "small.toml", "-input", "8x8x1"}
	write(t, "small.png", "mine")
	if got := trainer(t, draw...); got.status != exitUsage || got.stderr != "trainer: small.png exists already: to replace it, pass -o small.png\n" {
		t.Errorf("status %d, stderr %q", got.status, got.stderr)
	}
	write(t, "victim", "precious")
	if err := os.Symlink("victim", "link.png"); err != nil {
		t.Skip(err)
	}
	for _, name := range []string{"small.png", "link.png"} {
		if got := trainer(t, append(draw, "-o", name)...); got.status != exitOK {
			t.Errorf("%s: status %d, stderr %q", name, got.status, got.stderr)
		}
		checkPNG(t, name)
	}
	if got := read(t, "victim"); got != "precious" {
		t.Errorf("a link was followed: %.20q", got)
	}
	left, err := filepath.Glob(".*")
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestRecipesThatNamePaths(t *testing.T) {
	workplace(t)
	write(t, "evil.toml", strings.Replace(small, `"small"`, `"../PWNED"`, 1))
	if got := trainer(t, "draw", "network", "-recipe", "evil.toml", "-input", "8x8x1"); got.status != exitUsage || !strings.Contains(got.stderr, "evil.toml:1: name: want") {
		t.Errorf("status %d, stderr %q", got.status, got.stderr)
	}
	if _, err := os.Stat("../PWNED.png"); err == nil {
		t.Error("a picture was written outside")
	}
}

// The pictures of a run stay in its folder, even if a stranger made figures a link.
func TestDrawRunStaysInTheRun(t *testing.T) {
	workplace(t)
	if got := trainer(t, "-data", "pictures", "-recipe", "small.toml", "-out", "run", "-quiet"); got.status != exitOK {
		t.Fatalf("training: status %d, stderr %q", got.status, got.stderr)
	}
	if err := os.Mkdir("outside", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../outside", filepath.Join("run", "figures")); err != nil {
		t.Skip(err)
	}
	got := trainer(t, "draw", "run", "run")
	if got.status == exitOK || !strings.Contains(got.stderr, "figures") {
		t.Errorf("status %d, stderr %q", got.status, got.stderr)
	}
	if left, _ := os.ReadDir("outside"); len(left) > 0 {
		t.Errorf("%d files outside", len(left))
	}
}
