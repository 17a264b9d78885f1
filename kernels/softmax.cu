// softmax.cu: softmax over each row x of [n, classes], float32:
//
//	y[k] = exp(x[k]-m) / sum_l exp(x[l]-m)        m = max x
//
// Subtracting the largest changes nothing in exact arithmetic, and keeps the exponentials from overflowing.
#include "block.cuh"
#include "special.cuh"

// softmax: one warp per row. y may be x.
//
// Launch: 256 threads, any grid; 8 rows per block at a time (kernels.WarpRows).
// Bytes per element: 8 (the second and third reads find the row in cache).
extern "C" __global__ void __launch_bounds__(256)
softmax(float *y, const float *x, int n, int classes) {
	const int lane = threadIdx.x % 32;
#pragma unroll 1
	for (int row = blockIdx.x * 8 + threadIdx.x / 32; row < n; row += gridDim.x * 8) {
		const float *from = x + (size_t)row * classes;
		float *to = y + (size_t)row * classes;
		float m = -infinity();
#pragma unroll 1
		for (int k = lane; k < classes; k += 32) m = fmaxf(m, from[k]);
		m = warpMax(m);
		float sum = 0.0f;
#pragma unroll 1
		for (int k = lane; k < classes; k += 32) sum += expf(from[k] - m);
		const float each = 1.0f / warpSum(sum);
#pragma unroll 1
		for (int k = lane; k < classes; k += 32) to[k] = expf(from[k] - m) * each;
	}
}
