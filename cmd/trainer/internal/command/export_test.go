package command

import (
	"os"
	"strings"
	"testing"
)

// Whether other programs compute the same with the exported networks is checked by bench/export.
func TestExport(t *testing.T) {
	trainedRun(t)
	for _, tt := range []struct {
		args  string
		wrote string
		has   []string
	}{
		{"run", "run.onnx", []string{"probabilities", "dark", "images"}},
		{"run/model.safetensors -o pixels.onnx", "pixels.onnx", []string{"Transpose"}},
		{"run -normalized -o normalized.onnx", "normalized.onnx", []string{"logits"}},
		{"run -to pytorch", "run-pytorch/model.py", []string{"class Network(nn.Module):", `CLASSES = ["bright", "dark"]`, "return x"}},
		{"-to pytorch run -o there", "there/model_pytorch.safetensors", []string{"conv1.weight"}},
	} {
		got := trainer(t, append([]string{"export"}, strings.Fields(tt.args)...)...)
		if got.status != exitOK || got.stderr != "" || strings.TrimSpace(got.stdout) == "" {
			t.Errorf("%s: %+v", tt.args, got)
			continue
		}
		text := read(t, tt.wrote)
		for _, want := range tt.has {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %s lacks %q", tt.args, tt.wrote, want)
			}
		}
	}
	if strings.Contains(read(t, "run.onnx"), "views") {
		t.Error("a file says something about views, which its recipe has not")
	}
	if strings.Contains(read(t, "normalized.onnx"), "Transpose") {
		t.Error("-normalized changes the layout of its input")
	}
	if a, b := read(t, "run.onnx"), read(t, "pixels.onnx"); a != b {
		t.Error("the same export gives different files")
	}
}

// A recipe's views are not in the file: both say so.
func TestExportWithoutViews(t *testing.T) {
	workplace(t)
	if got := trainer(t, "-data", "pictures", "-recipe", "small.toml", "-device", "cpu", "-quiet", "-out", "run", "-set", "evaluate.views=[{}, {mirror = true}]"); got.status != exitOK {
		t.Fatalf("%+v", got)
	}
	for to, file := range map[string]string{"onnx": "run.onnx", "pytorch": "run-pytorch/model.py"} {
		got := trainer(t, "export", "run", "-to", to)
		if got.status != exitOK || !strings.Contains(got.stderr, "with the recipe's 2 views that of trainer evaluate -views") {
			t.Errorf("%s: %+v", to, got)
		}
		if !strings.Contains(read(t, file), "averages its outputs over 2 views") {
			t.Errorf("%s says nothing about views", file)
		}
	}
	if got := trainer(t, "export", "run", "-precision", "fp16"); got.status != exitOK || !strings.Contains(got.stderr, "2 views") {
		t.Errorf("%+v", got)
	}
}

// fp16 and int8 say what they cost, and are not models themselves.
func TestExportRounded(t *testing.T) {
	trainedRun(t)
	exact := trainer(t, "export", "run")
	if exact.status != exitOK {
		t.Fatalf("%+v", exact)
	}
	for _, precision := range []string{"fp16", "int8"} {
		got := trainer(t, "export", "run", "-precision", precision)
		path := "run-" + precision + ".onnx"
		if got.status != exitOK || got.stderr != "" || !strings.HasPrefix(got.stdout, path+"\n") ||
			!strings.Contains(got.stdout, "in fp32, on 12 test images of ") || !strings.HasSuffix(got.stdout, "pictures; 0 answers differ\n") || !strings.Contains(got.stdout, ", instead of ") {
			t.Errorf("%s: %+v", precision, got)
		}
		if len(read(t, path)) >= len(read(t, "run.onnx")) && precision == "fp16" {
			t.Errorf("the file in %s is not smaller than that in fp32", precision)
		}
		got = trainer(t, "predict", path, "pictures")
		if got.status != exitUsage || !strings.Contains(got.stderr, path+": it is an export in") || strings.Count(got.stderr, "\n") != 1 {
			t.Errorf("predict of %s: %+v", precision, got)
		}
	}

	// A model without its run: fp16 does without images, int8 needs some.
	if err := os.Rename("run/model.safetensors", "m.safetensors"); err != nil {
		t.Fatal(err)
	}
	got := trainer(t, "export", "m.safetensors", "-precision", "fp16")
	if got.status != exitOK || !strings.Contains(got.stderr, "was not measured") || strings.Contains(got.stdout, "accuracy") {
		t.Errorf("%+v", got)
	}
	got = trainer(t, "export", "m.safetensors", "-precision", "int8", "-data", "pictures", "-calibrate", "5")
	if got.status != exitOK || !strings.Contains(got.stdout, "test images of pictures") {
		t.Errorf("%+v", got)
	}
}

func TestExportRefuses(t *testing.T) {
	trainedRun(t)
	if err := os.WriteFile("run.onnx", []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir("alone", 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, "alone/model.safetensors", read(t, "run/model.safetensors"))
	for _, tt := range []struct{ args, want string }{
		{"", "export takes one model"},
		{"run run", "export takes one model"},
		{"run -to onxx", `unknown format "onxx", did you mean onnx?`},
		{"run -to pytorch -normalized", "-normalized is for -to onnx"},
		{"run -to pytorch -precision fp16", "load().half() makes the network fp16"},
		{"run -precision int4", `unknown precision "int4"`},
		{"run -precision int8 -calibrate 0", "want a whole number from 1"},
		{"run -precision fp16 -calibrate 9", "-calibrate is for -precision int8"},
		{"run -data mnist", "-data is for -precision fp16 or int8"},
		{"run -precision int8 -data mnist", "the images of mnist are 28x28x1, and the model takes 8x8x1"},
		{"alone/model.safetensors -precision int8", "int8 is calibrated with training images"},
		{"run", "run.onnx exists: pass -o"},
		{"nowhere", "no such file"},
		{"run -o run", "run"},
	} {
		got := trainer(t, append([]string{"export"}, strings.Fields(tt.args)...)...)
		if got.status == exitOK || !strings.Contains(got.stderr, tt.want) {
			t.Errorf("%s: %+v, want %q", tt.args, got, tt.want)
		}
	}
	if read(t, "run.onnx") != "mine" {
		t.Error("a file was overwritten")
	}
}

func TestExportHelp(t *testing.T) {
	got := trainer(t, "export", "-h")
	if got.status != exitOK || got.stderr != "" {
		t.Fatalf("%+v", got)
	}
	golden(t, "export.txt", got.stdout)
}
