package command

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A training whose pictures are known from the index is the same to the bit: after 20 steps, with validation images that
// are held out, in folds, and with a memory for three pictures.
func TestIndexKeepsTheBits(t *testing.T) {
	workplace(t)
	old := time.Now().Add(-time.Hour)
	err := filepath.WalkDir("pictures", func(path string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chtimes(path, old, old)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_CACHE_HOME", filepath.Join(t.TempDir(), "cache"))
	for name, args := range map[string][]string{
		"plain": nil, "held-out": {"-val", "0.3"}, "fold": {"-folds", "2"}, "large": {"-set", "data.cache=1000"},
	} {
		files := []string{"model.safetensors"}
		if name == "fold" {
			files = []string{"fold-1/model.safetensors", "fold-2/model.safetensors"}
		}
		index, err := os.UserCacheDir()
		if err != nil || os.RemoveAll(filepath.Join(index, "trainer")) != nil {
			t.Fatal(err)
		}
		for _, out := range []string{name + "-cold", name + "-warm"} {
			args := append([]string{"-data", "pictures", "-recipe", "small.toml", "-device", "cpu", "-batch", "4", "-epochs", "3", "-quiet", "-out", out}, args...)
			if got := trainer(t, args...); got.status != exitOK {
				t.Fatalf("%s: %+v", out, got)
			}
		}
		for _, file := range files {
			if read(t, filepath.Join(name+"-cold", file)) != read(t, filepath.Join(name+"-warm", file)) {
				t.Errorf("%s: other weights with the index", name)
			}
		}
	}
}
