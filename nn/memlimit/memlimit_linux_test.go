package memlimit

import (
	"math"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// tree writes files below a new folder.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestAvailable(t *testing.T) {
	n, ok := Available()
	if !ok || n < 1<<20 || n > 1<<50 {
		t.Errorf("got %d, %v", n, ok)
	}
}

// Memory counts from its allocation on. What other processes do meanwhile must not matter here.
func TestRoom(t *testing.T) {
	if _, ok := Room(); !ok {
		t.Fatal("there is no limit")
	}
	if _, fits := Check(math.MaxInt64); fits {
		t.Error("everything fits")
	}
	if _, fits := Check(1); !fits {
		t.Error("nothing fits")
	}
	const tebi, noise = 1 << 40, 1 << 37
	empty, _ := room(0)
	full, _ := room(tebi)
	if taken := empty - full; taken < tebi-noise || taken > tebi+noise {
		t.Errorf("a heap of %d bytes takes %d", tebi, taken)
	}
	before := heap()
	block := make([]byte, 64<<20) // never written
	if got := heap() - before; got < 60<<20 {
		t.Errorf("the heap has grown by %d", got)
	}
	runtime.KeepAlive(block)
}

func TestGroups(t *testing.T) {
	const none = math.MaxInt64
	for name, c := range map[string]struct {
		files map[string]string
		text  string
		want  int64
	}{
		"none":     {nil, "0::/\n", none},
		"no limit": {map[string]string{"a/memory.max": "max\n"}, "0::/a\n", none},
		"version 2": {map[string]string{"a/memory.max": "1000\n", "a/memory.current": "300\n", "a/memory.stat": "anon 7\ninactive_file 100\n"},
			"0::/a\n", 800},
		"the parent's is lower": {map[string]string{"a/b/memory.max": "1000\n", "a/memory.max": "500\n", "a/memory.current": "100\n"}, "0::/a/b\n", 400},
		"a container's root":    {map[string]string{"memory.max": "70\n", "memory.current": "20\n"}, "0::/../host/path\n", 50},
		"version 1": {map[string]string{"memory/a/memory.limit_in_bytes": "1000\n", "memory/a/memory.usage_in_bytes": "900\n",
			"memory/a/memory.stat": "inactive_file 1\ntotal_inactive_file 50\n"}, "3:cpu:/x\n5:memory:/a\n", 150},
		"other controllers": {map[string]string{"memory.max": "5"}, "3:cpu,cpuacct:/\nnonsense\n", none},
	} {
		if got := groups(tree(t, c.files), []byte(c.text)); got != c.want {
			t.Errorf("%s: got %d, want %d", name, got, c.want)
		}
	}
}
