// reduce.cu: sums over some of the dimensions of x [batch, rows, c], in three kinds:
//
//	sum            sum x
//	sum_squares    sum x^2
//	sum_products   sum x*w
//
// reduce_* is for results over neighbouring elements: a run of len elements, or repeat runs that begin stride elements
// apart. Sums are taken in float64, which costs nothing here: memory is slower, even on a GPU with one float64 unit for
// every 32 float32 units. reduce_columns_* is for groups of rows [rows, c] that are reduced to their columns, in
// float32.
//
// In long reductions blocks write partial results to memory, and a second launch, reduce_finish_*, or of reduce_columns_* the
// last block (lastblock.cuh) combines them in a fixed order. The same grid gives the same bits. dst is float32, and receives
// alpha times the result.
//
// w is null except for sum_products.
// Bytes per element: e, for sum_products 2e.
#include "block.cuh"
#include "columnsum.cuh"

namespace {

// A kind of sum. of returns what an element contributes, as a number of type T.
template <class T> struct Sum {
	static constexpr bool two = false;
	static __device__ __forceinline__ T of(float x, float) { return (T)x; }
};

template <class T> struct SumSquares : Sum<T> {
	static __device__ __forceinline__ T of(float x, float) { return (T)x * x; }
};

template <class T> struct SumProducts : Sum<T> {
	static constexpr bool two = true;
	static __device__ __forceinline__ T of(float x, float w) { return (T)x * w; }
};

// sumRun adds the elements of a run that one of the threads takes to total.
template <class R>
__device__ __forceinline__ double sumRun(double total, const Element *x, const Element *w, int n, unsigned thread, unsigned threads) {
	const unsigned packs = aligned(x) && (!R::two || aligned(w)) ? n / PACK : 0;
#pragma unroll 2
	for (unsigned i = thread; i < packs; i += threads) {
		const Vector<Element, PACK> v = load<Element, PACK>(x + i * PACK);
		Vector<Element, PACK> u = v;
		if (R::two) u = load<Element, PACK>(w + i * PACK);
#pragma unroll
		for (int k = 0; k < PACK; k++) total += R::of(widen(v.e[k]), widen(u.e[k]));
	}
#pragma unroll 1
	for (unsigned i = packs * PACK + thread; i < n; i += threads) total += R::of(widen(x[i]), R::two ? widen(w[i]) : 0.0f);
	return total;
}

// sumRuns adds the elements that a thread takes of all runs of a result.
template <class R>
__device__ __forceinline__ double sumRuns(const Element *x, const Element *w, int result, int len, int repeat, int stride, unsigned thread, unsigned threads) {
	double total = 0;
#pragma unroll 1
	for (int k = 0; k < repeat; k++) {
		const size_t from = (size_t)result * len + (size_t)k * stride;
		total = sumRun<R>(total, x + from, R::two ? w + from : w, len, thread, threads);
	}
	return total;
}

// runs: if parts > 1, that many blocks per result write partial [results, parts]; if parts is 1, one block per result
// writes dst. With warps, one warp per result writes dst.
template <class R>
__device__ __forceinline__ void runs(float *dst, double *partial, const Element *x, const Element *w, int results, int len, int repeat, int stride, int parts, bool warps, float alpha) {
	const int result = warps ? blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32 : blockIdx.x / parts;
	if (result >= results) return; // true for a whole warp
	const unsigned thread = warps ? threadIdx.x % 32 : blockIdx.x % parts * blockDim.x + threadIdx.x;
	double total = sumRuns<R>(x, w, result, len, repeat, stride, thread, warps ? 32 : parts * blockDim.x);
	total = warps ? warpSum(total) : blockSum(total);
	if (threadIdx.x % (warps ? 32 : 256) > 0) return;
	if (parts == 1)
		dst[result] = (float)(alpha * total);
	else
		partial[blockIdx.x] = total;
}

__device__ __forceinline__ void finish(float *dst, const double *partial, int parts, float alpha) {
	double total = 0;
	partial += (size_t)blockIdx.x * parts;
	for (int i = threadIdx.x; i < parts; i += blockDim.x) total += partial[i];
	total = blockSum(total);
	if (threadIdx.x == 0) dst[blockIdx.x] = (float)(alpha * total);
}

// columns reduces a group of rows, of which there are spans blocks, to its columns: see columnsum.cuh.
template <class R, int W>
__device__ __forceinline__ void columns(float *dst, float *partial, unsigned *arrived, const Element *x, const Element *w, int rows, int c, int rowsPerBlock, int spans, float alpha) {
	const int group = blockIdx.x / spans;
	const Place p = placeOf<W>(rows, c, rowsPerBlock, blockIdx.x % spans);
	const size_t from = (size_t)group * rows * c;
	float total[W] = {};
	if (p.active) {
#pragma unroll (R::two ? 2 : 4)
		for (int row = p.first + p.lane; row < p.end; row += p.lanes) {
			const Vector<Element, W> v = load<Element, W>(x + from + at(p, row, c));
			Vector<Element, W> u = v;
			if (R::two) u = load<Element, W>(w + from + at(p, row, c));
#pragma unroll
			for (int k = 0; k < W; k++) total[k] += R::of(widen(v.e[k]), widen(u.e[k]));
		}
	}
	storeColumnSums<W>(dst, partial, arrived, total, p, group, spans, c, alpha);
}

} // namespace

// reduce_NAME: 256 threads exactly. grid results * parts; with warps, parts is 1 and the grid is ceil(results / 8)
// (kernels.RunsOf).
extern "C" __global__ void __launch_bounds__(256)
KERNEL(reduce_sum)(float *dst, double *partial, const Element *x, const Element *w, int results, int len, int repeat, int stride, int parts, int warps, float alpha) {
	runs<Sum<double>>(dst, partial, x, w, results, len, repeat, stride, parts, warps, alpha);
}

extern "C" __global__ void __launch_bounds__(256)
KERNEL(reduce_sum_squares)(float *dst, double *partial, const Element *x, const Element *w, int results, int len, int repeat, int stride, int parts, int warps, float alpha) {
	runs<SumSquares<double>>(dst, partial, x, w, results, len, repeat, stride, parts, warps, alpha);
}

extern "C" __global__ void __launch_bounds__(256)
KERNEL(reduce_sum_products)(float *dst, double *partial, const Element *x, const Element *w, int results, int len, int repeat, int stride, int parts, int warps, float alpha) {
	runs<SumProducts<double>>(dst, partial, x, w, results, len, repeat, stride, parts, warps, alpha);
}

// reduce_finish_sum: 256 threads exactly, grid exactly the number of results.
extern "C" __global__ void __launch_bounds__(256)
KERNEL(reduce_finish_sum)(float *dst, const double *partial, int parts, float alpha) { finish(dst, partial, parts, alpha); }

// reduce_columns_NAME: launched as columns.cuh says, with grid.x = groups * spans (kernels.ColumnsOf). vector is 1 if 4
// divides c and addresses are multiples of 16, otherwise 0.
extern "C" __global__ void __launch_bounds__(256)
KERNEL(reduce_columns_sum)(float *dst, float *partial, unsigned *arrived, const Element *x, const Element *w, int rows, int c, int rowsPerBlock, int spans, int vector, float alpha) {
	if (vector)
		columns<Sum<float>, 4>(dst, partial, arrived, x, w, rows, c, rowsPerBlock, spans, alpha);
	else
		columns<Sum<float>, 1>(dst, partial, arrived, x, w, rows, c, rowsPerBlock, spans, alpha);
}

extern "C" __global__ void __launch_bounds__(256)
KERNEL(reduce_columns_sum_squares)(float *dst, float *partial, unsigned *arrived, const Element *x, const Element *w, int rows, int c, int rowsPerBlock, int spans, int vector, float alpha) {
	if (vector)
		columns<SumSquares<float>, 4>(dst, partial, arrived, x, w, rows, c, rowsPerBlock, spans, alpha);
	else
		columns<SumSquares<float>, 1>(dst, partial, arrived, x, w, rows, c, rowsPerBlock, spans, alpha);
}

extern "C" __global__ void __launch_bounds__(256)
KERNEL(reduce_columns_sum_products)(float *dst, float *partial, unsigned *arrived, const Element *x, const Element *w, int rows, int c, int rowsPerBlock, int spans, int vector, float alpha) {
	if (vector)
		columns<SumProducts<float>, 4>(dst, partial, arrived, x, w, rows, c, rowsPerBlock, spans, alpha);
	else
		columns<SumProducts<float>, 1>(dst, partial, arrived, x, w, rows, c, rowsPerBlock, spans, alpha);
}
