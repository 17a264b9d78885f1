//go:build cuda && linux && cgo

package cudasim

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdlib.h>

// The functions are looked up in the engine if this process has loaded it; nothing here loads it.
static void *function(const char *name) {
	void *library = dlopen("libcudasim.so", RTLD_LAZY | RTLD_NOLOAD);
	return library ? dlsym(library, name) : 0;
}

static size_t lines(const char *name, char *to, size_t capacity) {
	size_t (*f)(char *, size_t) = function(name);
	return f ? f(to, capacity) : 0;
}

static void keepJournal(int on) {
	void (*f)(int) = function("cudasimKeepJournal");
	if (f) f(on);
}

static int configure(const char *settings, char *error, size_t capacity) {
	size_t (*f)(const char *, char *, size_t) = function("cudasimConfigure");
	return f ? f(settings, error, capacity) != 0 : -1;
}

static unsigned long long calls(const char *name) {
	unsigned long long (*f)(const char *) = function("cudasimCalls");
	return f ? f(name) : 0;
}

static void record(const char *name) {
	void (*f)(const char *) = function("cudasimRecord");
	if (f) f(name);
}

static void plain(const char *name) {
	void (*f)(void) = function(name);
	if (f) f();
}
*/
import "C"

import (
	"errors"
	"fmt"
	"unsafe"
)

// Findings returns the findings of the libraries loaded in this process since the last Clear, one per line. A
// line begins with the kind and the function.
func Findings() []string { return linesOf("cudasimReport") }

// linesOf returns the lines that a function of the engine writes into a buffer. The function returns the length of the text,
// which may exceed the buffer.
func linesOf(function string) []string {
	name := C.CString(function)
	defer C.free(unsafe.Pointer(name))
	for size := C.size_t(1 << 16); ; size *= 2 {
		text := (*C.char)(C.malloc(size))
		n := C.lines(name, text, size)
		all := C.GoStringN(text, C.int(min(n, size-1)))
		C.free(unsafe.Pointer(text))
		if n < size {
			return lines(all)
		}
	}
}

// Clear forgets all findings.
func Clear() { plain("cudasimClear") }

// Configure changes settings and arms faults in this process; README.md lists both.
func Configure(settings string) error {
	text := C.CString(settings)
	defer C.free(unsafe.Pointer(text))
	var reason [1024]C.char
	switch C.configure(text, &reason[0], C.size_t(len(reason))) {
	case 0:
		return nil
	case -1:
		return errors.New("the software CUDA is not loaded in this process: set " + SettingsVariable + " instead")
	}
	return fmt.Errorf("software CUDA: %s", C.GoString(&reason[0]))
}

// Disarm removes all faults.
func Disarm() { plain("cudasimDisarm") }

// Reset ends all contexts of this process with their contents, and returns to the settings of the environment,
// as if the libraries had just been loaded. The program's handles are invalid afterwards.
func Reset() { plain("cudasimReset") }

// KeepJournal begins an empty journal of the work that streams do.
func KeepJournal() { C.keepJournal(1) }

// Journal returns the work since KeepJournal, in order, and ends the journal. Synchronise first.
func Journal() []Work {
	defer C.keepJournal(0)
	var all []Work
	for _, line := range linesOf("cudasimJournal") {
		var w Work
		if _, err := fmt.Sscanf(line, "%s\t%s\t%d\t%d", &w.Kind, &w.Name, &w.Read, &w.Written); err != nil {
			panic(fmt.Sprintf("cudasim: line %q of the journal: %v", line, err))
		}
		all = append(all, w)
	}
	return all
}

// Calls returns how often an exported function was called, or a kernel launched, in this process.
func Calls(function string) uint64 {
	name := C.CString(function)
	defer C.free(unsafe.Pointer(name))
	return uint64(C.calls(name))
}

// Record keeps the arguments of each call of an exported function from now on, and forgets those of earlier calls. The
// functions whose arguments can be mistaken for each other are recorded: descriptors of cuDNN, its convolutions and
// layers, and launches.
func Record(function string) {
	name := C.CString(function)
	defer C.free(unsafe.Pointer(name))
	C.record(name)
}

// Records returns the arguments of each call since Record: numbers, and addresses and handles in hexadecimal, in the
// order of the function's parameters, separated by spaces. Scalars that are passed by address are shown as numbers;
// the library's handle is left out.
func Records() []string { return linesOf("cudasimRecords") }

func plain(name string) {
	text := C.CString(name)
	defer C.free(unsafe.Pointer(text))
	C.plain(text)
}
