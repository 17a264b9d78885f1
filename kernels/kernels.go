// Package kernels holds the CUDA kernels of the GPU device: their sources, one .cu file per family of
// operations, the PTX and the cubins that scripts/kernels.sh makes from them, and the manifest that connects these.
// README.md lists the kernels and their launch configurations. The package needs no GPU, no cgo and no
// CUDA; it provides code and parameter layouts for the package that launches kernels.
package kernels

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"sync"
)

//go:embed manifest.json
var manifestJSON []byte

//go:embed *.cu *.cuh internal/host/*.h
var sourceFiles embed.FS

// Kind is the kind of a kernel's parameter.
type Kind uint8

// The kinds of parameters. A pointer is an address in device memory, or 0 if the kernel's documentation
// allows null.
const (
	Pointer Kind = iota + 1
	Int          // 32 bits, signed or not
	Float        // float32
)

// Size returns the bytes of a parameter.
func (k Kind) Size() int {
	if k == Pointer {
		return 8
	}
	return 4
}

// String returns the name that the manifest uses for the kind.
func (k Kind) String() string {
	names := [...]string{"invalid", "pointer", "int", "float"}
	if int(k) >= len(names) {
		return names[0]
	}
	return names[k]
}

// UnmarshalText sets k to the kind with that name.
func (k *Kind) UnmarshalText(text []byte) error {
	for _, known := range []Kind{Pointer, Int, Float} {
		if string(text) == known.String() {
			*k = known
			return nil
		}
	}
	return fmt.Errorf("parameter kind %q, want pointer, int or float", text)
}

// Name is a kernel's name in its module. The constants are in names.go.
type Name string

// Family is the name of a kernel that exists for several storage types.
type Family string

// Storage is how the elements of a kernel's tensors are stored; it computes in float32.
type Storage string

// The storage types.
const (
	Float32  Storage = "f32"
	Float16  Storage = "f16"
	BFloat16 Storage = "bf16"
)

// In returns the family's kernel for a storage type.
func (f Family) In(s Storage) Name { return Name(string(f) + "_" + string(s)) }

// Kernel is one entry point of a module.
type Kernel struct {
	Name       Name
	Parameters []Kind
	Shared     int // bytes of static shared memory: the largest of all architectures
}

// Module is one compilation of one source.
type Module struct {
	Name    string            // such as "activation_f16"
	Source  string            // such as "activation.cu"
	Macros  []string          // defined for it
	Target  string            // such as "compute_75": the lowest architecture that takes its PTX
	ISA     string            // version of the PTX instruction set, which the driver must support
	Files   map[string]string // SHA-256 of the source and of the files it includes, as they were when it was compiled
	SHA256  string            `json:"ptx"` // of the PTX
	Cubins  map[string]string // SHA-256 of each cubin, by the architecture that it was made for, such as "75"
	Kernels []Kernel
}

// manifest is manifest.json.
type manifest struct {
	NVRTC, Ptxas, Cubins string // versions of the compiler, and of the assemblers that check the PTX and that make the cubins
	Modules              []Module
}

var readManifest = sync.OnceValue(func() manifest {
	var m manifest
	if err := json.Unmarshal(manifestJSON, &m); err != nil {
		panic(fmt.Sprintf("kernels: manifest.json: %v", err))
	}
	return m
})

// Modules returns all modules, sorted by name. The caller must not change them.
func Modules() []Module { return readManifest().Modules }

// ComputeCapability returns the lowest compute capability that can run the module, such as 7, 5.
func (m Module) ComputeCapability() (major, minor int) {
	number, err := strconv.Atoi(strings.TrimPrefix(m.Target, "compute_"))
	if err != nil {
		panic(fmt.Sprintf("kernels: module %s is for %q, want compute_ and a number", m.Name, m.Target))
	}
	return number / 10, number % 10
}

// Lookup returns a kernel and its module. It panics if no module has a kernel of this name.
func Lookup(name Name) (Module, Kernel) {
	m, k, ok := find(name)
	if !ok {
		panic(fmt.Sprintf("kernels: no kernel is named %q", name))
	}
	return m, k
}

// find returns a kernel and its module, if there is one of the name.
func find(name Name) (m Module, k Kernel, ok bool) {
	for _, m := range Modules() {
		for _, k := range m.Kernels {
			if k.Name == name {
				return m, k, true
			}
		}
	}
	return Module{}, Kernel{}, false
}

// Has reports whether a module has a kernel of this name.
func Has(name Name) bool {
	for _, m := range Modules() {
		for _, k := range m.Kernels {
			if k.Name == name {
				return true
			}
		}
	}
	return false
}

// Sources returns the kernels' sources and, in internal/host, the header that lets a C++
// compiler build them for the host.
func Sources() fs.FS { return sourceFiles }

// HostSource returns a C++ translation unit that compiles the module for the host and exports a launcher
// for each of its kernels; internal/host/cuda_host.h describes the launchers. The include path must contain
// the root of Sources and its internal/host.
func (m Module) HostSource() string {
	var b strings.Builder
	for _, macro := range m.Macros {
		fmt.Fprintf(&b, "#define %s 1\n", macro)
	}
	fmt.Fprintf(&b, "#include \"cuda_host.h\"\n#include \"%s\"\n", m.Source)
	for _, k := range m.Kernels {
		fmt.Fprintf(&b, "CUDA_HOST_KERNEL(%s)\n", k.Name)
	}
	return b.String()
}
