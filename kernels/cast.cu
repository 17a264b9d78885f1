// cast.cu: conversions of n elements, n < 2^31, between float32 and the storage type. They round to nearest, ties to
// even, keep subnormals, give infinity beyond the largest number, and turn NaN into NaN.
//
// Launch, except for the lists: 256 threads, any grid; each thread takes 4 elements at a time (kernels.FourPerThread).
// Bytes per element: the size of an element of each type.
#include "storage.cuh"
#include "table.cuh"

#if defined(STORAGE_FLOAT16) || defined(STORAGE_BFLOAT16)

namespace {

template <class To, class From, class F> __device__ __forceinline__ void convert(To *y, const From *x, int n, F f) {
	const unsigned quads = aligned(x) && aligned(y) ? n / 4 : 0;
	const unsigned thread = blockIdx.x * blockDim.x + threadIdx.x, threads = gridDim.x * blockDim.x;
#pragma unroll 1
	for (unsigned q = thread; q < quads; q += threads) {
		const Vector<From, 4> v = load<From, 4>(x + 4 * q);
		Vector<To, 4> u;
#pragma unroll
		for (int k = 0; k < 4; k++) narrow(u.e[k], f(widen(v.e[k])));
		store(y + 4 * q, u);
	}
#pragma unroll 1
	for (unsigned i = 4 * quads + thread; i < n; i += threads) narrow(y[i], f(widen(x[i])));
}

} // namespace

namespace {

struct Same {
	__device__ __forceinline__ float operator()(float v) const { return v; }
};

} // namespace

extern "C" __global__ void __launch_bounds__(256)
KERNEL(cast_from_float32)(Element *y, const float *x, int n) { convert(y, x, n, Same()); }

extern "C" __global__ void __launch_bounds__(256)
KERNEL(cast_to_float32)(float *y, const Element *x, int n) { convert(y, x, n, Same()); }

// CastPair is one tensor of each type, as kernels.Pair lays it out.
struct CastPair {
	void *dst;
	const void *src;
};

namespace {

template <class To, class From> __device__ __forceinline__ void convertChunk(const CastPair *pairs, const Chunk *chunks) {
	const Chunk chunk = chunks[blockIdx.x];
	const CastPair p = pairs[chunk.tensor];
	To *dst = static_cast<To *>(p.dst);
	const From *src = static_cast<const From *>(p.src);
#pragma unroll 4
	for (int i = chunk.from + threadIdx.x; i < chunk.to; i += 256) narrow(dst[i], widen(src[i]));
}

} // namespace

// The same for a list of tensors in one launch: weights to the storage type, gradients from it.
// Launch: 256 threads, grid: as many blocks as chunks (kernels.Chunks).
extern "C" __global__ void __launch_bounds__(256)
KERNEL(cast_list_from_float32)(const CastPair *pairs, const Chunk *chunks) { convertChunk<Element, float>(pairs, chunks); }

extern "C" __global__ void __launch_bounds__(256)
KERNEL(cast_list_to_float32)(const CastPair *pairs, const Chunk *chunks) { convertChunk<float, Element>(pairs, chunks); }

#endif

#ifdef STORAGE_BFLOAT16

// Conversions between the two 16-bit types, through float32, which can represent all values of both.
extern "C" __global__ void __launch_bounds__(256)
KERNEL(cast_from_float16)(Element *y, const __half *x, int n) { convert(y, x, n, Same()); }

extern "C" __global__ void __launch_bounds__(256)
KERNEL(cast_to_float16)(__half *y, const Element *x, int n) { convert(y, x, n, Same()); }

#endif
