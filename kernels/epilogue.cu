// epilogue.cu: bias and ReLU after a convolution or matrix product, if the library call can't
// fuse them, and the way back. x is [rows, c], with one bias per column.
//
//	bias                 y[i,j] = x[i,j] + bias[j]
//	bias_relu            y[i,j] = max(x[i,j] + bias[j], 0)
//	bias_relu_backward   dx[i,j] = dy[i,j] where y[i,j] > 0, otherwise 0      dbias[j] = sum_i dx[i,j]
//
// bias is float32 [c] for all storage types. y may be x. n = rows*c < 2^31.
//
// Launch, except for bias_relu_backward: 256 threads, any grid (kernels.VectorPerThread of n).
// Elements moved per element: 2, backward 3.
#include "columnsum.cuh"
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

template <int W>
__device__ __forceinline__ void backward(Element *dx, float *dbias, float *partial, unsigned *arrived, const Element *dy, const Element *y, int rows,
	int c, int rowsPerBlock) {
	const Place p = placeOf<W>(rows, c, rowsPerBlock);
	float total[W] = {};
	if (p.active) {
#pragma unroll 2
		for (int row = p.first + p.lane; row < p.end; row += p.lanes) {
			Vector<Element, W> d = load<Element, W>(dy + at(p, row, c));
			const Vector<Element, W> v = load<Element, W>(y + at(p, row, c));
#pragma unroll
			for (int k = 0; k < W; k++) {
				const float passed = widen(d.e[k]) * ReLU::slope(widen(v.e[k]), 0.0f);
				narrow(d.e[k], passed);
				total[k] += passed;
			}
			store(dx + at(p, row, c), d);
		}
	}
	storeColumnSums<W>(dbias, partial, arrived, total, p, 0, gridDim.x, c, 1.0f);
}

} // namespace

extern "C" __global__ void __launch_bounds__(256)
KERNEL(bias)(Element *y, const Element *x, const float *bias, int n, int c) { addBias<Identity>(y, x, bias, n, c); }

extern "C" __global__ void __launch_bounds__(256)
KERNEL(bias_relu)(Element *y, const Element *x, const float *bias, int n, int c) { addBias<ReLU>(y, x, bias, n, c); }

// dx may be dy. partial is [gridDim.x, c]; arrived [gridDim.y] is 0 before and after. vector is 1 if 4 divides c and addresses are
// multiples of 16, otherwise 0.
//
// Launched as columns.cuh says (kernels.Columns).
extern "C" __global__ void __launch_bounds__(256)
KERNEL(bias_relu_backward)(Element *dx, float *dbias, float *partial, unsigned *arrived, const Element *dy, const Element *y, int rows, int c,
	int rowsPerBlock, int vector) {
	if (vector)
		backward<4>(dx, dbias, partial, arrived, dy, y, rows, c, rowsPerBlock);
	else
		backward<1>(dx, dbias, partial, arrived, dy, y, rows, c, rowsPerBlock);
}
