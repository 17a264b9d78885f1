package command

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"trainer/cpu"
	"trainer/nn/model"
)

// fineTuned trains for an epoch from a model, and returns what the program printed on standard error.
func fineTuned(t *testing.T, args ...string) string {
	t.Helper()
	got := trainer(t, append([]string{"-epochs", "1", "-quiet"}, args...)...)
	if got.status != exitOK {
		t.Fatalf("%q: %+v", args, got)
	}
	return got.stderr
}

func TestTrainingFromAModel(t *testing.T) {
	trainedRun(t)
	path, err := filepath.Abs("run")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fineTuned(t, "-init-from", "run", "-data", "pictures", "-out", "same"), "trainer: run: loaded 4 of 4 tensors\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	// Other classes, without -recipe: the network is the model's, its last layer fresh.
	if err := os.CopyFS("renamed", os.DirFS("pictures")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename("renamed/dark", "renamed/night"); err != nil {
		t.Fatal(err)
	}
	want := "trainer: run/model.safetensors: loaded 2 of 4 tensors; fresh: dense1.weight, dense1.bias (other classes); unused in the file: dense1.bias, dense1.weight\n"
	if got := fineTuned(t, "-init-from", "run/model.safetensors", "-data", "renamed", "-out", "other"); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	config := read(t, "other/config.toml")
	for _, want := range []string{"init-from = '" + path + "/model.safetensors'", "init-sha256 = '", "size = [8, 8]"} {
		if !strings.Contains(config, want) {
			t.Errorf("the configuration lacks %q:\n%s", want, config)
		}
	}
	// On other data the batch follows the number of images.
	fineTuned(t, "-data", "pictures", "-recipe", "small.toml", "-batch", "5", "-out", "five")
	fineTuned(t, "-init-from", "five", "-data", "renamed", "-out", "auto")
	fineTuned(t, "-init-from", "five", "-data", "renamed", "-batch", "6", "-out", "six")
	for folder, want := range map[string]string{"five": "batch = 5\n", "auto": "batch = 8\n", "six": "batch = 6\n"} {
		if config := read(t, folder+"/config.toml"); !strings.Contains(config, want) {
			t.Errorf("%s: want %q in the configuration:\n%s", folder, want, config)
		}
	}
	// With a learning rate of almost 0, the filters stay those of the model.
	fineTuned(t, "-init-from", "run", "-data", "renamed", "-lr", "1e-30", "-out", "still")
	if a, b := tensorOf(t, "run", "conv1.weight"), tensorOf(t, "still", "conv1.weight"); !equal(a, b) {
		t.Errorf("the filters are %v, want %v", b, a)
	}
	if read(t, "run/model.safetensors") == read(t, "still/model.safetensors") {
		t.Error("the last layer was not fresh")
	}
}

func equal(a, b []float32) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return len(a) == len(b)
}

func tensorOf(t *testing.T, path, name string) []float32 {
	t.Helper()
	dev, err := cpu.New(cpu.WithThreads(1))
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	m, err := model.Open(path, dev)
	if err != nil {
		t.Fatal(err)
	}
	values, err := m.Tensor(name)
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// A file at an address is downloaded, and is the one with the checksum.
func TestTrainingFromAnAddress(t *testing.T) {
	trainedRun(t)
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	server := httptest.NewServer(http.FileServer(http.Dir("run")))
	defer server.Close()
	w, err := model.OpenWeights("run")
	if err != nil {
		t.Fatal(err)
	}
	address := server.URL + "/model.safetensors"
	if got := fineTuned(t, "-init-from", address, "-sha256", w.SHA256(), "-data", "pictures", "-out", "far"); !strings.Contains(got, "model.safetensors: loaded 4 of 4 tensors\n") {
		t.Errorf("stderr %q", got)
	}
	if config := read(t, "far/config.toml"); !strings.Contains(config, "init-from = '"+address+"'") {
		t.Errorf("the configuration\n%s", config)
	}
	server.Close()
	for _, tt := range []struct {
		sum    string
		status int
		want   string
	}{
		{w.SHA256(), exitOK, "loaded 4 of 4"}, // it was kept
		{strings.Repeat("0", 64), exitUsage, "downloads are off"},
		{"", exitUsage, "needs the file's checksum"},
		{"12ab", exitUsage, "is not a SHA-256: want 64 hexadecimal digits"},
	} {
		args := []string{"-init-from", address, "-data", "pictures", "-dry-run", "-offline"}
		if tt.sum != "" {
			args = append(args, "-sha256", tt.sum)
		}
		if got := trainer(t, args...); got.status != tt.status || !strings.Contains(got.stderr, tt.want) || strings.Count(got.stderr, "\n") != 1 {
			t.Errorf("%q: %+v", tt.sum, got)
		}
	}
}

// A run that was killed before its first checkpoint begins again from the same file, and only from it.
func TestBeginningAgainFromTheSameFile(t *testing.T) {
	trainedRun(t)
	fineTuned(t, "-init-from", "run", "-data", "pictures", "-out", "whole")
	fineTuned(t, "-init-from", "run", "-data", "pictures", "-out", "killed")
	for _, name := range []string{"checkpoint.safetensors", "model.safetensors", "metrics.jsonl", "summary.json"} {
		if err := os.Remove("killed/" + name); err != nil {
			t.Fatal(err)
		}
	}
	if got := trainer(t, "-resume", "killed", "-quiet"); got.status != exitOK || !strings.Contains(got.stderr, "loaded 4 of 4") {
		t.Fatalf("%+v", got)
	}
	if read(t, "whole/model.safetensors") != read(t, "killed/model.safetensors") {
		t.Error("beginning again gives other weights")
	}
	// With a checkpoint the file isn't needed; without, another file is refused.
	if err := os.Rename("whole/model.safetensors", "run/model.safetensors"); err != nil {
		t.Fatal(err)
	}
	if got := trainer(t, "-resume", "killed", "-quiet"); got.status != exitOK || got.stderr != "" {
		t.Errorf("%+v", got)
	}
	if err := os.Remove("killed/checkpoint.safetensors"); err != nil {
		t.Fatal(err)
	}
	if got := trainer(t, "-resume", "killed", "-quiet"); got.status != exitUsage || !strings.Contains(got.stderr, "is not the file that the run began with") {
		t.Errorf("%+v", got)
	}
}

func TestTrainingFromAModelRefuses(t *testing.T) {
	trainedRun(t)
	whole := read(t, "run/model.safetensors")
	write(t, "short.safetensors", whole[:len(whole)-5])
	write(t, "zip.safetensors", "PK\x03\x04 and more than eight bytes")
	write(t, "other.toml", strings.Replace(small, "out = 4\nkernel = 3", "out = 5\nkernel = 5", 1))
	for _, tt := range []struct{ args, want string }{
		{"-init-from nowhere -data pictures", "no such file"},
		{"-init-from short.safetensors -data pictures", "damaged"},
		{"-init-from zip.safetensors -data pictures", "want a safetensors file"},
		{"-init-from run -data pictures -recipe other.toml", "nothing in it fits the network"},
		{"-init-from run", "-data FOLDER"},
		{"-init-from run -resume run", "remove -init-from"},
		{"-sha256 00 -data pictures", "-sha256 is for the file at an address"},
		{"-init-from pictures -data pictures", "the folder has no model"},
	} {
		args := strings.Fields(tt.args)
		if !strings.Contains(tt.args, "-resume") {
			args = append(args, "-out", "out")
		}
		got := trainer(t, args...)
		if got.status != exitUsage || !strings.Contains(got.stderr, tt.want) || strings.Count(got.stderr, "\n") != 1 {
			t.Errorf("%s: %+v, want %q", tt.args, got, tt.want)
		}
		if _, err := os.Stat("out"); err == nil {
			t.Errorf("%s: a folder was left", tt.args)
		}
	}
}

func TestImport(t *testing.T) {
	trainedRun(t)
	if got := trainer(t, "export", "run", "-to", "pytorch", "-o", "torch"); got.status != exitOK {
		t.Fatalf("%+v", got)
	}
	write(t, "names.txt", "one\r\n\ntwo\n")
	args := []string{"import", "torch/model_pytorch.safetensors", "-recipe", "small.toml", "-set", "data.size=8", "-set", "data.grayscale=true", "-set", "augment.mean=[0.4]", "-set", "augment.std=[0.3]"}
	got := trainer(t, append(args, "-classes", "names.txt", "-o", "m.safetensors")...)
	if want := "torch/model_pytorch.safetensors: loaded 4 of 4 tensors\nm.safetensors\n"; got.status != exitOK || got.stdout != want {
		t.Fatalf("%+v, want %q", got, want)
	}
	for _, name := range []string{"conv1.weight", "conv1.bias", "dense1.weight", "dense1.bias"} {
		if !equal(tensorOf(t, "run", name), tensorOf(t, "m.safetensors", name)) {
			t.Errorf("%s differs", name)
		}
	}
	if got := trainer(t, "predict", "m.safetensors", "pictures/dark/aa.png"); got.status != exitOK || !strings.Contains(got.stdout, "one") {
		t.Errorf("%+v", got)
	}
	// Other names, given by a map.
	write(t, "map.txt", "# theirs  ours\nconv1 no\ndense1 neither\n\n")
	got = trainer(t, append(args, "-map", "map.txt", "-classes", "2", "-o", "other.safetensors")...)
	if got.status != exitOK || !strings.Contains(got.stdout, "4 of them by their shape") {
		t.Errorf("%+v", got)
	}
	if got := trainer(t, args...); got.status != exitOK { // classes are numbered
		t.Errorf("%+v", got)
	}
	if got := trainer(t, "predict", "torch/model_pytorch-model.safetensors", "pictures/dark/aa.png", "-csv", "-top", "1"); got.status != exitOK || !strings.Contains(got.stdout, ",1,") {
		t.Errorf("%+v", got)
	}
}

func TestImportRefuses(t *testing.T) {
	trainedRun(t)
	write(t, "twice.txt", "a\na\n")
	write(t, "deep.toml", strings.Replace(small, "[[network]]\nlayer = \"relu\"", "[[network]]\nlayer = \"batch-norm\"", 1))
	for _, tt := range []struct{ args, want string }{
		{"", "import takes one file"},
		{"run", "-recipe is missing"},
		{"run -recipe small.toml -classes twice.txt", `the class "a" twice`},
		{"run -recipe small.toml -classes nowhere.txt", "no such file"},
		{"run -recipe small.toml -classes 0", "want a file, or a number from 1"},
		{"run -recipe small.toml -classes 3", "the model would be incomplete"},
		{"run -recipe deep.toml", "the model would be incomplete"},
		{"run -recipe nothing", "unknown recipe"},
	} {
		got := trainer(t, append(append([]string{"import"}, strings.Fields(tt.args)...), "-o", "m.safetensors")...)
		if got.status != exitUsage || !strings.Contains(got.stderr, tt.want) {
			t.Errorf("%s: %+v, want %q", tt.args, got, tt.want)
		}
	}
	write(t, "map.txt", "conv1\n")
	if got := trainer(t, "import", "run", "-recipe", "small.toml", "-map", "map.txt"); got.status != exitUsage || !strings.Contains(got.stderr, `map.txt: line 1 is "conv1", want two names`) {
		t.Errorf("%+v", got)
	}
	if _, err := os.Stat("m.safetensors"); err == nil {
		t.Error("a model was written")
	}
}

func TestImportHelp(t *testing.T) {
	got := trainer(t, "import", "-h")
	if got.status != exitOK || got.stderr != "" {
		t.Fatalf("%+v", got)
	}
	golden(t, "import.txt", got.stdout)
}
