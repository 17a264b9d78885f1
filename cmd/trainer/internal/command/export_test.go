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
	if strings.Contains(read(t, "normalized.onnx"), "Transpose") {
		t.Error("-normalized changes the layout of its input")
	}
	if a, b := read(t, "run.onnx"), read(t, "pixels.onnx"); a != b {
		t.Error("the same export gives different files")
	}
}

func TestExportRefuses(t *testing.T) {
	trainedRun(t)
	if err := os.WriteFile("run.onnx", []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ args, want string }{
		{"", "export takes one model"},
		{"run run", "export takes one model"},
		{"run -to onxx", `unknown format "onxx", did you mean onnx?`},
		{"run -to pytorch -normalized", "-normalized is for -to onnx"},
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
