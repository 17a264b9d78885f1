// Package gpu is the CUDA device: most convolutions run in cuDNN, matrix products in cuBLAS, and everything else in the kernels
// of package kernels. It is part of builds with the tag cuda, for Linux on amd64 and arm64 with cgo; in other builds New
// returns an error that says how to get it.
//
// Its tests and those of package training, which train whole networks, run on the software emulation of package cudasim,
// or with TRAINER_TEST_GPU=1 on this machine's first GPU.
// Package doctor, below it, finds out whether a machine's GPUs can be used.
//
// # Threads
//
// CUDA keeps the current context per OS thread, and Go moves goroutines between threads. So every method locks its
// goroutine to its thread, makes the context current there, makes its calls, and unlocks. The alternative, one thread that
// owns the context and takes commands from a queue, would cost a thread switch per call, or a spinning thread, and would
// separate a mistake from the line that made it. As for every device, methods are called from one goroutine at a time, but
// not necessarily always the same.
//
// # Queue
//
// All work goes to one stream, in order. Download, Sync, Close and the making of plans wait for the GPU. Upload copies to
// pinned memory and returns; it waits if the GPU is some megabytes of uploads behind. Methods of plans allocate nothing, on
// the host or on the device.
//
// A failed call or a fault of the GPU is kept: queued work after it is dropped, and Sync, Download and all other methods
// that return an error return it from then on. Errors are *device.Error around the typed errors of internal/cuda. Running
// out of memory is not a fault: the device remains usable.
//
// # Memory
//
// Tensors and plans have no Close: their memory is freed once Go's garbage collector has found that nothing refers to them.
// Because the collector doesn't see device memory, the device runs it: when as much has been allocated as was in use after
// the last collection, and when memory runs out. Memory that a plan needs only during a call (partial sums, cuDNN's
// workspace) is in one workspace that all plans share, because the stream runs them one after the other.
//
// # Precision
//
// Activations and the operands of convolutions and matrix products are float32, float16 or bfloat16, as each plan's spec
// says. Kernels compute in float32 and round what they store; sums are float32, and so are the parameters of
// normalisations, biases, losses, and everything that updates the weights. Products of two 16-bit numbers are exact in
// float32, and tensor cores compute them. With FP32, products of float32 numbers are float32 too; with TF32, tensor cores
// multiply operands rounded to 10 mantissa bits, and accumulate in float32. Auto, the default, is TF32 if the GPU supports
// it, else FP32.
//
// The device's precision does not change what a plan stores: for FP16 and BF16, Precision.DType is the type with which a
// network should be compiled.
//
// # Algorithms of cuDNN
//
// A convolution's plan takes the first algorithm of cuDNN's heuristics that works within the limit of the workspace
// (WithWorkspaceLimit) and, with WithDeterministic, is deterministic. WithAutotune instead times the algorithms on buffers
// of the plan's size, and keeps the fastest in trainer/cudnn-algorithms.json in the user's cache folder.
package gpu
