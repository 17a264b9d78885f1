// Package cuda binds the functions of NVIDIA's driver, cuBLAS and cuDNN that the CUDA device needs.
//
// # Build
//
// With the build tag cuda, on Linux for amd64 and arm64 (WSL included) with cgo, the package
// binds the libraries. In all other builds, including those for Windows and macOS, it has only
// the search and the error types, which need neither cgo nor gorgonia. No CUDA toolkit, header
// or library is needed to build:
//
//   - include/ has minimal headers, and trampolines.h a definition of every function that is
//     linked. scripts/cuda-headers.sh writes both from NVIDIA's headers; functions.txt lists what
//     this package adds to what gorgonia.org/cu names.
//   - lib/ has empty archives, because gorgonia asks the linker for -lcuda, -lcublas and -lcudnn.
//   - gorgonia's packages find them by CGO_CFLAGS and CGO_LDFLAGS, which scripts/cuda-env.sh sets.
//
// # Start
//
// The libraries are loaded with dlopen when they are first needed: libcuda by Init, cuBLAS by
// NewBLAS, cuDNN by NewDNN, all of them by Libraries. A program that calls none of these loads
// nothing, although gorgonia's package init calls cuInit, because the shim handles that call. Load
// loads cuBLAS and cuDNN beside other work, without their handles.
// If the library of a call isn't loaded or lacks the function, the call returns the library's
// status for that (NOT_INITIALIZED, NOT_FOUND, NOT_SUPPORTED); nothing here ends the process.
//
// # Search
//
// The search for a library starts in the folders of TRAINER_CUDA_PATH and their subfolders lib64, lib and nvidia/*/lib.
// It continues with the loader and the usual folders of toolkits and distributions. Then follow, except for libcuda,
// the Python packages of the active environment, of the interpreters on the PATH and of the user. The first file that
// loads is used: libcudnn.so.9 before libcudnn.so.8, and libcublas.so.13 before libcublas.so.12 unless the driver is
// for CUDA 12. Python itself runs only if nothing else was found, for two seconds at most. cuDNN looks for its parts by
// name, and ends the process if one is missing; so they are loaded first, and a cuDNN without them is skipped.
//
// # Which calls go through gorgonia
//
// gorgonia's types are also the types of this package, so its calls and ours can be mixed: cu.Device, cu.Stream,
// cu.Event, cu.DevicePtr, cu.Module, cu.Function, the cuDNN descriptors, and the handles inside BLAS and DNN, which
// embed cublas.Standard and cudnn.Context. gorgonia makes the calls for devices, the context, device memory, copies,
// memset, streams, events, functions of modules, handles and descriptors. This package makes the other calls itself,
// each for one of these reasons:
//
//   - gorgonia lacks it: pinned host memory, stream capture and graphs, streams, math modes and
//     workspaces of cuBLAS and cuDNN, cublasGemmEx, workspace sizes, the _v7 heuristics,
//     dynamic shared memory, cuDNN's operation graphs (backend.go, convolution_graph.go).
//   - its version doesn't do: FindConvolution* writes through a nil result; JIT options lose the
//     length of the log and hide Go pointers from the collector; Function.Launch allocates and
//     frees C memory twice, and reads 8 bytes of every argument; the BLAS takes slices of host
//     memory and is silent after its first error.
//   - its calls into cuDNN allocate on the Go heap (alpha, beta, every pointer as an interface)
//     and refuse bfloat16. What runs in a training step allocates nothing here.
//
// gorgonia's errors name neither the function nor, with cuDNN 9, the right status. The shim
// records both per thread, and Check turns them into an *Error.
//
// # Threads
//
// Calls are made by one goroutine at a time, locked to its OS thread, with the context current there. Nothing here
// starts another thread. (gorgonia's finalizers free descriptors that were never destroyed from another thread; that
// concerns only host memory.)
package cuda
