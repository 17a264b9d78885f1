// reduce.cu: sums over a tensor, in two launches each: blocks leave partial results in
// memory, and one more launch adds these up in a fixed order. The same grid gives the same bits.
//
//	reduce_rows          x [rows, c]:  dst[j] = sum_i x[i,j]      in float32
//	reduce_sum           dst = sum x                              in float64
//	reduce_sum_squares   dst = sum x^2                            in float64
//	reduce_non_finite    dst = number of NaN and infinite x       in integers
//
// dst is float32. float64 sums cost nothing here: memory is slower, even where a GPU has one
// float64 unit for 32 float32 ones.
//
// Bytes an element: 1 element read.
#include "block.cuh"
#include "columns.cuh"

namespace {

template <int W> __device__ __forceinline__ void addRows(float *partial, const Element *x, int rows, int c, int rowsPerBlock) {
	const Place p = placeOf<W>(rows, c, rowsPerBlock);
	float sum[W] = {};
	if (p.active) {
#pragma unroll 4
		for (int row = p.first + p.lane; row < p.end; row += p.lanes) {
			const Vector<Element, W> v = load<Element, W>(x + at(p, row, c));
#pragma unroll
			for (int k = 0; k < W; k++) sum[k] += widen(v.e[k]);
		}
	}
	sumLanes<W>(sum, p);
	if (!p.active || p.lane > 0) return;
#pragma unroll
	for (int k = 0; k < W; k++) partial[(size_t)blockIdx.x * c + p.column + k] = sum[k];
}

// addAll leaves in partial[blockIdx.x] the sum of f of the elements that the block meets in
// going through x by whole grids.
template <class T, class F> __device__ __forceinline__ void addAll(T *partial, const Element *x, int n, F f) {
	const unsigned packs = aligned(x) ? n / PACK : 0;
	const unsigned thread = blockIdx.x * blockDim.x + threadIdx.x, threads = gridDim.x * blockDim.x;
	T sum = T();
#pragma unroll 2
	for (unsigned i = thread; i < packs; i += threads) {
		const Vector<Element, PACK> v = load<Element, PACK>(x + i * PACK);
#pragma unroll
		for (int k = 0; k < PACK; k++) sum += f(widen(v.e[k]));
	}
#pragma unroll 1
	for (unsigned i = packs * PACK + thread; i < n; i += threads) sum += f(widen(x[i]));
	sum = blockSum(sum);
	if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

template <class T> __device__ __forceinline__ void finish(float *dst, const T *partial, int blocks) {
	T sum = T();
	for (int i = threadIdx.x; i < blocks; i += blockDim.x) sum += partial[i];
	sum = blockSum(sum);
	if (threadIdx.x == 0) *dst = (float)sum;
}

} // namespace

// reduce_rows leaves partial [gridDim.x, c]. vector is 1 where 4 divides c and the
// address of x is a multiple of 16, else 0. Launch: columns.cuh.
extern "C" __global__ void __launch_bounds__(256)
KERNEL(reduce_rows)(float *partial, const Element *x, int rows, int c, int rowsPerBlock, int vector) {
	if (vector)
		addRows<4>(partial, x, rows, c, rowsPerBlock);
	else
		addRows<1>(partial, x, rows, c, rowsPerBlock);
}

// reduce_rows_finish computes dst [c] from it. Launch: 256 threads, grid ceil(c / 8).
extern "C" __global__ void __launch_bounds__(256)
KERNEL(reduce_rows_finish)(float *dst, const float *partial, int blocks, int c) {
	const float sum = sumPartials(partial, blocks, c);
	if (finishLane() == 0 && finishColumn() < c) dst[finishColumn()] = sum;
}

// The others: 256 threads exactly and any grid, which is the length of partial: kernels.Reduction. Their
// finish: one block of 256 threads, blocks being that length.
extern "C" __global__ void __launch_bounds__(256)
KERNEL(reduce_sum)(double *partial, const Element *x, int n) {
	addAll(partial, x, n, [](float v) { return (double)v; });
}

extern "C" __global__ void __launch_bounds__(256)
KERNEL(reduce_sum_squares)(double *partial, const Element *x, int n) {
	addAll(partial, x, n, [](float v) { return (double)v * v; });
}

extern "C" __global__ void __launch_bounds__(256)
KERNEL(reduce_finish)(float *dst, const double *partial, int blocks) { finish(dst, partial, blocks); }

extern "C" __global__ void __launch_bounds__(256)
KERNEL(reduce_non_finite)(unsigned *partial, const Element *x, int n) {
	addAll(partial, x, n, [](float v) { return (__float_as_uint(v) & 0x7F800000u) == 0x7F800000u ? 1u : 0u; });
}

extern "C" __global__ void __launch_bounds__(256)
KERNEL(reduce_non_finite_finish)(float *dst, const unsigned *partial, int blocks) { finish(dst, partial, blocks); }
