//go:build cuda && linux && cgo && (amd64 || arm64)

package cuda

/*
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>

// loadedLt finds cuBLASLt among the loaded libraries, without loading any. It returns the
// version, or 0, and the file.
static size_t loadedLt(const char *name, const char **file) {
	void *library = dlopen(name, RTLD_LAZY | RTLD_NOLOAD);
	size_t (*version)(void);
	Dl_info info;
	if (!library)
		return 0;
	version = (size_t (*)(void))dlsym(library, "cublasLtGetVersion");
	if (version && dladdr((void *)version, &info))
		*file = info.dli_fname;
	dlclose(library);
	return version ? version() : 0;
}
*/
import "C"

import (
	"path/filepath"
	"unsafe"
)

// LoadedCuBLASLt returns the file and the version of cuBLASLt, which cuBLAS loads; "" if it isn't
// loaded. cuBLAS must not be unloaded in the meantime; this package never does so.
func LoadedCuBLASLt() (file, version string) {
	for _, soname := range []string{"libcublasLt.so.13", "libcublasLt.so.12"} {
		name := C.CString(soname)
		var path *C.char
		v := int(C.loadedLt(name, &path))
		C.free(unsafe.Pointer(name))
		if path == nil {
			continue
		}
		file = C.GoString(path)
		if real, err := filepath.EvalSymlinks(file); err == nil {
			file = real
		}
		return file, cublasVersion(v/10000, v%10000/100, v%100)
	}
	return "", ""
}
