// epilogue.cu: bias and ReLU after a convolution or matrix product, if the library call can't
// fuse them. x is [rows, c], with one bias per column.
//
//	bias        y[i,j] = x[i,j] + bias[j]
//	bias_relu   y[i,j] = max(x[i,j] + bias[j], 0)
//
// bias is float32 [c] for all storage types. y may be x. n = rows*c < 2^31.
//
// Launch: 256 threads, any grid (kernels.VectorPerThread of n).
// Elements moved per element: 2.
#include "elementwise.cuh"
#include "function.cuh"

namespace {

template <class F> __device__ __forceinline__ void addBias(Element *y, const Element *x, const float *bias, int n, int c) {
	const unsigned packs = aligned(x) && aligned(y) ? n / PACK : 0;
#pragma unroll 1
	for (unsigned i = threadInGrid(); i < packs; i += threadsInGrid()) {
		Vector<Element, PACK> v = load<Element, PACK>(x + i * PACK);
		unsigned j = i * PACK % c;
#pragma unroll
		for (int k = 0; k < PACK; k++) {
			narrow(v.e[k], F::value(widen(v.e[k]) + bias[j], 0.0f));
			if (++j == c) j = 0;
		}
		store(y + i * PACK, v);
	}
#pragma unroll 1
	for (unsigned i = packs * PACK + threadInGrid(); i < n; i += threadsInGrid())
		narrow(y[i], F::value(widen(x[i]) + bias[i % c], 0.0f));
}

} // namespace

extern "C" __global__ void __launch_bounds__(256)
KERNEL(bias)(Element *y, const Element *x, const float *bias, int n, int c) { addBias<Identity>(y, x, bias, n, c); }

extern "C" __global__ void __launch_bounds__(256)
KERNEL(bias_relu)(Element *y, const Element *x, const float *bias, int n, int c) { addBias<ReLU>(y, x, bias, n, c); }
