//go:build cuda && linux && cgo && (amd64 || arm64)

// The shim stands for NVIDIA's libraries in the link: it defines the functions that the program
// calls, and finds each in the library that was loaded, at its first call.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <cuda.h>
#include <cublas_v2.h>
#include <cudnn.h>
#include "nccl.h"

enum library { LIB_CUDA, LIB_CUBLAS, LIB_CUDNN, LIB_NCCL, LIB_COUNT };

// What went wrong in the last call of this thread that failed.
struct shim_failure {
	int library;
	const char *function;
	int status;
	int absent; // the library isn't loaded, or has no such function
};

// shim_open loads a library from a file, or by the loader's path if file has no slash, and takes
// it for the library if it has the function probe. It returns 1, with the library's file in path;
// or 0, with the reason in error. A library that is open stays.
int shim_open(enum library lib, const char *file, const char *probe, char *error, size_t error_size, char *path,
	size_t path_size);

// shim_loads tells whether a file can be loaded, and leaves it unloaded. It returns 1, or 0 with
// the reason in error.
int shim_loads(const char *file, char *error, size_t error_size);

// shim_preload loads a file whose symbols and name other libraries then find. It returns 1 or 0.
int shim_preload(const char *file, char *error, size_t error_size);

// shim_last returns the last failure of the calling thread and forgets it.
struct shim_failure shim_last(void);

// shim_cudnn_message copies what cuDNN 9 says about this thread's last error; "" with cuDNN 8.
void shim_cudnn_message(char *message, size_t size);
