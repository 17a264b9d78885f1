package kernels_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"trainer/kernels"
	"trainer/nn"
)

const remake = "run scripts/kernels.sh"

func readSource(t *testing.T, name string) string {
	t.Helper()
	text, err := fs.ReadFile(kernels.Sources(), name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func sum(data []byte) string {
	h := sha256.Sum256(data)
	return hex.EncodeToString(h[:])
}

var includeLine = regexp.MustCompile(`(?m)^#include "([^"]+)"`)

// included adds a source and all files that it includes.
func included(t *testing.T, name string, files map[string]string) {
	t.Helper()
	if _, known := files[name]; known {
		return
	}
	text := readSource(t, name)
	files[name] = sum([]byte(text))
	for _, match := range includeLine.FindAllStringSubmatch(text, -1) {
		included(t, match[1], files)
	}
}

// The PTX is up to date with the sources.
func TestManifestIsOfTheseSources(t *testing.T) {
	compiled := map[string]bool{}
	for _, m := range kernels.Modules() {
		compiled[m.Source] = true
		files := map[string]string{}
		included(t, m.Source, files)
		if !maps.Equal(files, m.Files) {
			for name, hash := range files {
				if m.Files[name] != hash {
					t.Errorf("%s is not what module %s was compiled from: %s", name, m.Name, remake)
				}
			}
			if len(files) != len(m.Files) {
				t.Errorf("module %s was compiled from %v, %s includes %v: %s", m.Name, slices.Sorted(maps.Keys(m.Files)), m.Source, slices.Sorted(maps.Keys(files)), remake)
			}
		}
		if got := sum(m.PTX()); got != m.SHA256 {
			t.Errorf("the PTX of %s has SHA-256 %s, the manifest says %s: %s", m.Name, got, m.SHA256, remake)
		}
	}
	sources, err := fs.Glob(kernels.Sources(), "*.cu")
	if err != nil || len(sources) == 0 {
		t.Fatalf("sources %v, %v", sources, err)
	}
	for _, name := range sources {
		if !compiled[name] {
			t.Errorf("%s has no module: %s", name, remake)
		}
	}
}

var (
	entryPattern   = regexp.MustCompile(`(?s)\.visible \.entry (\w+)\((.*?)\)`)
	ptxParameter   = regexp.MustCompile(`\.param (\.\w+) `)
	sourcePattern  = regexp.MustCompile(`(?s)extern "C" __global__ void (?:__launch_bounds__\(256(?:, 2)?\)[\s\\]*)?(?:KERNEL\(([\w#]+)\)|(\w+))\(`)
	storageOfName  = regexp.MustCompile(`_(f32|f16|bf16)$`)
	needsLine      = regexp.MustCompile(`(?m)^// Needs compute capability (\d)\.(\d)\.`)
	storageVersion = map[string]string{"f32": "compute_75", "f16": "compute_75", "bf16": "compute_80"}
)

// writtenKernels returns the names in a source, without storage, as they stand there: the name of one that a macro defines
// has its parameters, as in activation_##name##_forward.
func writtenKernels(t *testing.T, source string) []string {
	t.Helper()
	var names []string
	text := readSource(t, source)
	for _, match := range sourcePattern.FindAllStringSubmatch(text, -1) {
		names = append(names, match[1]+match[2])
	}
	if got := strings.Count(text, "__global__"); got != len(names) {
		t.Errorf("%s: %d kernels are written as this test reads them, of %d", source, len(names), got)
	}
	return names
}

var (
	pasted    = regexp.MustCompile(`##\w+(##)?`)
	listed    = regexp.MustCompile(`(?m)^(\w+)\(ENTRIES\)`)      // ACTIVATIONS(ENTRIES)
	single    = regexp.MustCompile(`(?m)^ENTRIES\((\w*), \w+\)`) // ENTRIES(, Identity)
	listEntry = regexp.MustCompile(`X\((\w+), \w+\)`)
)

// sourceKernels returns the names of the kernels that a source defines, without storage.
func sourceKernels(t *testing.T, source string) []string {
	t.Helper()
	text := readSource(t, source)
	var arguments []string // that the macro ENTRIES is used with
	for _, match := range single.FindAllStringSubmatch(text, -1) {
		arguments = append(arguments, match[1])
	}
	for _, match := range listed.FindAllStringSubmatch(text, -1) {
		_, list, _ := strings.Cut(readSource(t, "function.cuh"), "#define "+match[1]+"(X)")
		list, _, _ = strings.Cut(list, "\n\n")
		for _, entry := range listEntry.FindAllStringSubmatch(list, -1) {
			arguments = append(arguments, entry[1])
		}
	}
	var names []string
	for _, name := range writtenKernels(t, source) {
		if !pasted.MatchString(name) {
			names = append(names, name)
			continue
		}
		for _, argument := range arguments {
			names = append(names, pasted.ReplaceAllLiteralString(name, argument))
		}
	}
	return names
}

// Source, PTX and manifest have the same kernels with the same parameters.
func TestManifestIsOfThisPTX(t *testing.T) {
	inModules := map[string]map[string]bool{}
	for _, m := range kernels.Modules() {
		ptx := string(m.PTX())
		major, minor := m.ComputeCapability()
		for _, want := range []string{fmt.Sprintf(".target sm_%d%d\n", major, minor), ".version " + m.ISA + "\n", ".address_size 64\n"} {
			if !strings.Contains(ptx, want) {
				t.Errorf("the PTX of %s has no line %q", m.Name, strings.TrimSpace(want))
			}
		}
		entries := map[string][]string{}
		for _, match := range entryPattern.FindAllStringSubmatch(ptx, -1) {
			entries[match[1]] = []string{}
			for _, p := range ptxParameter.FindAllStringSubmatch(match[2], -1) {
				entries[match[1]] = append(entries[match[1]], p[1])
			}
		}
		if len(entries) != len(m.Kernels) {
			t.Errorf("module %s has %d kernels in PTX, %d in the manifest", m.Name, len(entries), len(m.Kernels))
		}
		known := sourceKernels(t, m.Source)
		if inModules[m.Source] == nil {
			inModules[m.Source] = map[string]bool{}
		}
		for _, k := range m.Kernels {
			var want []string
			for _, p := range k.Parameters {
				want = append(want, map[kernels.Kind]string{kernels.Pointer: ".u64", kernels.Int: ".u32", kernels.Float: ".f32"}[p])
			}
			if got, ok := entries[string(k.Name)]; !ok || !slices.Equal(got, want) {
				t.Errorf("%s has parameters %v in PTX, %v in the manifest", k.Name, got, want)
			}
			base := string(k.Name)
			if storage := storageOfName.FindStringSubmatch(m.Name); storage != nil {
				base = strings.TrimSuffix(base, storage[0])
				want := storageVersion[storage[1]]
				if needs := needsLine.FindStringSubmatch(readSource(t, m.Source)); needs != nil {
					want = "compute_" + needs[1] + needs[2]
				}
				if m.Target != want {
					t.Errorf("module %s is for %s", m.Name, m.Target)
				}
			}
			if !slices.Contains(known, base) {
				t.Errorf("%s is no kernel of %s", k.Name, m.Source)
			}
			inModules[m.Source][base] = true
			if k.Shared > 48<<10 {
				t.Errorf("%s has %d bytes of shared memory, at most 48 KiB are static", k.Name, k.Shared)
			}
		}
	}
	for source, have := range inModules {
		for _, name := range sourceKernels(t, source) {
			if !have[name] {
				t.Errorf("%s of %s is in no module: %s", name, source, remake)
			}
		}
	}
}

// Every kernel has a constant, except those that belong to an activation, and every constant has a kernel.
func TestNames(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "names.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]string{} // Name or Family of each value
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			kinds[value] = spec.Type.(*ast.Ident).Name
		}
		return true
	})
	ofActivation := map[string]bool{}
	for _, f := range nn.Functions() {
		forward, backward, _ := kernels.Activation(f.Name)
		normalize, sums, gradients, _ := kernels.BatchNormActivation(f.Name)
		for _, family := range []kernels.Family{forward, backward, normalize, sums, gradients} {
			ofActivation[string(family)] = true
		}
	}
	found := map[string]bool{}
	for _, m := range kernels.Modules() {
		for _, k := range m.Kernels {
			base, kind := string(k.Name), "Name"
			if storageOfName.MatchString(m.Name) {
				base, kind = storageOfName.ReplaceAllString(base, ""), "Family"
			}
			if kinds[base] != kind && !ofActivation[base] {
				t.Errorf("names.go has no %s %q: %s", kind, base, remake)
			}
			found[base] = true
			if module, kernel := kernels.Lookup(k.Name); module.Name != m.Name || kernel.Name != k.Name {
				t.Errorf("Lookup(%q) finds %s in %s", k.Name, kernel.Name, module.Name)
			}
		}
	}
	for value := range kinds {
		if !found[value] {
			t.Errorf("names.go has %q, which is no kernel: %s", value, remake)
		}
	}
}

func TestLookupOfNoKernel(t *testing.T) {
	defer func() {
		if got := recover(); got != `kernels: no kernel is named "relu_backwards_f32"` {
			t.Errorf("the panic says %v", got)
		}
	}()
	kernels.Lookup("relu_backwards_f32")
}

// The sources use only what internal/host/cuda_host.h provides, and nothing that can give different bits
// in different runs.
func TestSourcesKeepToTheSubset(t *testing.T) {
	forbidden := regexp.MustCompile(`\b(printf|asm|cooperative_groups|tex\dD|cudaLaunch\w*|clock64|__ballot_sync|__shfl_up_sync|curand\w*|assert)\b|<<<`)
	integers := regexp.MustCompile(`atomicAdd\((arrived, 1u|&found\[0\], bad|&count\[)`)
	err := fs.WalkDir(kernels.Sources(), ".", func(name string, _ fs.DirEntry, err error) error {
		if err != nil || !slices.Contains([]string{".cu", ".cuh"}, path.Ext(name)) {
			return err
		}
		for number, line := range strings.Split(readSource(t, name), "\n") {
			code, _, _ := strings.Cut(line, "//")
			if match := forbidden.FindString(code); match != "" && !(match == "asm" && (name == "approx.cuh" || name == "conv_small.cu")) {
				t.Errorf("%s:%d uses %s", name, number+1, match)
			}
			if strings.Contains(code, "atomicAdd") && !integers.MatchString(code) {
				t.Errorf("%s:%d adds atomically: only integers may, and this test knows three places", name, number+1)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// resources.tsv lists every kernel, and all of them can be launched: 256 threads with at most 255
// registers each.
func TestResources(t *testing.T) {
	text, err := os.ReadFile("resources.tsv")
	if err != nil {
		t.Fatal(err)
	}
	rows := strings.Split(strings.TrimSpace(string(text)), "\n")[2:]
	have := map[string]bool{}
	for _, row := range rows {
		cells := strings.Split(row, "\t")
		have[cells[0]] = true
		for _, cell := range cells[2:] {
			if n, err := strconv.Atoi(cell); cell != "-" && (err != nil || n > 128) {
				t.Errorf("%s: %s registers; above 128 only two blocks of 256 threads run on an SM", cells[0], cell)
			}
		}
	}
	for _, m := range kernels.Modules() {
		for _, k := range m.Kernels {
			if !have[string(k.Name)] {
				t.Errorf("resources.tsv lacks %s: %s", k.Name, remake)
			}
		}
	}
}

// README.md lists every kernel; of those that a macro defines for each activation it lists the pattern.
func TestReadmeListsTheKernels(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, match := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(string(text), -1) {
		listed[match[1]] = true
	}
	sources, err := fs.Glob(kernels.Sources(), "*.cu")
	if err != nil {
		t.Fatal(err)
	}
	for _, source := range sources {
		for _, name := range writtenKernels(t, source) {
			if "image_"+strings.TrimPrefix(name, "image_")+".cu" == source {
				continue // in image_NAME.cu, which share one line of README.md
			}
			name = strings.TrimSuffix(pasted.ReplaceAllString(name, "NAME"), "NAME")
			if !listed[name] {
				t.Errorf("README.md doesn't list %s", name)
			}
		}
	}
}
