package cudasim

import (
	"bufio"
	"debug/elf"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every function that the program calls is exported, by every version of its library.
func TestExports(t *testing.T) {
	dir := selftestBuilder(t).folder(t, Options{Libraries: []string{Driver, CuBLAS12, CuBLAS13, CuDNN8, CuDNN9, NCCL}})
	exported := map[string]map[string]bool{}
	for _, name := range []string{Driver, CuBLAS12, CuBLAS13, CuDNN8, CuDNN9, NCCL} {
		f, err := elf.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		symbols, err := f.DynamicSymbols()
		if err != nil {
			t.Fatal(err)
		}
		exported[name] = map[string]bool{}
		for _, s := range symbols {
			if s.Section != elf.SHN_UNDEF {
				exported[name][s.Name] = true
			}
		}
	}
	list, err := os.Open("../internal/cuda/functions.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer list.Close()
	files := map[string][]string{"cuda": {Driver}, "cublas": {CuBLAS12, CuBLAS13}, "cudnn": {CuDNN8, CuDNN9}, "nccl": {NCCL}}
	checked := 0
	for lines := bufio.NewScanner(list); lines.Scan(); {
		library, function, found := strings.Cut(strings.TrimSpace(lines.Text()), " ")
		if !found || library == "#" {
			continue
		}
		for _, file := range files[library] {
			// cuDNN 8 has no text of the last error.
			want := file != CuDNN8 || function != "cudnnGetLastErrorString"
			if got := exported[file][function]; got != want {
				t.Errorf("%s exports %s: %v, want %v", file, function, got, want)
			}
			checked++
		}
	}
	if checked < 100 {
		t.Errorf("%d functions were looked for: functions.txt is not read as it should be", checked)
	}
}

// The headers here agree with the headers that the program is built with: the same values,
// structs and parameters.
func TestInterface(t *testing.T) {
	for name, folder := range map[string]string{"cuda.h": "include", "cublas_v2.h": "include", "cudnn.h": "include", "nccl.h": ""} {
		ours := declarations(t, filepath.Join("src/include", name))
		theirs := declarations(t, filepath.Join("../internal/cuda", folder, name))
		same := 0
		for key, value := range ours {
			want, there := theirs[key]
			if !there {
				continue // they hold only what the program names
			}
			if value != want {
				t.Errorf("%s: %s is\n\t%s, and for the program\n\t%s", name, key, value, want)
			}
			same++
		}
		if same < 40 && (name != "nccl.h" || same < 20) {
			t.Errorf("%s: only %d of %d declarations are in both", name, same, len(ours))
		}
	}
}

var (
	enumerator = regexp.MustCompile(`\b([A-Z][A-Z0-9_a-z]+|nccl[A-Z]\w+) ?= ?(-?\d+)`)
	prototype  = regexp.MustCompile(`(?m)^(?:CUresult|cublasStatus_t|cudnnStatus_t|ncclResult_t|size_t|const char \*) ?((?:cu|nccl)\w+) ?\(([^;]*)\);`)
	structure  = regexp.MustCompile(`struct (\w+) ?\{([^}]*)\}`)
	spaces     = regexp.MustCompile(`\s+`)
)

// declarations maps the names in a header to their declarations.
func declarations(t *testing.T, file string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	normal := func(s string) string {
		s = spaces.ReplaceAllString(strings.ReplaceAll(s, "cudaStream_t", "CUstream"), " ")
		for _, p := range []string{"*", ",", ";", "(", ")"} {
			s = strings.ReplaceAll(strings.ReplaceAll(s, " "+p, p), p+" ", p)
		}
		return strings.TrimSpace(s)
	}
	all := map[string]string{}
	for _, m := range enumerator.FindAllStringSubmatch(string(text), -1) {
		all[m[1]] = m[2]
	}
	for _, m := range prototype.FindAllStringSubmatch(string(text), -1) {
		all[m[1]] = normal(m[2])
	}
	for _, m := range structure.FindAllStringSubmatch(string(text), -1) {
		all["struct "+m[1]] = normal(m[2])
	}
	return all
}
