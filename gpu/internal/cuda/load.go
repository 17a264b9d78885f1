//go:build cuda && linux && cgo && (amd64 || arm64)

package cuda

/*
#cgo CFLAGS: -I${SRCDIR}/include
#cgo LDFLAGS: -L${SRCDIR}/lib -ldl -pthread
#include "shim.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"unsafe"
)

// driver, blas, dnn and nccl are the libraries, each loaded once, at its first use. mutex guards them.
var (
	mutex  sync.Mutex
	driver = &vendorLibrary{id: C.LIB_CUDA, name: "libcuda", probe: "cuInit"}
	blas   = &vendorLibrary{id: C.LIB_CUBLAS, name: "libcublas", probe: "cublasCreate_v2"}
	dnn    = &vendorLibrary{id: C.LIB_CUDNN, name: "libcudnn", probe: "cudnnCreate"}
	nccl   = &vendorLibrary{id: C.LIB_NCCL, name: "libnccl", probe: "ncclGetVersion"}
)

// vendorLibrary is one of NVIDIA's libraries, with the result of loading it.
type vendorLibrary struct {
	id    C.enum_library
	name  string
	probe string // a function that the real library has

	tried bool
	info  Library
	err   error
}

// Libraries loads libcuda, libcublas and libcudnn if they aren't loaded yet, and returns for
// each the file that it came from or the places that were searched.
func Libraries() []Library {
	mutex.Lock()
	defer mutex.Unlock()
	var all []Library
	for _, l := range []*vendorLibrary{driver, blas, dnn} {
		l.load()
		all = append(all, l.info)
	}
	return all
}

// Load loads cuBLAS and cuDNN if they aren't loaded yet. Any thread may call it, while another makes other calls. The error is
// that of the first one that can't be loaded, a *LoadError.
func Load() error {
	missing := blas.need()
	if err := dnn.need(); missing == nil {
		missing = err
	}
	return missing
}

// need loads the library if it isn't loaded, and returns a *LoadError if it can't be.
func (l *vendorLibrary) need() error {
	mutex.Lock()
	defer mutex.Unlock()
	l.load()
	return l.err
}

// load does need's work, with the mutex held.
func (l *vendorLibrary) load() {
	if l.tried {
		return
	}
	l.tried = true
	s := search{places: machine(), driver: l == driver, sonames: l.sonames()}
	s.load = func(file string) (string, error) { return l.open(s.places, file) }
	s.run()
	l.info = Library{Name: l.name, File: s.found, Tried: s.tried, Asked: s.asked}
	if s.found == "" {
		l.err = &LoadError{l.info, s.sonames}
		return
	}
	l.versions()
}

// sonames returns the names of the library's usable versions, best first.
func (l *vendorLibrary) sonames() []string {
	switch l {
	case driver:
		return []string{"libcuda.so.1"}
	case dnn:
		return []string{"libcudnn.so.9", "libcudnn.so.8"}
	case nccl:
		return []string{"libnccl.so.2"}
	}
	driver.load()
	var version C.int
	if C.cuDriverGetVersion(&version); version != 0 && version < 13000 {
		// cuBLAS 13 needs a driver for CUDA 13.
		return []string{"libcublas.so.12", "libcublas.so.13"}
	}
	return []string{"libcublas.so.13", "libcublas.so.12"}
}

// open loads the library from one file, after the files that it depends on.
func (l *vendorLibrary) open(p places, file string) (string, error) {
	switch l {
	case blas:
		// The library's own search path may not include them; if this fails, loading the library reports why.
		_ = preload(path.Join(path.Dir(file), strings.Replace(path.Base(file), "libcublas", "libcublasLt", 1)))
	case dnn:
		if err := preloadCuDNN(p, file); err != nil {
			return "", err
		}
	}
	var reason, from [4096]C.char
	name, probe := C.CString(file), C.CString(l.probe)
	defer C.free(unsafe.Pointer(name))
	defer C.free(unsafe.Pointer(probe))
	if C.shim_open(l.id, name, probe, &reason[0], C.size_t(len(reason)), &from[0], C.size_t(len(from))) == 0 {
		return "", errors.New(C.GoString(&reason[0]))
	}
	if l == dnn {
		preloadSiblings(p, C.GoString(&from[0]), int(C.cudnnGetCudartVersion())/1000)
	}
	return C.GoString(&from[0]), nil
}

// requiredParts are, by major version, the libraries without which cuDNN ends the process at
// the first call that needs them.
var requiredParts = map[string][]string{
	"9": {"graph", "ops", "cnn"},
	"8": {"ops_infer", "ops_train", "cnn_infer", "cnn_train"},
}

// preloadCuDNN loads the parts of cuDNN from the folder of libcudnn.so.N, or makes sure that
// the loader finds the required ones. cuDNN itself would look for its parts by name at the
// first call that needs them.
func preloadCuDNN(p places, file string) error {
	// Errors of the library itself must be reported first.
	if err := loads(file); err != nil {
		return err
	}
	major := path.Ext(file)[1:]
	dir := ""
	if path.IsAbs(file) {
		dir = path.Dir(p.real(file)) + "/"
		// A part may need other parts to be loaded first; parts that failed are tried again.
		parts := p.children(path.Clean(dir), "libcudnn_*.so."+major)
		for n := -1; n != len(parts); {
			n = len(parts)
			parts = slices.DeleteFunc(parts, func(part string) bool { return preload(part) == nil })
		}
	}
	for _, part := range requiredParts[major] {
		name := "libcudnn_" + part + ".so." + major
		if _, err := p.stat(dir + name); dir != "" && err == nil {
			name = dir + name
		}
		if err := preload(name); err != nil {
			return fmt.Errorf("%s: its part %v", file, err)
		}
	}
	return nil
}

// preloadSiblings loads the libraries that parts of cuDNN ask for by name, in the CUDA
// version that cuDNN was built for, from cuDNN's own folder and from its sibling Python
// packages (nvidia/*/lib). If a library is missing there, the loader finds it or cuDNN
// reports it.
func preloadSiblings(p places, file string, major int) {
	dir := path.Dir(file)
	dirs := []string{dir}
	for _, sibling := range p.children(path.Dir(path.Dir(dir)), "*") {
		if path.Base(path.Dir(sibling)) == "nvidia" {
			dirs = append(dirs, sibling+"/lib")
		}
	}
	for _, name := range []string{"libnvrtc", "libcublasLt", "libcublas"} {
		for _, d := range dirs {
			file := fmt.Sprintf("%s/%s.so.%d", d, name, major)
			if _, err := p.stat(file); err == nil && preload(file) == nil {
				break
			}
		}
	}
}

// preload loads a file or, for a name without a slash, the library that the loader finds.
func preload(file string) error {
	return withReason(file, func(name, reason *C.char, size C.size_t) C.int { return C.shim_preload(name, reason, size) })
}

// loads returns why a file can't be loaded, or "". It leaves the file unloaded.
func loads(file string) error {
	return withReason(file, func(name, reason *C.char, size C.size_t) C.int { return C.shim_loads(name, reason, size) })
}

// withReason calls a function of the shim for a file, and returns its reason for failing.
func withReason(file string, call func(name, reason *C.char, size C.size_t) C.int) error {
	var reason [4096]C.char
	name := C.CString(file)
	defer C.free(unsafe.Pointer(name))
	if call(name, &reason[0], C.size_t(len(reason))) == 0 {
		return errors.New(C.GoString(&reason[0]))
	}
	return nil
}

// versions asks a loaded library for its version.
func (l *vendorLibrary) versions() {
	switch l {
	case driver:
		var version C.int
		C.cuDriverGetVersion(&version)
		l.info.Version = cudaVersion(int(version))
	case blas:
		// cublasGetVersion needs a handle, and so a device; cublasGetProperty doesn't.
		var part [3]C.int
		for i := range part {
			C.cublasGetProperty(C.libraryPropertyType(i), &part[i])
		}
		l.info.Version = cublasVersion(int(part[0]), int(part[1]), int(part[2]))
	case dnn:
		l.info.Version = cudnnVersion(int(C.cudnnGetVersion()))
		l.info.CUDA = cudaVersion(int(C.cudnnGetCudartVersion()))
	case nccl:
		var version C.int
		C.ncclGetVersion(&version)
		l.info.Version = ncclVersion(int(version))
	}
}

// LibraryOfRanks loads libnccl if it isn't loaded yet, and returns the file that it came from or the places that were
// searched. A single process needs no NCCL.
func LibraryOfRanks() Library {
	mutex.Lock()
	defer mutex.Unlock()
	nccl.load()
	return nccl.info
}

// CuDNNVersion returns cuDNN's version number, such as 8907 or 90100, or 0 if cuDNN isn't
// loaded.
func CuDNNVersion() int { return int(C.cudnnGetVersion()) }
