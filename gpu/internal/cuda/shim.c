//go:build cuda && linux && cgo && (amd64 || arm64)

#define _GNU_SOURCE
#include "shim.h"
#include <dlfcn.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The libraries, NULL until shim_open. Functions are looked up in these handles only: the
// program's own definitions below can't be found by mistake.
static _Atomic(void *) handles[LIB_COUNT];

// cuDNN 9 numbers its status codes anew.
static const int cudnn9_not_supported = 3000;
static atomic_int cudnn_not_supported = CUDNN_STATUS_NOT_SUPPORTED;

static _Thread_local struct shim_failure last;

// symbol returns a function of a library, remembered in slot, or NULL. Two threads may look the
// same function up at once: they find the same.
static void *symbol(enum library lib, const char *name, _Atomic(void *) *slot) {
	void *function = atomic_load_explicit(slot, memory_order_acquire);
	if (function)
		return function;
	void *handle = atomic_load_explicit(&handles[lib], memory_order_acquire);
	if (!handle)
		return NULL;
	function = dlsym(handle, name);
	atomic_store_explicit(slot, function, memory_order_release);
	return function;
}

// absent returns the status that a library gives for a function it lacks, or for a library that
// was never initialised.
static int absent(enum library lib) {
	int loaded = atomic_load(&handles[lib]) != NULL;
	switch (lib) {
	case LIB_CUDA:
		return loaded ? CUDA_ERROR_NOT_FOUND : CUDA_ERROR_NOT_INITIALIZED;
	case LIB_CUBLAS:
		return loaded ? CUBLAS_STATUS_NOT_SUPPORTED : CUBLAS_STATUS_NOT_INITIALIZED;
	case LIB_NCCL:
		return ncclInvalidUsage;
	default:
		return loaded ? atomic_load(&cudnn_not_supported) : CUDNN_STATUS_NOT_INITIALIZED;
	}
}

// note keeps a failure for shim_last and returns the status.
static int note(enum library lib, const char *function, int status, int is_absent) {
	if (status != 0)
		last = (struct shim_failure){lib, function, status, is_absent};
	return status;
}

// A function that returns a status: that of the library, or absent's.
#define STATUS(lib, result, name, parameters, arguments) \
	result name parameters { \
		static _Atomic(void *) slot; \
		result(*function) parameters = (result(*) parameters)symbol(lib, #name, &slot); \
		return (result)note(lib, #name, function ? (int)function arguments : absent(lib), function == NULL); \
	}

// A function that returns a value: that of the library, or 0.
#define VALUE(lib, result, name, parameters, arguments) \
	result name parameters { \
		static _Atomic(void *) slot; \
		result(*function) parameters = (result(*) parameters)symbol(lib, #name, &slot); \
		return function ? function arguments : (result)0; \
	}

// Hidden, so that no library that is loaded later binds to them.
#pragma GCC visibility push(hidden)

#include "trampolines.h"
#include "nccl_trampolines.h"

// Package init of gorgonia.org/cu calls cuInit and ends the process when it fails. Nothing is
// loaded then, so this succeeds at once. Init of this package loads libcuda and calls it again.
CUresult cuInit(unsigned int flags) {
	static _Atomic(void *) slot;
	if (!atomic_load(&handles[LIB_CUDA]))
		return CUDA_SUCCESS;
	CUresult (*function)(unsigned int) = (CUresult(*)(unsigned int))symbol(LIB_CUDA, "cuInit", &slot);
	return (CUresult)note(LIB_CUDA, "cuInit", function ? (int)function(flags) : absent(LIB_CUDA), function == NULL);
}

#pragma GCC visibility pop

static void keep_error(char *error, size_t size) {
	const char *text = dlerror();
	snprintf(error, size, "%s", text ? text : "unknown error of the loader");
}

// The oldest cuDNN whose calls are those of the headers that the program is built with.
#define OLDEST_CUDNN 8900

// The oldest NCCL: nccl.h is its interface.
#define OLDEST_NCCL 21800

int shim_open(enum library lib, const char *file, const char *probe, char *error, size_t error_size, char *path,
	size_t path_size) {
	error[0] = path[0] = 0;
	void *handle = dlopen(file, RTLD_NOW | RTLD_GLOBAL);
	if (!handle) {
		keep_error(error, error_size);
		return 0;
	}
	void *function = dlsym(handle, probe);
	if (!function) {
		snprintf(error, error_size, "%s: has no function %s", file, probe);
		dlclose(handle);
		return 0;
	}
	Dl_info info;
	char resolved[PATH_MAX];
	if (dladdr(function, &info) && info.dli_fname)
		snprintf(path, path_size, "%s", realpath(info.dli_fname, resolved) ? resolved : info.dli_fname);
	if (lib == LIB_CUDNN) {
		size_t (*get)(void) = (size_t(*)(void))dlsym(handle, "cudnnGetVersion");
		size_t version = get ? get() : 0;
		if (version < OLDEST_CUDNN) {
			snprintf(error, error_size, "%s: cuDNN %zu.%zu.%zu is too old, 8.9 or newer is needed", file, version / 1000, version / 100 % 10,
				version % 100);
			dlclose(handle);
			return 0;
		}
		if (version >= 9000)
			atomic_store(&cudnn_not_supported, cudnn9_not_supported);
	}
	if (lib == LIB_NCCL) {
		int version = 0;
		if (((ncclResult_t(*)(int *))function)(&version) != ncclSuccess || version < OLDEST_NCCL) {
			snprintf(error, error_size, "%s: NCCL %d.%d.%d is too old, 2.18 or newer is needed", file, version / 10000, version / 100 % 100,
				version % 100);
			dlclose(handle);
			return 0;
		}
	}
	atomic_store_explicit(&handles[lib], handle, memory_order_release);
	return 1;
}

int shim_loads(const char *file, char *error, size_t error_size) {
	error[0] = 0;
	void *handle = dlopen(file, RTLD_LAZY);
	if (handle)
		return dlclose(handle), 1;
	keep_error(error, error_size);
	return 0;
}

int shim_preload(const char *file, char *error, size_t error_size) {
	error[0] = 0;
	if (dlopen(file, RTLD_NOW | RTLD_GLOBAL))
		return 1;
	keep_error(error, error_size);
	return 0;
}

struct shim_failure shim_last(void) {
	struct shim_failure failure = last;
	last = (struct shim_failure){0};
	return failure;
}

void shim_cudnn_message(char *message, size_t size) {
	static _Atomic(void *) slot;
	void (*get)(char *, size_t) = (void (*)(char *, size_t))symbol(LIB_CUDNN, "cudnnGetLastErrorString", &slot);
	message[0] = 0;
	if (get)
		get(message, size);
	message[size - 1] = 0;
}
