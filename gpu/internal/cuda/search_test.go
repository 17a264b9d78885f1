package cuda

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

var dnnNames = []string{"libcudnn.so.9", "libcudnn.so.8"}

// A searchCase is a machine: its environment, its files, and the results of loading them.
type searchCase struct {
	driver bool
	names  []string
	env    map[string]string
	files  []string          // existing files; a file loads unless broken has a reason
	links  map[string]string // symbolic links, by path, of what real says
	broken map[string]string
	loader string   // the file that the loader finds by name; "" for none
	python []string // what Python returns; nil if it must not be run
	found  string
	tried  []string // "place: file: reason"
}

func TestSearch(t *testing.T) {
	for name, c := range map[string]searchCase{
		"nothing anywhere": {
			env: map[string]string{"PATH": "/usr/bin"},
			tried: []string{
				"loader: libcudnn.so.9: libcudnn.so.9: cannot open shared object file",
				"loader: libcudnn.so.8: libcudnn.so.8: cannot open shared object file",
				"usual folder: /usr/local/cuda/lib64: no such folder",
				"usual folder: /opt/cuda/lib64: no such folder",
				"usual folder: /usr/local/lib: no such folder",
				"usual folder: /usr/lib/x86_64-linux-gnu: no such folder",
				"usual folder: /usr/lib64: no such folder",
				"usual folder: /usr/lib: no such folder",
			},
		},
		"the user's folder comes first, and the newest name in it": {
			env:    map[string]string{PathVariable: "/a:/b"},
			files:  []string{"/b/libcudnn.so.8", "/b/libcudnn.so.9"},
			loader: "/usr/lib/libcudnn.so.9",
			found:  "/b/libcudnn.so.9",
			tried: []string{
				"TRAINER_CUDA_PATH: /a: no such folder",
				"TRAINER_CUDA_PATH: /b/libcudnn.so.9: ",
				"TRAINER_CUDA_PATH: /b/libcudnn.so.8: not used: found after /b/libcudnn.so.9",
			},
		},
		"a toolkit, a folder of packages, and a folder without": {
			env:   map[string]string{PathVariable: "/tools:/site:/empty:/f/libcudnn.so.9"},
			files: []string{"/tools/lib64/libcudnn.so.8", "/site/nvidia/cudnn/lib/libcudnn.so.9", "/empty/x", "/f/libcudnn.so.9"},
			broken: map[string]string{
				"/tools/lib64/libcudnn.so.8": "/tools/lib64/libcudnn.so.8: wrong ELF class",
			},
			found: "/site/nvidia/cudnn/lib/libcudnn.so.9",
			tried: []string{
				"TRAINER_CUDA_PATH: /tools/lib64/libcudnn.so.8: /tools/lib64/libcudnn.so.8: wrong ELF class",
				"TRAINER_CUDA_PATH: /site/nvidia/cudnn/lib/libcudnn.so.9: ",
			},
		},
		"a folder without, and a file, say so": {
			env:   map[string]string{PathVariable: "/empty:/f/libcudnn.so.9"},
			files: []string{"/empty/x", "/f/libcudnn.so.9", "/usr/local/cuda/lib64/libcudnn.so.9"},
			found: "/usr/local/cuda/lib64/libcudnn.so.9",
			tried: []string{
				"TRAINER_CUDA_PATH: /empty: no libcudnn.so.9 or libcudnn.so.8 there",
				"TRAINER_CUDA_PATH: /f/libcudnn.so.9: not a folder",
				"loader: libcudnn.so.9: libcudnn.so.9: cannot open shared object file",
				"loader: libcudnn.so.8: libcudnn.so.8: cannot open shared object file",
				"usual folder: /usr/local/cuda/lib64/libcudnn.so.9: ",
			},
		},
		"the loader before the usual folders, and the same file only once": {
			files:  []string{"/usr/lib/x86_64-linux-gnu/libcudnn.so.9", "/usr/local/cuda-12.4/lib64/libcudnn.so.8"},
			loader: "/usr/lib/x86_64-linux-gnu/libcudnn.so.9",
			found:  "/usr/lib/x86_64-linux-gnu/libcudnn.so.9",
			tried: []string{
				"loader: libcudnn.so.9: ",
				"usual folder: /usr/local/cuda-12.4/lib64/libcudnn.so.8: not used: found after /usr/lib/x86_64-linux-gnu/libcudnn.so.9",
			},
		},
		"the newest toolkit; the link to it is the same": {
			files: []string{
				"/usr/local/cuda/lib64/libcudnn.so.9", "/usr/local/cuda-12.10/lib64/libcudnn.so.9",
				"/usr/local/cuda-12.9/lib64/libcudnn.so.9", "/usr/local/cuda-9.0/lib64/libcudnn.so.8",
			},
			links: map[string]string{"/usr/local/cuda/lib64/libcudnn.so.9": "/usr/local/cuda-12.9/lib64/libcudnn.so.9"},
			broken: map[string]string{
				"/usr/local/cuda/lib64/libcudnn.so.9":       "no",
				"/usr/local/cuda-12.10/lib64/libcudnn.so.9": "no",
			},
			found: "/usr/local/cuda-9.0/lib64/libcudnn.so.8",
			tried: []string{
				"loader: libcudnn.so.9: libcudnn.so.9: cannot open shared object file",
				"loader: libcudnn.so.8: libcudnn.so.8: cannot open shared object file",
				"usual folder: /usr/local/cuda/lib64/libcudnn.so.9: no",
				"usual folder: /usr/local/cuda-12.10/lib64/libcudnn.so.9: no",
				"usual folder: /usr/local/cuda-9.0/lib64/libcudnn.so.8: ",
			},
		},
		"the toolkit that the environment names": {
			env:   map[string]string{"CUDA_HOME": "/opt/toolkit", "CUDA_PATH": "relative"},
			files: []string{"/opt/toolkit/lib64/libcudnn.so.9"},
			found: "/opt/toolkit/lib64/libcudnn.so.9",
			tried: []string{
				"loader: libcudnn.so.9: libcudnn.so.9: cannot open shared object file",
				"loader: libcudnn.so.8: libcudnn.so.8: cannot open shared object file",
				"usual folder: /opt/toolkit/lib64/libcudnn.so.9: ",
			},
		},
		"the packages of the active environment": {
			env:   map[string]string{"VIRTUAL_ENV": "/venv", "HOME": "/home/u"},
			files: []string{"/venv/lib/python3.9/site-packages/nvidia/cudnn/lib/libcudnn.so.8", "/venv/lib/python3.10/site-packages/nvidia/cudnn/lib/libcudnn.so.9", "/home/u/.local/lib/python3.10/site-packages/torch/lib/libcudnn.so.8"},
			found: "/venv/lib/python3.10/site-packages/nvidia/cudnn/lib/libcudnn.so.9",
			tried: append(withoutSystem(),
				"Python: /venv/lib/python3.10/site-packages/nvidia/cudnn/lib/libcudnn.so.9: ",
				"Python: /venv/lib/python3.9/site-packages/nvidia/cudnn/lib/libcudnn.so.8: not used: found after /venv/lib/python3.10/site-packages/nvidia/cudnn/lib/libcudnn.so.9",
				"Python: /home/u/.local/lib/python3.10/site-packages/torch/lib/libcudnn.so.8: not used: found after /venv/lib/python3.10/site-packages/nvidia/cudnn/lib/libcudnn.so.9",
			),
		},
		"the packages beside the interpreter, and of what it links to": {
			env: map[string]string{"PATH": ":/nowhere:/env/bin:relative"},
			files: []string{
				"/env/bin/python3", "/env/lib/python3.12/site-packages/x/y",
				"/base/bin/python3.12", "/base/lib/python3.12/dist-packages/nvidia/cu13/lib/libcudnn.so.9",
			},
			links: map[string]string{"/env/bin/python3": "/base/bin/python3.12"},
			found: "/base/lib/python3.12/dist-packages/nvidia/cu13/lib/libcudnn.so.9",
			tried: append(withoutSystem(),
				"Python: /env/lib/python3.12/site-packages: no libcudnn.so.9 or libcudnn.so.8 there",
				"Python: /base/lib/python3.12/dist-packages/nvidia/cu13/lib/libcudnn.so.9: ",
			),
		},
		"what Python says, when nothing else tells": {
			env:    map[string]string{"PATH": "/shims"},
			files:  []string{"/shims/python3", "/versions/lib/nvidia/cudnn/lib/libcudnn.so.9"},
			python: []string{"/versions/stdlib", "/versions/lib"},
			found:  "/versions/lib/nvidia/cudnn/lib/libcudnn.so.9",
			tried: append(withoutSystem(),
				"Python: /versions/stdlib: no libcudnn.so.9 or libcudnn.so.8 there",
				"Python: /versions/lib/nvidia/cudnn/lib/libcudnn.so.9: ",
			),
		},
		"the driver of WSL, which no package has": {
			driver: true,
			names:  []string{"libcuda.so.1"},
			env:    map[string]string{"PATH": "/usr/bin", "VIRTUAL_ENV": "/venv", "CUDA_HOME": "/opt/toolkit"},
			files:  []string{"/usr/bin/python3", "/usr/lib/wsl/lib/libcuda.so.1", "/venv/lib/python3.9/site-packages/nvidia/x/lib/libcuda.so.1", "/opt/toolkit/lib64/libcuda.so.1"},
			found:  "/usr/lib/wsl/lib/libcuda.so.1",
			tried: []string{
				"loader: libcuda.so.1: libcuda.so.1: cannot open shared object file",
				"usual folder: /usr/lib/wsl/lib/libcuda.so.1: ",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := c.search(t)
			s.run()
			if s.found != c.found {
				t.Errorf("found %q, want %q", s.found, c.found)
			}
			var tried []string
			for _, a := range s.tried {
				tried = append(tried, a.Place+": "+a.File+": "+a.Reason)
			}
			if diff := cmp.Diff(c.tried, tried); diff != "" {
				t.Errorf("tried (-want +got):\n%s", diff)
			}
		})
	}
}

// withoutSystem is the record of a search on a machine with neither a toolkit nor system libraries.
func withoutSystem() []string {
	return []string{
		"loader: libcudnn.so.9: libcudnn.so.9: cannot open shared object file",
		"loader: libcudnn.so.8: libcudnn.so.8: cannot open shared object file",
		"usual folder: /usr/local/cuda/lib64: no such folder",
		"usual folder: /opt/cuda/lib64: no such folder",
		"usual folder: /usr/local/lib: no such folder",
		"usual folder: /usr/lib/x86_64-linux-gnu: no such folder",
		"usual folder: /usr/lib64: no such folder",
		"usual folder: /usr/lib: no such folder",
	}
}

func (c searchCase) search(t *testing.T) *search {
	files := fstest.MapFS{}
	for _, f := range c.files {
		files[f[1:]] = &fstest.MapFile{}
	}
	names := c.names
	if names == nil {
		names = dnnNames
	}
	s := &search{driver: c.driver, sonames: names}
	s.places = places{
		getenv: func(name string) string { return c.env[name] },
		files:  files,
		real: func(file string) string {
			if to, ok := c.links[file]; ok {
				return to
			}
			return file
		},
		python: func(string) []string {
			if c.python == nil && c.found != "" {
				t.Error("Python was asked although the library is elsewhere")
			}
			return c.python
		},
		arch: "x86_64",
	}
	s.load = func(file string) (string, error) {
		if !strings.Contains(file, "/") {
			if c.loader != "" {
				return c.loader, nil
			}
			return "", errors.New(file + ": cannot open shared object file")
		}
		if reason := c.broken[file]; reason != "" {
			return "", errors.New(reason)
		}
		return file, nil
	}
	return s
}

func TestCompareNumbers(t *testing.T) {
	want := []string{"cuda-9.0", "cuda-12.4", "cuda-12.10", "cuda-12.10.1", "cuda-x", "python3.9", "python3.10"}
	got := []string{"python3.10", "cuda-12.10.1", "cuda-x", "cuda-9.0", "python3.9", "cuda-12.10", "cuda-12.4"}
	slices.SortFunc(got, compareNumbers)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

func TestThePythonThatIsAsked(t *testing.T) {
	found := []string{"/usr/bin/python3", "/usr/bin/python"}
	for value, want := range map[string]string{"": found[0], NoPython: "", "/opt/python": "/opt/python"} {
		p := places{getenv: func(name string) string { return map[string]string{PythonVariable: value}[name] }}
		if got := p.interpreter(found); got != want {
			t.Errorf("%s=%q: %q, want %q", PythonVariable, value, got, want)
		}
		if value == "" && p.interpreter(nil) != "" {
			t.Error("an interpreter that isn't there")
		}
	}
}
