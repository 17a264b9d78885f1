//go:build cuda && linux && cgo && (amd64 || arm64)

package cuda

// #include "calls.h"
import "C"

import (
	"fmt"
	"math"
	"strings"
	"unsafe"

	"gorgonia.org/cu"
)

// Module is code loaded into the current context.
type Module struct {
	cu.Module
	Name string // for errors
	Log  string // messages of the just-in-time compiler; usually ""
}

// LoadModule compiles PTX, or loads a cubin, into the current context. name is for errors; the
// error of a failed compilation has the compiler's log as its Detail.
func LoadModule(name, image string) (*Module, error) {
	var module C.CUmodule
	text := C.CString(image)
	defer C.free(unsafe.Pointer(text))
	var info, failure [8192]C.char
	status := C.shim_module_load(&module, unsafe.Pointer(text), &info[0], C.size_t(len(info)),
		&failure[0], C.size_t(len(failure)))
	if status == C.CUDA_SUCCESS {
		m := &Module{Name: name, Log: strings.TrimSpace(C.GoString(&info[0]))}
		*(*C.CUmodule)(unsafe.Pointer(&m.Module)) = module
		return m, nil
	}
	err := cudaError("loading "+name, status)
	if log := strings.TrimSpace(C.GoString(&failure[0])); log != "" {
		err.(*Error).Detail = log
	}
	return nil, err
}

// Kernel returns a function of the module.
func (m *Module) Kernel(name string) (*Kernel, error) {
	f, err := m.Function(name)
	if err != nil {
		return nil, Check(fmt.Sprintf("looking for kernel %s in %s", name, m.Name), err)
	}
	return &Kernel{Function: f, Name: name}, nil
}

// Unload frees the module and its kernels.
func (m *Module) Unload() error { return Check("unloading "+m.Name, m.Module.Unload()) }

// Kernel is a function that runs on the device.
type Kernel struct {
	cu.Function
	Name string
	// Parameters are the kinds of the parameters, in order, which Launch holds the arguments to. "" is not known.
	Parameters string
}

// The kinds of parameters and arguments.
const (
	KindPointer = 'p'
	KindInt     = 'i' // of 32 bits, signed or not
	KindFloat   = 'f'
	kindLong    = 'l' // an integer of 64 bits
	kindDouble  = 'd'
	kindStruct  = 's'
)

// Dim is a number of blocks or threads in each dimension.
type Dim struct{ X, Y, Z uint32 }

// Along returns n in the x direction.
func Along(n int) Dim { return Dim{uint32(n), 1, 1} }

// Launch queues the kernel: a grid of blocks of threads, with bytes of dynamic shared memory for
// each block. The arguments must be of the number and sizes that the kernel declares; they are
// read before Launch returns. It panics where they are not of the kinds that Parameters says.
func (k *Kernel) Launch(grid, block Dim, shared int, s cu.Stream, a *Args) error {
	if k.Parameters != "" && string(a.kinds) != k.Parameters { // the conversion allocates nothing
		panic(fmt.Sprintf("cuda: kernel %s: arguments of kinds %q, want %q", k.Name, a.kinds, k.Parameters))
	}
	var words *C.uint64_t
	var offsets *C.uint32_t
	if len(a.offsets) > 0 {
		words = (*C.uint64_t)(unsafe.Pointer(unsafe.SliceData(a.words)))
		offsets = (*C.uint32_t)(unsafe.Pointer(unsafe.SliceData(a.offsets)))
	}
	status := C.shim_launch(functionHandle(k.Function), C.uint(grid.X), C.uint(grid.Y), C.uint(grid.Z),
		C.uint(block.X), C.uint(block.Y), C.uint(block.Z), C.uint(shared), streamHandle(s),
		words, offsets, C.int(len(a.offsets)))
	if status != C.CUDA_SUCCESS {
		return cudaError("launching kernel "+k.Name, status)
	}
	return nil
}

// AllowShared lets the kernel be launched with up to the given number of bytes of dynamic
// shared memory, which is necessary above 48 KiB.
func (k *Kernel) AllowShared(bytes int) error {
	status := C.cuFuncSetAttribute(functionHandle(k.Function), C.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
		C.int(bytes))
	return cudaError(fmt.Sprintf("allowing kernel %s %d bytes of shared memory", k.Name, bytes), status)
}

// MaxThreads returns the largest number of threads that a block of the kernel may have on this device.
func (k *Kernel) MaxThreads() (int, error) {
	n, err := k.Attribute(cu.FnMaxThreadsPerBlock)
	return n, Check("asking about kernel "+k.Name, err)
}

// Args are the arguments of a kernel, in order. Once an Args has held as many arguments,
// setting them again after Reset allocates nothing.
type Args struct {
	words   []uint64 // each argument begins in a word of its own
	offsets []uint32 // of each argument in words
	kinds   []byte   // of each argument
}

// Reset removes all arguments.
func (a *Args) Reset() *Args {
	a.words, a.offsets, a.kinds = a.words[:0], a.offsets[:0], a.kinds[:0]
	return a
}

func (a *Args) word(kind byte, w uint64) *Args {
	if len(a.offsets) == C.SHIM_MAX_PARAMETERS {
		panic(fmt.Sprintf("cuda: a kernel takes at most %d arguments", C.SHIM_MAX_PARAMETERS))
	}
	a.offsets = append(a.offsets, uint32(len(a.words)))
	a.words = append(a.words, w)
	a.kinds = append(a.kinds, kind)
	return a
}

// Pointer adds an address of device memory.
func (a *Args) Pointer(p cu.DevicePtr) *Args { return a.word(KindPointer, uint64(p)) }

// Int32 adds an int.
func (a *Args) Int32(v int32) *Args { return a.word(KindInt, uint64(uint32(v))) }

// Uint32 adds an unsigned int.
func (a *Args) Uint32(v uint32) *Args { return a.word(KindInt, uint64(v)) }

// Int64 adds a long long.
func (a *Args) Int64(v int64) *Args { return a.word(kindLong, uint64(v)) }

// Uint64 adds an unsigned long long.
func (a *Args) Uint64(v uint64) *Args { return a.word(kindLong, v) }

// Float32 adds a float.
func (a *Args) Float32(v float32) *Args { return a.word(KindFloat, uint64(math.Float32bits(v))) }

// Float64 adds a double.
func (a *Args) Float64(v float64) *Args { return a.word(kindDouble, math.Float64bits(v)) }

// Bytes adds a struct that is passed by value, with its layout in memory and an alignment of at most 8.
func (a *Args) Bytes(b []byte) *Args {
	start := len(a.words)
	a.word(kindStruct, 0)
	for range (len(b) - 1) / 8 {
		a.words = append(a.words, 0)
	}
	for i := range b {
		a.words[start+i/8] |= uint64(b[i]) << (i % 8 * 8)
	}
	return a
}
