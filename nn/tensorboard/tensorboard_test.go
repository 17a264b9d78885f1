package tensorboard

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"trainer/cpu"
	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/optim"
	"trainer/nn/train"
)

// TestRecord compares with the bytes that every event file begins with, but for the time, which is 0 here.
func TestRecord(t *testing.T) {
	var version message
	version.double(1, 0)
	version.text(3, "brain.Event:2")
	const want = "1800000000000000" + "a37f4b22" + "090000000000000000" + "1a0d" + "627261696e2e4576656e743a32"
	got := hex.EncodeToString(appendRecord(nil, version))
	if !strings.HasPrefix(got, want) || len(got) != len(want)+8 {
		t.Errorf("got  %s\nwant %s and a checksum", got, want)
	}
	// RFC 3720, B.4: the CRC-32C of 32 zeros is 8a9136aa.
	crc := uint32(0x8a9136aa)
	if got, want := masked(make([]byte, 32)), (crc>>15|crc<<17)+0xa282ead8; got != want {
		t.Errorf("masked checksum %08x, want %08x", got, want)
	}
}

// events splits a file into records and checks their checksums.
func events(t *testing.T, path string) (list []map[protowire.Number][]any) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for len(b) > 0 {
		n := binary.LittleEndian.Uint64(b)
		event := b[12:][:n]
		if binary.LittleEndian.Uint32(b[8:]) != masked(b[:8]) || binary.LittleEndian.Uint32(b[12+n:]) != masked(event) {
			t.Fatalf("event %d: a checksum is wrong", len(list))
		}
		list = append(list, fields(t, event))
		b = b[16+n:]
	}
	return list
}

// fields decodes a message: numbers, and bytes for what may be a message itself.
func fields(t *testing.T, b []byte) map[protowire.Number][]any {
	t.Helper()
	all := map[protowire.Number][]any{}
	for len(b) > 0 {
		field, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		b = b[n:]
		var value any
		switch kind {
		case protowire.VarintType:
			var v uint64
			v, n = protowire.ConsumeVarint(b)
			value = int64(v)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(b)
			value = math.Float32frombits(v)
		case protowire.Fixed64Type:
			var v uint64
			v, n = protowire.ConsumeFixed64(b)
			value = math.Float64frombits(v)
		default:
			value, n = protowire.ConsumeBytes(b)
		}
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		all[field] = append(all[field], value)
		b = b[n:]
	}
	return all
}

func text(v any) string { return string(v.([]byte)) }

func picture(t *testing.T) []byte {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, 3, 2))
	img.Set(1, 1, color.RGBA{R: 255, A: 255})
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestEvents decodes what the writer wrote.
func TestEvents(t *testing.T) {
	w, err := Create(filepath.Join(t.TempDir(), "new"))
	if err != nil {
		t.Fatal(err)
	}
	w.now = func() time.Time { return time.Unix(1700000000, 5e8) }
	w.Begin(11)
	w.Scalar("loss", 12, 0.25)
	w.Histogram("weights", 13, []float32{-1, 0, 0, 2, float32(math.NaN())})
	w.Image("picture", 14, picture(t))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	list := events(t, w.Path())
	if len(list) != 5 || text(list[0][3][0]) != "brain.Event:2" || !strings.Contains(filepath.Base(w.Path()), "tfevents") {
		t.Fatalf("%d events in %s, the first %v", len(list), w.Path(), list[0])
	}
	for i, e := range list[1:] {
		if e[1][0] != 1700000000.5 || e[2][0] != int64(11+i) {
			t.Errorf("event %d: time %v, step %v", i, e[1], e[2])
		}
	}
	if got := fields(t, list[1][7][0].([]byte)); got[1][0] != int64(1) {
		t.Errorf("session %v", got)
	}
	value := func(i int) map[protowire.Number][]any {
		return fields(t, fields(t, list[i][5][0].([]byte))[1][0].([]byte))
	}
	if v := value(2); text(v[1][0]) != "loss" || v[2][0] != float32(0.25) {
		t.Errorf("scalar %v", v)
	}
	v := value(3)
	h := fields(t, v[5][0].([]byte))
	if text(v[1][0]) != "weights" || h[1][0] != -1.0 || h[2][0] != 2.0 || h[3][0] != 4.0 || h[4][0] != 1.0 || h[5][0] != 5.0 {
		t.Errorf("histogram %v", h)
	}
	v = value(4)
	img := fields(t, v[4][0].([]byte))
	if text(v[1][0]) != "picture" || img[1][0] != int64(2) || img[2][0] != int64(3) || !bytes.Equal(img[4][0].([]byte), picture(t)) {
		t.Errorf("picture %v", img)
	}
}

// TestHistogram: every value is in its bucket, and the empty ones are joined.
func TestHistogram(t *testing.T) {
	limits := []float64{-2, -1, 0, 1, 2, 3, 4, math.MaxFloat64}
	for _, c := range []struct {
		values         []float32
		limits, counts []float64
	}{
		{[]float32{0, 0.5, 3.5, 3, 1e30}, []float64{0, 1, 3, 4, math.MaxFloat64}, []float64{0, 2, 0, 2, 1}},
		{[]float32{-5, -2}, []float64{-2, -1}, []float64{1, 1}},
		{[]float32{1}, []float64{1, 2}, []float64{0, 1}},
		{nil, nil, nil},
	} {
		h := histogramOf(c.values, limits)
		if !reflect.DeepEqual(h.limits, c.limits) || !reflect.DeepEqual(h.counts, c.counts) {
			t.Errorf("%v: limits %v counts %v, want %v %v", c.values, h.limits, h.counts, c.limits, c.counts)
		}
	}
	all := bucketLimits()
	for i := range all[1:] {
		if !(all[i] < all[i+1]) {
			t.Fatalf("limits %v, %v", all[i], all[i+1])
		}
	}
}

func TestErrorsStay(t *testing.T) {
	w, err := Create(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w.Image("bad", 1, []byte("no picture"))
	w.Scalar("late", 2, 1)
	if err := w.Close(); err == nil || !strings.Contains(err.Error(), "picture bad") {
		t.Errorf("error %v", err)
	}
	if n := len(events(t, w.Path())); n != 1 {
		t.Errorf("%d events", n)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(file); err == nil {
		t.Error("a file as the folder")
	}
}

// trained writes the event files of a training that ended at step 18 and was resumed from step 15.
func trained(t *testing.T, dir string) {
	t.Helper()
	dev, err := cpu.New(cpu.WithThreads(1))
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	set := &data.InMemory{Name: "noise", H: 4, W: 4, C: 1, ClassNames: []string{"a", "b"}, Images: make([]byte, 40*16), Labels: make([]int32, 40)}
	for i := range set.Images {
		set.Images[i] = byte(i * 37)
		set.Labels[i/16] = int32(i / 16 % 2)
	}
	cfg := train.Config{
		Device: dev, Data: &data.Dataset{Name: "noise", Train: set, Test: set, Val: set}, Batch: 4, Epochs: 3, Seed: 1, LogEvery: 4,
		Model: nn.NewSequential(nn.Flatten{}, nn.Dense{Out: 2}), Loss: nn.CrossEntropy{}, Optimizer: optim.Config{Algorithm: "sgd", LR: 0.1},
		Checkpoint: train.Checkpoint{Dir: t.TempDir(), EverySteps: 15},
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	first := filepath.Join(t.TempDir(), "first.safetensors")
	killed := train.Hooks{
		Checkpoint: func(_ *train.Training, c train.CheckpointWritten) {
			if c.Step == 15 {
				copyFile(t, first, c.Path)
			}
		},
		Step: func(_ *train.Training, s *train.StepDone) {
			if s.Step == 18 {
				cancel()
			}
		},
	}
	for _, resume := range []string{"", first} {
		w, err := Create(dir)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Hooks, cfg.Resume = []train.Hooks{Hooks(w), killed}, resume
		if _, err := train.Run(ctx, cfg); err != nil {
			t.Fatal(err)
		}
		w.Image("picture", 30, picture(t))
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		ctx, killed = t.Context(), train.Hooks{}
	}
}

func copyFile(t *testing.T, to, from string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o600)
	}
	if err != nil {
		t.Error(err)
	}
}

// TestTensorBoardReads has TensorBoard itself read the files, if Python has it: see requirements.txt.
func TestTensorBoardReads(t *testing.T) {
	python := os.Getenv("TRAINER_TEST_PYTHON")
	if python == "" {
		python = "python3"
	}
	if exec.Command(python, "-c", "import tensorboard").Run() != nil {
		t.Skip("Python has no tensorboard: pip install -r nn/tensorboard/requirements.txt")
	}
	dir := t.TempDir()
	trained(t, dir)
	read := exec.Command(python, "testdata/read.py", dir)
	var stderr bytes.Buffer // also has a remark that later events of the first file are dropped
	read.Stderr = &stderr
	out, err := read.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.Bytes())
	}
	const want = `accuracy/steps 4 8 10 12 16 20 24 28 30
accuracy/test 30
accuracy/training 10 20 30
accuracy/validation 10 20 30
images per second 10 20 30
kept weights/test accuracy 30
learning rate 4 8 10 12 16 20 24 28 30
loss/steps 4 8 10 12 16 20 24 28 30
loss/test 30
loss/training 10 20 30
loss/validation 10 20 30
gradients/dense1.bias 10 20 30: 2 2 2
gradients/dense1.weight 10 20 30: 32 32 32
weights/dense1.bias 10 20 30: 2 2 2
weights/dense1.weight 10 20 30: 32 32 32
picture 30: 3x2
`
	if got := string(out); got != want {
		t.Errorf("TensorBoard reads\n%swant\n%s", got, want)
	}
}

// TestHooks looks at the events of the same training without TensorBoard.
func TestHooks(t *testing.T) {
	dir := t.TempDir()
	trained(t, dir)
	files, err := filepath.Glob(filepath.Join(dir, "events.out.tfevents.*"))
	if err != nil || len(files) != 2 {
		t.Fatalf("files %v, %v", files, err)
	}
	tags := map[string]int{}
	for n, file := range files {
		list := events(t, file)
		if n == 1 { // TensorBoard drops the first file's events from step 16 on
			if session := list[1]; session[2][0] != int64(16) || session[7] == nil {
				t.Errorf("the resumed training begins with %v", session)
			}
		}
		for _, e := range list {
			if e[5] != nil {
				tags[text(fields(t, fields(t, e[5][0].([]byte))[1][0].([]byte))[1][0])]++
			}
		}
	}
	for tag, want := range map[string]int{"loss/training": 3, "accuracy/validation": 3, "loss/test": 1, "weights/dense1.weight": 3, "gradients/dense1.bias": 3, "learning rate": 10, "picture": 2} {
		if tags[tag] != want {
			t.Errorf("%d events of %s, want %d in %v", tags[tag], tag, want, tags)
		}
	}
}

func ExampleWriter() {
	dir, err := os.MkdirTemp("", "tensorboard")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	w, err := Create(dir)
	if err != nil {
		panic(err)
	}
	for step := range 3 {
		w.Scalar("loss", step, 1/float64(step+1))
	}
	fmt.Println(w.Close())
	// Output: <nil>
}
