package kernels_test

import (
	"bytes"
	"debug/elf"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"trainer/kernels"
)

// maxPacked is what the packed code may add to the repository and to the program.
const maxPacked = 4 << 20

// A source has an archive, with the code that the manifest has; nothing else is in the folder.
func TestPackedCode(t *testing.T) {
	archives, err := filepath.Glob("code/*")
	if err != nil {
		t.Fatal(err)
	}
	var sources []string
	for _, m := range kernels.Modules() {
		sources = append(sources, m.Source)
	}
	if n := len(slices.Compact(slices.Sorted(slices.Values(sources)))); n != len(archives) {
		t.Errorf("%d files in code, %d sources in the manifest: %s", len(archives), n, remake)
	}
	var packed int64
	for _, name := range archives {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		packed += info.Size()
	}
	if packed > maxPacked {
		t.Errorf("%d bytes of packed code, at most %d are wanted in the program", packed, maxPacked)
	}
}

// gpus are architectures of GPUs, and those of the cubins that each should get.
var gpus = map[int]int{75: 75, 80: 80, 86: 80, 87: 80, 89: 80, 90: 90, 100: 100, 103: 100, 120: 120, 121: 120, 61: 0, 72: 0, 110: 0, 130: 0}

// Every GPU gets a cubin of the module if its architecture can run the module; it is the one of the manifest, and has all kernels.
func TestCubins(t *testing.T) {
	for _, m := range kernels.Modules() {
		major, minor := m.ComputeCapability()
		for architecture, want := range gpus {
			if architecture < 10*major+minor {
				want = 0
			}
			cubin, of := m.Cubin(architecture)
			if of != want || (cubin != nil) != (want > 0) {
				t.Errorf("%s for %d: a cubin for %d, want %d; the module is for %s", m.Name, architecture, of, want, m.Target)
			} else if architecture == of {
				checkCubin(t, m, cubin, of)
			}
		}
	}
}

// checkCubin compares a cubin, which is an ELF file, with the manifest.
func checkCubin(t *testing.T, m kernels.Module, cubin []byte, architecture int) {
	t.Helper()
	if got := sum(cubin); got != m.Cubins[strconv.Itoa(architecture)] {
		t.Errorf("%s for %d: SHA-256 %s, the manifest says %s: %s", m.Name, architecture, got, m.Cubins[strconv.Itoa(architecture)], remake)
	}
	const machine = 190 // EM_CUDA
	const version = 20  // where the format's version is; ptxas writes its own version, which package elf refuses
	standard := slices.Clone(cubin)
	copy(standard[version:], []byte{byte(elf.EV_CURRENT), 0, 0, 0})
	file, err := elf.NewFile(bytes.NewReader(standard))
	if err != nil || file.Machine != machine {
		t.Errorf("%s for %d is no code for a GPU: %v", m.Name, architecture, err)
		return
	}
	symbols, err := file.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	global := map[string]bool{}
	for _, s := range symbols {
		if elf.ST_TYPE(s.Info) == elf.STT_FUNC && elf.ST_BIND(s.Info) == elf.STB_GLOBAL && s.Size > 0 {
			global[s.Name] = true
		}
	}
	for _, k := range m.Kernels {
		if !global[string(k.Name)] {
			t.Errorf("%s for %d has no kernel %s", m.Name, architecture, k.Name)
		}
	}
	if len(global) != len(m.Kernels) {
		t.Errorf("%s for %d has %d kernels, the manifest %d", m.Name, architecture, len(global), len(m.Kernels))
	}
}

// What unpacking one module costs at the start: go test ./kernels -bench Unpack
func BenchmarkUnpack(b *testing.B) {
	m, _ := kernels.Lookup("batchnorm_moments_f16")
	b.Run("cubin", func(b *testing.B) {
		for b.Loop() {
			cubin, _ := m.Cubin(90)
			b.SetBytes(int64(len(cubin)))
		}
	})
	b.Run("PTX", func(b *testing.B) {
		for b.Loop() {
			b.SetBytes(int64(len(m.PTX())))
		}
	})
}
