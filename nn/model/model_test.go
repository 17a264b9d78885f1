package model_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"trainer/cpu"
	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/export"
	"trainer/nn/model"
	"trainer/nn/recipe"
	"trainer/nn/train"
)

// classes are names that a file must keep: with a comma, a quotation mark, a line break and another script.
var classes = []string{"cat, black", `"dog"`, "two\nlines", "αβ", ""}

const network = `name = "tiny"
epochs = 1
batch = 4

[optimizer]
kind = "sgd"
lr = 0.1

[loss]
kind = "cross-entropy"

[evaluate]
views = [{}, {mirror = true}]

[[network]]
layer = "conv2d"
out = 4
kernel = 3

[[network]]
layer = "relu"

[[network]]
layer = "flatten"

[[network]]
layer = "dense"
out = "classes"
`

func newDevice(t testing.TB) device.Device {
	t.Helper()
	dev, err := cpu.New(cpu.WithThreads(2))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	return dev
}

func tinyInfo() model.Info {
	return model.Info{
		Recipe: network, Classes: classes,
		Images: model.ImagesOf(data.Preparation{H: 6, W: 8, C: 3, Resize: data.ResizePad, Background: color.NRGBA{R: 255, A: 255}},
			[]float32{.5, .4, .3}, []float32{.2, .25, .3}),
		Run: model.Run{ID: "r1", Data: "pets", Recipe: "tiny", TestCorrect: 3, TestCount: 4},
	}
}

// tiny returns a network with random weights.
func tiny(t testing.TB, dev device.Device) *nn.Network {
	t.Helper()
	r, err := recipe.Parse("tiny.toml", []byte(network))
	if err != nil {
		t.Fatal(err)
	}
	net, err := nn.Compile(dev, r.Model(len(classes)), nn.Options{Input: nn.Shape{6, 8, 3}, Batch: 3, Seed: 7})
	if err != nil {
		t.Fatal(err)
	}
	return net
}

// saved writes a model and returns its path.
func saved(t testing.TB, dev device.Device, info model.Info) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), model.FileName)
	if err := model.Save(path, tiny(t, dev), info); err != nil {
		t.Fatal(err)
	}
	return path
}

// picture returns a picture with a pattern that depends on n.
func picture(w, h, n int) image.Image {
	im := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			im.SetNRGBA(x, y, color.NRGBA{R: byte(40*x + n), G: byte(30 * y), B: byte(20*x*y + 7*n), A: 255})
		}
	}
	return im
}

func TestAnOpenedModelAnswersAsTheNetworkDoes(t *testing.T) {
	dev := newDevice(t)
	net := tiny(t, dev)
	path := filepath.Join(t.TempDir(), model.FileName)
	if err := model.Save(path, net, tinyInfo()); err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{path, filepath.Dir(path)} {
		m, err := model.Open(from, dev)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Info(); !slices.Equal(got.Classes, classes) || got.Run != tinyInfo().Run || got.Recipe != network {
			t.Fatalf("read %+v", got)
		}
		for n := range 4 {
			im := picture(8, 6, n)
			got, err := m.Predict(im)
			if err != nil {
				t.Fatal(err)
			}
			want := expected(t, net, im, 1)
			sum := 0.0
			for i, p := range got {
				if p.Name != classes[p.Class] || math.Abs(p.Probability-want[p.Class]) > 1e-6 || i > 0 && p.Probability > got[i-1].Probability {
					t.Errorf("picture %d: prediction %d is %+v, want probability %v", n, i, p, want[p.Class])
				}
				sum += p.Probability
			}
			if len(got) != len(classes) || math.Abs(sum-1) > 1e-12 {
				t.Errorf("%d probabilities with the sum %v", len(got), sum)
			}
		}
	}
}

// expected returns the probabilities that the network itself gives for a picture of the right size, at a temperature.
func expected(t *testing.T, net *nn.Network, im image.Image, temperature float64) []float64 {
	t.Helper()
	info := tinyInfo().Images
	var x []float32
	for y := range 6 {
		for col := range 8 {
			c := im.At(col, y).(color.NRGBA)
			for k, v := range []byte{c.R, c.G, c.B} {
				x = append(x, (float32(v)/255-info.Mean[k])/info.Std[k])
			}
		}
	}
	in, err := net.Device().NewTensor(device.Float32, 1, 6, 8, 3)
	if err != nil {
		t.Fatal(err)
	}
	if err := net.Device().Upload(in, device.Bytes(x)); err != nil {
		t.Fatal(err)
	}
	z := make([]float32, len(classes))
	if err := net.Device().Download(device.Bytes(z), net.Forward(in, nn.Inference)); err != nil {
		t.Fatal(err)
	}
	var p []float64
	sum := 0.0
	for _, v := range z {
		p = append(p, math.Exp(float64(v)/temperature))
		sum += p[len(p)-1]
	}
	for k := range p {
		p[k] /= sum
	}
	return p
}

func TestTemperatureAndViewsChangeTheProbabilities(t *testing.T) {
	dev := newDevice(t)
	info := tinyInfo()
	info.Temperature = 2.5
	path := saved(t, dev, info)
	m, err := model.Open(path, dev)
	if err != nil {
		t.Fatal(err)
	}
	im := picture(8, 6, 3)
	got, err := m.Predict(im)
	if err != nil {
		t.Fatal(err)
	}
	want := expected(t, tiny(t, dev), im, 2.5)
	for _, p := range got {
		if math.Abs(p.Probability-want[p.Class]) > 1e-6 {
			t.Errorf("with a temperature of 2.5 the probability of class %d is %v, want %v", p.Class, p.Probability, want[p.Class])
		}
	}
	viewed, err := model.Open(path, dev, model.WithViews())
	if err != nil {
		t.Fatal(err)
	}
	mirrored := image.NewNRGBA(im.Bounds())
	for y := range 6 {
		for x := range 8 {
			mirrored.Set(x, y, im.At(7-x, y))
		}
	}
	a, err := viewed.Predict(im)
	if err != nil {
		t.Fatal(err)
	}
	b, err := viewed.Predict(mirrored)
	if err != nil {
		t.Fatal(err)
	}
	for i := range a {
		if a[i].Class != b[i].Class || math.Abs(a[i].Probability-b[i].Probability) > 1e-6 {
			t.Errorf("averaged over both views a picture and its mirror image give %v and %v", a[i], b[i])
		}
	}
}

func TestPicturesOfAnySizeAndGoroutine(t *testing.T) {
	dev := newDevice(t)
	m, err := model.Open(saved(t, dev, tinyInfo()), dev, model.WithBatch(2))
	if err != nil {
		t.Fatal(err)
	}
	var ims []image.Image
	for n := range 7 {
		ims = append(ims, picture(5+3*n, 20-2*n, n))
	}
	want, err := m.PredictBatch(ims)
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for n, im := range ims {
		group.Go(func() {
			got, err := m.Predict(im)
			if err != nil || !slices.Equal(got, want[n]) {
				t.Errorf("picture %d on its own: %v, %v; in a batch %v", n, got, err, want[n])
			}
		})
	}
	group.Wait()
	if _, err := m.Predict(image.NewGray(image.Rectangle{})); err == nil {
		t.Error("an empty picture has no error")
	}
}

func TestFilesAreAnsweredInOrder(t *testing.T) {
	dev := newDevice(t)
	m, err := model.Open(saved(t, dev, tinyInfo()), dev, model.WithBatch(3))
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	var paths []string
	for n := range 11 {
		path := filepath.Join(folder, fmt.Sprintf("%d.png", n))
		paths = append(paths, path)
		if n == 4 {
			if err := os.WriteFile(path, []byte("no picture"), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := png.Encode(f, picture(9, 9, n)); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	queue := make(chan string, len(paths))
	for _, p := range paths {
		queue <- p
	}
	close(queue)
	n := 0
	err = m.PredictFiles(context.Background(), queue, eachAnswer(func(a model.FileAnswer) {
		if a.Path != paths[n] || (a.Err != nil) != (n == 4) {
			t.Errorf("answer %d is for %s with error %v", n, a.Path, a.Err)
		}
		if n != 4 {
			want, err := m.Predict(picture(9, 9, n))
			if err != nil || !slices.Equal(m.Ranked(a.Probabilities), want) {
				t.Errorf("%s: %v, want %v (%v)", a.Path, a.Probabilities, want, err)
			}
		}
		n++
	}))
	if err != nil || n != len(paths) {
		t.Errorf("%d answers, %v", n, err)
	}

	stop := errors.New("stop")
	queue = make(chan string, 1)
	queue <- paths[0]
	if err := m.PredictFiles(context.Background(), queue, func([]model.FileAnswer) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("a path that arrives alone: %v, want the error of answer", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := m.PredictFiles(ctx, make(chan string), func([]model.FileAnswer) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// eachAnswer returns a function for PredictFiles that calls do for each answer.
func eachAnswer(do func(model.FileAnswer)) func([]model.FileAnswer) error {
	return func(answers []model.FileAnswer) error {
		for _, a := range answers {
			do(a)
		}
		return nil
	}
}

func TestOtherFilesAreRefused(t *testing.T) {
	dev := newDevice(t)
	net := tiny(t, dev)
	folder := t.TempDir()
	good := saved(t, dev, tinyInfo())
	whole, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	with := func(name string, meta map[string]string) string {
		path := filepath.Join(folder, name)
		if err := train.SaveWeights(path, net, meta); err != nil {
			t.Fatal(err)
		}
		return path
	}
	meta, err := train.WeightsMetadata(good)
	if err != nil {
		t.Fatal(err)
	}
	changed := func(name, key, value string) string {
		m := map[string]string{}
		for k, v := range meta {
			if k != "precision" {
				m[k] = v
			}
		}
		m[key] = value
		return with(name, m)
	}
	bytes := func(name string, content []byte) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	empty := filepath.Join(folder, "empty")
	if err := os.Mkdir(empty, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ path, want string }{
		{filepath.Join(folder, "missing"), "no such file"},
		{empty, "no model"},
		{with("foreign", nil), "not a model of this program"},
		{bytes("short", whole[:len(whole)-9]), "damaged"},
		{bytes("flipped", append(slices.Clone(whole[:len(whole)-1]), whole[len(whole)-1]^1)), "damaged"},
		{changed("newer", "trainer.model", "2"), "newer version"},
		{changed("odd", "trainer.model", "x"), "version"},
		{changed("one-class", "classes", `["a"]`), "does not match"},
		{changed("no-classes", "classes", `[]`), "classes"},
		{changed("bad-json", "images", `{`), "images"},
		{changed("unknown", "run", `{"colour": 1}`), "colour"},
		{changed("huge", "images", `{"height":100000,"width":8,"channels":3,"resize":"pad","background":"#000000","orientation":"exif","mean":[0,0,0],"std":[1,1,1]}`), "100000"},
		{changed("bad-std", "images", `{"height":6,"width":8,"channels":3,"resize":"pad","background":"#000000","orientation":"exif","mean":[0,0,0],"std":[1,0,1]}`), "standard deviation"},
		{changed("cold", "temperature", "-1"), "temperature"},
		{changed("recipe", "recipe", "name = 3"), "name"},
		{changed("written-in-go", "recipe", ""), "WithNetwork"},
	} {
		_, err := model.Open(c.path, dev)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", filepath.Base(c.path), err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: the error has several lines: %v", filepath.Base(c.path), err)
		}
	}
}

func TestSaveRefusesOtherClasses(t *testing.T) {
	dev := newDevice(t)
	info := tinyInfo()
	info.Classes = info.Classes[1:]
	path := filepath.Join(t.TempDir(), "m")
	if err := model.Save(path, tiny(t, dev), info); err == nil {
		t.Error("four names for five outputs were accepted")
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a file was written")
	}
}

// A model whose network was written in Go, asked right after it was made, and after it was opened again.
func TestNetworkWrittenInGo(t *testing.T) {
	dev := newDevice(t)
	net := tiny(t, dev)
	info := tinyInfo()
	info.Recipe = ""
	live, err := model.New(net, info)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "go.safetensors")
	if err := model.Save(path, net, info); err != nil {
		t.Fatal(err)
	}
	again, err := model.Open(path, dev, model.WithNetwork(nn.NewSequential(
		nn.Conv2D{OutC: 4, Kernel: nn.Square(3)}, nn.ReLU{}, nn.Flatten{}, nn.Dense{Out: len(classes)})))
	if err != nil {
		t.Fatal(err)
	}
	a, errA := live.Predict(picture(30, 20, 1))
	b, errB := again.Predict(picture(30, 20, 1))
	if errA != nil || errB != nil || !slices.Equal(a, b) {
		t.Errorf("%v, %v; after opening %v, %v", a, errA, b, errB)
	}
}

// The run of an older version, which has weights and a configuration.
func TestOlderRunsAreRead(t *testing.T) {
	dev := newDevice(t)
	folder := t.TempDir()
	config := strings.Replace(network, "batch = 4", "batch = 4\n\n[data]\nsize = [6, 8]", 1) +
		"\n[augment]\nmean = [0.5, 0.4, 0.3]\nstd = [0.2, 0.25, 0.3]\n\n[run]\ndata = \"pets\"\nseed = 0\n"
	if err := os.WriteFile(filepath.Join(folder, "config.toml"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	err := train.SaveWeights(filepath.Join(folder, "weights.safetensors"), tiny(t, dev), map[string]string{"classes": "a, b, c, d, e", "data": "pets"})
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.Open(folder, dev)
	if err != nil {
		t.Fatal(err)
	}
	got, err := m.Predict(picture(8, 6, 2))
	if err != nil {
		t.Fatal(err)
	}
	want := expected(t, tiny(t, dev), picture(8, 6, 2), 1)
	for _, p := range got {
		if math.Abs(p.Probability-want[p.Class]) > 1e-6 {
			t.Errorf("class %s: %v, want %v", p.Name, p.Probability, want[p.Class])
		}
	}
}

// An exported file is a model too: it answers as the model that was exported.
func TestExportedFilesAreModels(t *testing.T) {
	dev := newDevice(t)
	m, err := model.Open(saved(t, dev, tinyInfo()), dev)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "tiny.onnx")
	if err := export.ONNX(path, m, export.ONNXOptions{}); err != nil {
		t.Fatal(err)
	}
	if raw, err := os.ReadFile(path); err != nil || !bytes.Contains(raw, []byte("the recipe's test averages its outputs over 2 views")) {
		t.Errorf("the file doesn't say that it has one view (%v)", err)
	}
	again, err := model.Open(path, dev)
	if err != nil {
		t.Fatal(err)
	}
	a, errA := m.Predict(picture(9, 7, 5))
	b, errB := again.Predict(picture(9, 7, 5))
	if errA != nil || errB != nil || !slices.Equal(a, b) {
		t.Errorf("%v, %v; exported %v, %v", a, errA, b, errB)
	}
	if err := model.SetTemperature(path, 2); err == nil || !strings.Contains(err.Error(), "export it again") {
		t.Errorf("changing it: %v", err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := 0; cut < len(whole); cut += 101 {
		if err := os.WriteFile(path, whole[:cut], 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := model.ReadInfo(path, recipe.BuiltIn()); err == nil {
			if _, err := model.Open(path, dev); err == nil {
				t.Fatalf("the first %d of %d bytes are a model", cut, len(whole))
			}
		}
	}
}

// Exports of lower precision are refused with the reason, by whatever reads them.
func TestRoundedExportsAreNoModels(t *testing.T) {
	dev := newDevice(t)
	m, err := model.Open(saved(t, dev, tinyInfo()), dev)
	if err != nil {
		t.Fatal(err)
	}
	for _, precision := range []export.Precision{export.Float16, export.Int8} {
		path := filepath.Join(t.TempDir(), "tiny.onnx")
		if err := export.ONNX(path, m, export.ONNXOptions{Precision: precision, Calibration: make([]byte, 6*8*3)}); err != nil {
			t.Fatal(err)
		}
		_, openErr := model.Open(path, dev)
		_, infoErr := model.ReadInfo(path, recipe.BuiltIn())
		_, weightsErr := model.OpenWeights(path)
		want := fmt.Sprintf("it is an export in %q for other programs", precision)
		for _, err := range []error{openErr, infoErr, weightsErr} {
			if e, ok := errors.AsType[*model.Error](err); !ok || !strings.Contains(e.Error(), want) || !strings.Contains(e.Error(), "use the model that it was exported from") {
				t.Errorf("%s: %v, want %q", precision, err, want)
			}
		}
	}
}

// FuzzONNX reads files that may be anything.
func FuzzONNX(f *testing.F) {
	dev := newDevice(f)
	m, err := model.Open(saved(f, dev, tinyInfo()), dev)
	if err != nil {
		f.Fatal(err)
	}
	path := filepath.Join(f.TempDir(), "tiny.onnx")
	if err := export.ONNX(path, m, export.ONNXOptions{}); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Fuzz(func(t *testing.T, content []byte) {
		if meta, err := model.ParseONNX(content); err == nil {
			_, _ = model.ParseInfo(meta)
		}
	})
}

// FuzzInfo reads metadata that may be anything.
func FuzzInfo(f *testing.F) {
	dev := newDevice(f)
	meta, err := train.WeightsMetadata(saved(f, dev, tinyInfo()))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(meta["trainer.model"], meta["classes"], meta["images"], meta["run"], meta["layout"], "1.5")
	f.Fuzz(func(t *testing.T, version, classes, images, run, layout, temperature string) {
		info, err := model.ParseInfo(map[string]string{
			"trainer.model": version, "classes": classes, "images": images, "run": run, "layout": layout, "temperature": temperature,
		})
		if err == nil && (len(info.Classes) == 0 || info.Images.Preparation().Len() < 1 || info.Temperature < 0) {
			t.Errorf("accepted %+v", info)
		}
	})
}
