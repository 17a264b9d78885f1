// Package gpu is the CUDA device: cuDNN for convolutions, cuBLAS for matrix products, and the
// kernels of package kernels for everything else. It is in builds with the tag cuda, for Linux on
// amd64 and arm64 with cgo; in all others New says that there is none, and how to get it.
//
// No GPU has run this package yet: its tests run on the software emulation of package cudasim.
//
// # Threads
//
// CUDA keeps the context that calls go to for each OS thread, and Go moves goroutines between
// threads. So every method locks its goroutine to the thread that it is on, makes the context
// current there, makes its calls, and unlocks. The alternative, one thread that owns the context and
// gets commands from a queue, would cost a switch of threads at every call, or a thread that spins, and part a
// mistake from the line that made it. As for every device, methods are called from one goroutine at
// a time, but it need not always be the same.
//
// # Queue
//
// All work goes to one stream, in order. Only Download, Sync, Close and the making of plans wait
// for the GPU. Upload copies to pinned memory and returns; it waits where the GPU is some megabytes
// of uploads behind. Methods of plans allocate nothing, on either side.
//
// A failed call, or a fault of the GPU, is kept: queued work after it is dropped, and Sync, Download and all
// others that return an error return it from then on. Errors are *device.Error around the typed errors
// of internal/cuda. Memory that can't be had is no fault, and the device goes on.
//
// # Memory
//
// Tensors and plans have no Close: their memory is given back when Go's garbage collector has found that
// nothing refers to them. As the collector doesn't see device memory, the device runs it: when
// as much was allocated as there was after the last time, and when memory runs out. What a plan needs only
// during a call (partial sums, cuDNN's workspace) lies in one workspace that all share,
// because the stream runs them one after the other.
//
// # Precision
//
// Images, filters and the factors of matrix products are float32, float16 or bfloat16, as each plan's spec says. Kernels
// compute in float32 and round what they store; sums are float32, and so are the parameters of normalisations, biases,
// losses and all that updates the weights. Products of two 16-bit numbers are exact in float32, and tensor cores make
// them. Those of float32 numbers are float32 too with FP32; with TF32 tensor cores multiply factors rounded to 10
// bits of fraction, and add in float32. Auto, the default, takes TF32 where the GPU has it.
//
// The device's precision does not change what a plan stores: FP16 and BF16 tell, by Precision.DType, in which type a
// network should be compiled.
//
// # Algorithms of cuDNN
//
// A convolution's plan takes the first algorithm of cuDNN's heuristics that works within the
// limit of the workspace (WithWorkspaceLimit) and, WithDeterministic, gives the same bits each time.
// WithAutotune measures them instead, on buffers of the plan's size, and keeps what won in
// trainer/cudnn-algorithms.json in the user's cache folder.
package gpu
