// cuda_host.h lets a C++ compiler build this project's CUDA kernels for the host, so that
// their arithmetic can be tested on a machine without a GPU.
//
// How to build a module. One translation unit includes this header, then the kernels' source, and
// then names every kernel in it:
//
//     #include "cuda_host.h"
//     #include "reduce.cu"
//     CUDA_HOST_KERNEL(reduce_sum)
//     CUDA_HOST_KERNEL(reduce_sum_squares)
//
// (package kernels writes it: see Module.HostSource), compiled by
//
//     c++ -std=c++17 -O2 -shared -fPIC -I kernels/internal/host -I kernels -o reduce.so unit.cc
//
// What the library exports. For each kernel K two C functions:
//
//     void host_launch_K(unsigned gx, unsigned gy, unsigned gz,     // grid, in blocks
//                        unsigned bx, unsigned by, unsigned bz,     // block, in threads
//                        size_t sharedBytes,                        // dynamic shared memory
//                        void **args);                              // args[i] points to parameter i
//     unsigned host_parameters_K(unsigned *sizes, unsigned limit);  // number of parameters; sizes in bytes
//
// as cuLaunchKernel takes them, and once for the library
//
//     void host_set_order(int order);                     // see "Order"
//     void host_set_failure(void (*f)(const char *line)); // called for a mistake, see "Mistakes"
//
// host_launch_K returns when all threads have run. threadIdx and shared memory are plain globals, so two
// threads of the host must not call a library at the same time.
//
// How it runs. Blocks run one after the other, and the threads of a block one after the other, each as a
// plain call. A thread that reaches __syncthreads or a shuffle before the others is set aside: its fiber (a
// separate stack) waits, and another fiber runs the threads that have not begun. So a kernel without
// barriers never switches stacks.
//
// Order. 0 runs blocks, and threads between two barriers, in ascending order of their index; 1 in
// descending order. A GPU promises no order, so a kernel must give the same result in both; if it does not,
// a __syncthreads is missing.
//
// Mistakes. Mistakes whose effect CUDA leaves undefined are reported as one line of text to the failure
// function, which must not return; without such a function the line goes to stderr and the process aborts.
// They are: a launch beyond the limits of compute capability 7.5, a barrier or a shuffle that some of its
// threads never reach, and a shuffle in a warp that is not full.
//
// Supported parts of CUDA C++: threadIdx, blockIdx, blockDim, gridDim, warpSize; __global__, __device__,
// __host__, __forceinline__, __launch_bounds__, __constant__, static __shared__; for dynamic shared memory
// DYNAMIC_SHARED(type, name), which a source that needs it defines for the GPU as extern __shared__ type
// name[]; __syncthreads, __threadfence; __shfl_sync, __shfl_down_sync, __shfl_xor_sync; atomicAdd on int and unsigned;
// __half, __nv_bfloat16 and their conversions; the functions at the end of this file. Mathematical
// functions are the host's. A product and a sum round twice here (compile with -ffp-contract=off), but only
// once if the GPU's compiler contracts them.
#ifndef TRAINER_CUDA_HOST_H
#define TRAINER_CUDA_HOST_H

// The fortified longjmp would report a switch of stacks as an error.
#undef _FORTIFY_SOURCE
#ifndef _XOPEN_SOURCE
#define _XOPEN_SOURCE 700
#endif
#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE 1
#endif
#ifndef _DARWIN_C_SOURCE
#define _DARWIN_C_SOURCE 1
#endif

#include <cmath>
#include <csetjmp>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>
#include <ucontext.h>
#include <utility>

// With this macro, sources can tell the two compilations apart.
#define CUDA_HOST 1

#define __global__
#define __device__
#define __host__
#define __constant__ static const
#define __shared__ static
#define DYNAMIC_SHARED(type, name) type *name = reinterpret_cast<type *>(cuda_host::dynamicShared)
#define __launch_bounds__(...)
#define __forceinline__ inline __attribute__((always_inline))

// ---- The grid ----------------------------------------------------------------------

struct uint3 { unsigned x, y, z; };
struct dim3 { unsigned x, y, z; };

inline uint3 threadIdx, blockIdx;
inline dim3 blockDim, gridDim;
constexpr int warpSize = 32;

namespace cuda_host {

constexpr unsigned maxThreads = 1024;
constexpr size_t maxShared = 64 << 10; // of compute capability 7.5
constexpr size_t stackSize = 256 << 10;

inline void (*failure)(const char *) = nullptr;
inline int order = 0;

template <class... A> [[noreturn]] void fail(const char *format, A... a) {
	char line[512];
	snprintf(line, sizeof line, format, a...);
	if (failure) failure(line);
	fprintf(stderr, "cuda_host: %s\n", line);
	abort();
}

// A kernel with its arguments, without their types.
struct Call {
	const char *name;
	void (*invoke)(void (*kernel)(), void **args);
	void (*kernel)();
	void **args;
};

// A stack on which threads run, and its current thread.
struct Fiber {
	ucontext_t context;
	jmp_buf saved;
	bool begun;
	unsigned thread;
	const void *stack;
	size_t size;
};

// The state of the current block.
struct Block {
	Call call;
	unsigned threads, next, ended; // next: number of threads that have begun
	unsigned fibers;               // number in use
	unsigned atBarrier;
	unsigned atWarp[maxThreads / 32];
	// Values of a shuffle, [warp][turn][lane]: two turns, because one lane may be at the next shuffle while
	// another still has to read. It cannot be two shuffles ahead.
	uint64_t lane[maxThreads / 32][2][32];
	unsigned turn[maxThreads];
	Fiber *carrier[maxThreads]; // of each thread
	// Fibers that can continue, in order. Each is in the list at most once.
	Fiber *ready[maxThreads];
	unsigned firstReady, readies;
	Fiber *current;
};

inline Block block;
inline Fiber launcher; // the stack of host_launch
inline Fiber fiber[maxThreads];
alignas(16) inline unsigned char dynamicShared[maxShared];

// ---- Switching stacks --------------------------------------------------------------
//
// A fiber begins with setcontext, and from then on _setjmp and _longjmp switch: they leave the signal mask
// alone, which saves two system calls.

inline void switchTo(Fiber *to) {
	if (_setjmp(block.current->saved) != 0) return;
	block.current = to;
	if (to->begun) _longjmp(to->saved, 1);
	to->begun = true;
	setcontext(&to->context);
}

[[noreturn]] inline void deadlock() {
	unsigned atWarp = 0;
	for (unsigned n : block.atWarp) atWarp += n;
	fail("%s: block (%u,%u,%u) of %u threads: %u wait at __syncthreads and %u at a shuffle for others; %u have ended",
		block.call.name, blockIdx.x, blockIdx.y, blockIdx.z, block.threads, block.atBarrier, atWarp, block.ended);
}

// place makes thread t of the block the current thread.
inline void place(unsigned t) {
	threadIdx = {t % blockDim.x, t / blockDim.x % blockDim.y, t / (blockDim.x * blockDim.y)};
}

inline void fiberMain();

inline Fiber *newFiber() {
	Fiber *f = &fiber[block.fibers++];
	if (f->stack) return f;
	void *stack = mmap(nullptr, stackSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
	if (stack == MAP_FAILED) fail("no memory for the stack of a thread");
	f->stack = stack;
	f->size = stackSize - (f - fiber) % 128 * 320; // otherwise all stacks would compete for the same cache lines
	getcontext(&f->context);
	f->context.uc_stack.ss_sp = stack;
	f->context.uc_stack.ss_size = f->size;
	f->context.uc_link = nullptr;
	makecontext(&f->context, fiberMain, 0);
	return f;
}

// following returns the fiber to run next: one that is ready, otherwise a new one for the threads that have
// not begun.
inline Fiber *following() {
	if (block.readies > 0) {
		block.readies--;
		return block.ready[block.firstReady++ % maxThreads];
	}
	if (block.next == block.threads) deadlock();
	return newFiber();
}

// fiberMain runs threads that have not begun until all have, block after block.
inline void fiberMain() {
	for (;;) {
		while (block.next < block.threads) {
			unsigned t = block.next++;
			if (order) t = block.threads - 1 - t;
			block.current->thread = t;
			block.carrier[t] = block.current;
			place(t);
			block.call.invoke(block.call.kernel, block.call.args);
			block.ended++;
		}
		switchTo(block.ended == block.threads ? &launcher : following());
	}
}

// wait sets the current thread aside until another makes it ready.
inline void wait() {
	Fiber *f = block.current;
	switchTo(following());
	place(f->thread);
}

// release makes the threads [from, to) ready, except the current one.
inline void release(unsigned from, unsigned to) {
	for (unsigned i = from; i < to; i++) {
		Fiber *f = block.carrier[order ? from + to - 1 - i : i];
		if (f != block.current) block.ready[(block.firstReady + block.readies++) % maxThreads] = f;
	}
}

inline void blockBarrier() {
	if (++block.atBarrier < block.threads) return wait();
	block.atBarrier = 0;
	release(0, block.threads);
}

inline void warpBarrier(unsigned warp) {
	if (++block.atWarp[warp] < 32) return wait();
	block.atWarp[warp] = 0;
	release(32 * warp, 32 * warp + 32);
}

// runBlock runs every thread of the block.
inline void runBlock() {
	block.next = block.ended = block.fibers = block.atBarrier = block.readies = 0;
	memset(block.atWarp, 0, sizeof block.atWarp);
	memset(block.turn, 0, sizeof(unsigned) * block.threads);
	block.current = &launcher;
	launcher.begun = true;
	switchTo(newFiber());
}

inline void checkLaunch(const char *name, dim3 g, dim3 b, size_t shared) {
	uint64_t threads = uint64_t(b.x) * b.y * b.z;
	if (g.x < 1 || g.y < 1 || g.z < 1 || g.x > 0x7FFFFFFF || g.y > 65535 || g.z > 65535)
		fail("%s: a grid of %u x %u x %u blocks, want 1 to 2147483647 x 65535 x 65535", name, g.x, g.y, g.z);
	if (threads < 1 || threads > maxThreads || b.z > 64)
		fail("%s: blocks of %u x %u x %u threads, want 1 to 1024 together, and z at most 64", name, b.x, b.y, b.z);
	if (shared > maxShared) fail("%s: %zu bytes of dynamic shared memory, want at most %zu", name, shared, maxShared);
}

inline void launch(Call call, dim3 g, dim3 b, size_t shared) {
	checkLaunch(call.name, g, b, shared);
	block.call = call;
	block.threads = b.x * b.y * b.z;
	gridDim = g;
	blockDim = b;
	uint64_t blocks = uint64_t(g.x) * g.y * g.z;
	for (uint64_t n = 0; n < blocks; n++) {
		uint64_t i = order ? blocks - 1 - n : n;
		blockIdx = {unsigned(i % g.x), unsigned(i / g.x % g.y), unsigned(i / g.x / g.y)};
		memset(dynamicShared, 0xFF, shared); // NaN, whatever the type
		runBlock();
	}
}

template <class... P, size_t... I> void invoke(void (*kernel)(P...), void **args, std::index_sequence<I...>) {
	kernel(*static_cast<P *>(args[I])...);
}

template <class... P> Call bind(const char *name, void (*kernel)(P...), void **args) {
	return {name,
		[](void (*k)(), void **a) { invoke(reinterpret_cast<void (*)(P...)>(k), a, std::index_sequence_for<P...>{}); },
		reinterpret_cast<void (*)()>(kernel), args};
}

template <class... P> unsigned parameters(void (*)(P...), unsigned *sizes, unsigned limit) {
	const unsigned all[] = {unsigned(sizeof(P))..., 0};
	for (unsigned i = 0; i < sizeof...(P) && i < limit; i++) sizes[i] = all[i];
	return sizeof...(P);
}

// shuffle returns the value of lane `from` of the warp, once all lanes have given their values.
template <class T> T shuffle(unsigned mask, T value, unsigned from) {
	static_assert(sizeof(T) == 4 || sizeof(T) == 8, "shuffles move 4 or 8 bytes");
	unsigned t = block.current->thread, warp = t / 32;
	if (mask != 0xFFFFFFFFu || 32 * warp + 32 > block.threads)
		fail("%s: a shuffle with mask %#x in warp %u of a block of %u threads, want full warps", block.call.name, mask, warp, block.threads);
	uint64_t *lane = block.lane[warp][block.turn[t]++ & 1];
	memcpy(&lane[t % 32], &value, sizeof value);
	warpBarrier(warp);
	memcpy(&value, &lane[from % 32], sizeof value);
	return value;
}

inline unsigned lane() { return block.current->thread % 32; }

} // namespace cuda_host

#define CUDA_HOST_EXPORT extern "C" __attribute__((visibility("default"), used))

// CUDA_HOST_KERNEL exports the launcher of one kernel.
#define CUDA_HOST_KERNEL(kernel)                                                                         \
	CUDA_HOST_EXPORT void host_launch_##kernel(unsigned gx, unsigned gy, unsigned gz,                    \
		unsigned bx, unsigned by, unsigned bz, size_t sharedBytes, void **args) {                        \
		cuda_host::launch(cuda_host::bind(#kernel, kernel, args), {gx, gy, gz}, {bx, by, bz}, sharedBytes); \
	}                                                                                                    \
	CUDA_HOST_EXPORT unsigned host_parameters_##kernel(unsigned *sizes, unsigned limit) {                \
		return cuda_host::parameters(kernel, sizes, limit);                                              \
	}

CUDA_HOST_EXPORT inline void host_set_order(int order) { cuda_host::order = order; }
CUDA_HOST_EXPORT inline void host_set_failure(void (*f)(const char *)) { cuda_host::failure = f; }

// ---- Barriers, shuffles, atomics ---------------------------------------------------

inline void __syncthreads() { cuda_host::blockBarrier(); }
inline void __threadfence() {} // blocks run one after the other

template <class T> T __shfl_sync(unsigned mask, T v, int from) { return cuda_host::shuffle(mask, v, unsigned(from)); }
template <class T> T __shfl_xor_sync(unsigned mask, T v, int lanes) {
	return cuda_host::shuffle(mask, v, cuda_host::lane() ^ unsigned(lanes));
}
// Lanes past the end keep their own value.
template <class T> T __shfl_down_sync(unsigned mask, T v, unsigned delta) {
	unsigned from = cuda_host::lane() + delta;
	return cuda_host::shuffle(mask, v, from < 32 ? from : cuda_host::lane());
}

inline int atomicAdd(int *p, int v) { return __atomic_fetch_add(p, v, __ATOMIC_RELAXED); }
inline unsigned atomicAdd(unsigned *p, unsigned v) { return __atomic_fetch_add(p, v, __ATOMIC_RELAXED); }

// ---- Functions ---------------------------------------------------------------------

inline unsigned __float_as_uint(float x) { unsigned u; memcpy(&u, &x, 4); return u; }
inline float __uint_as_float(unsigned u) { float x; memcpy(&x, &u, 4); return x; }
inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned(uint64_t(a) * b >> 32); }

inline int min(int a, int b) { return a < b ? a : b; }
inline int max(int a, int b) { return a > b ? a : b; }
inline unsigned min(unsigned a, unsigned b) { return a < b ? a : b; }
inline unsigned max(unsigned a, unsigned b) { return a > b ? a : b; }

inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline float __expf(float x) { return expf(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fadd_rn(float a, float b) { return a + b; }

// ---- 16-bit floating point ---------------------------------------------------------

struct __half { unsigned short bits; };
struct __nv_bfloat16 { unsigned short bits; };

// binary16 has 5 exponent bits with bias 15 and 10 mantissa bits. The bits are shifted to their place in a
// float32, and an exact multiplication corrects the exponent.
inline float __half2float(__half h) {
	unsigned magnitude = (h.bits & 0x7FFFu) << 13;
	unsigned b = __float_as_uint(__uint_as_float(magnitude) * 0x1p112f);
	if (magnitude >= 0x7C00u << 13) b = magnitude | 0x7F800000u;
	return __uint_as_float(b | (h.bits & 0x8000u) << 16);
}

// To nearest, ties to even; NaN becomes 0x7FFF, as on the GPU.
inline __half __float2half_rn(float x) {
	unsigned b = __float_as_uint(x), sign = b >> 16 & 0x8000u;
	b &= 0x7FFFFFFFu;
	if (b > 0x7F800000u) return {0x7FFF};
	if (b >= 143u << 23) return {(unsigned short)(sign | 0x7C00u)}; // 2^16 or more
	if (b < 113u << 23) { // below 2^-14 the spacing is 2^-24, the last place of a number near 1/2
		float sum = __uint_as_float(b) + 0.5f;
		return {(unsigned short)(sign | (__float_as_uint(sum) - 0x3F000000u))};
	}
	return {(unsigned short)(sign | (b - (112u << 23) + 0xFFFu + (b >> 13 & 1u)) >> 13)};
}

inline float __bfloat162float(__nv_bfloat16 h) { return __uint_as_float(unsigned(h.bits) << 16); }

inline __nv_bfloat16 __float2bfloat16_rn(float x) {
	unsigned b = __float_as_uint(x);
	if ((b & 0x7FFFFFFFu) > 0x7F800000u) return {0x7FFF};
	return {(unsigned short)((b + 0x7FFFu + (b >> 16 & 1u)) >> 16)};
}

#endif // TRAINER_CUDA_HOST_H
