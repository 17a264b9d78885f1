//go:build linux && cgo

package mpi

/*
#cgo LDFLAGS: -ldl
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unsafe"
)

// names are the files of libraries, in Debian and as their authors name them.
var names = map[string][]string{
	"openmpi": {"libmpi.so.40"},
	"mpich":   {"libmpich.so.12", "libmpi.so.12"},
	"mpi5":    {"libmpi_abi.so.1", "libmpi_abi.so.0"},
}

// candidates returns the files to try: the one that TRAINER_MPI names, or those of the launcher that started this process,
// beside its program and where the system has libraries.
func candidates(getenv func(string) string) []string {
	if file := getenv("TRAINER_MPI"); file != "" {
		return []string{file}
	}
	order := []string{"openmpi", "mpich", "mpi5"}
	if getenv("OMPI_COMM_WORLD_SIZE") == "" && (getenv("PMI_SIZE") != "" || getenv("PMI_RANK") != "") {
		order = []string{"mpich", "mpi5", "openmpi"}
	}
	var beside, elsewhere []string
	for _, kind := range order {
		for _, name := range names[kind] {
			for _, folder := range besideLauncher() {
				if file := filepath.Join(folder, name); exists(file) {
					beside = append(beside, file)
				}
			}
			elsewhere = append(elsewhere, name)
		}
	}
	return append(beside, elsewhere...)
}

// besideLauncher returns the folders of libraries that belong to the program that started this process, such as that of a
// Python environment.
func besideLauncher() []string {
	launcher, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", os.Getppid()))
	if err != nil {
		return nil
	}
	prefix := filepath.Dir(filepath.Dir(launcher))
	if prefix == "/usr" || prefix == "/" { // where the system looks anyway
		return nil
	}
	return []string{filepath.Join(prefix, "lib"), filepath.Join(prefix, "lib64")}
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// load loads the first library that can be loaded, and returns its file and its version.
func load(files []string) (file, version string, err error) {
	notFound := &NotFoundError{}
	for _, file := range files {
		name := C.CString(file)
		var text, failure [256]C.char
		kind := C.shim_load(name, &text[0], C.size_t(len(text)), &failure[0], C.size_t(len(failure)))
		C.free(unsafe.Pointer(name))
		if kind != 0 {
			return file, shortVersion(C.GoString(&text[0])), nil
		}
		notFound.Tried = append(notFound.Tried, Attempt{file, C.GoString(&failure[0])})
	}
	return "", "", notFound
}

// shortVersion makes "MPICH Version:      4.0.2" and "Open MPI v4.1.4" a name and a number.
func shortVersion(text string) string {
	words := strings.Fields(strings.Replace(text, "Version:", "", 1))
	if n := len(words); n > 0 {
		words[n-1] = strings.TrimPrefix(words[n-1], "v")
	}
	return strings.Join(words, " ")
}

// Library is an MPI library that can be loaded.
type Library struct {
	File    string // as the system's loader takes it
	Version string
}

// Find loads the library that a process with this environment would use.
func Find(getenv func(string) string) (Library, error) {
	file, version, err := load(candidates(getenv))
	return Library{file, version}, err
}
