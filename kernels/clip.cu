// clip.cu: clips a list of float32 gradients (Pascanu, Mikolov and Bengio, "On the Difficulty of
// Training Recurrent Neural Networks", 2013, for the norm):
//
//	g = g * min(1, maxNorm / sqrt(sum of all g^2))      then      g = min(max(g, -maxValue), maxValue)
//
// A limit of 0 means no limit. With maxNorm, one NaN makes all gradients NaN; with maxValue it stays
// alone. Three launches: clip_sum_squares, clip_factor, clip_apply. Without maxNorm the first is not
// needed.
//
// Bytes per element: 4 for the sum; 8 for scaling and limiting, or 0 if nothing changes.
#include "block.cuh"
#include "scaling.cuh"
#include "table.cuh"

// clip_sum_squares writes the sum of squares of each chunk to partial [gridDim.x], in float64, in
// which squares of float32 numbers cannot overflow.
// Launch: 256 threads, grid: as many blocks as chunks (kernels.Chunks).
extern "C" __global__ void __launch_bounds__(256)
clip_sum_squares(double *partial, const float *const *grads, const Chunk *chunks) {
	const Chunk chunk = chunks[blockIdx.x];
	const float *g = grads[chunk.tensor];
	double sum = 0.0;
#pragma unroll 4
	for (int i = chunk.from + threadIdx.x; i < chunk.to; i += 256) sum += (double)g[i] * g[i];
	sum = blockSum(sum);
	if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

// clip_factor sets factor [2]: the number to multiply by, and the largest value (0 for no limit).
// scaling is the state of scaling.cuh or null; the limits apply to gradients without the loss scale.
// Launch: one block of 256 threads; blocks is the length of partial, 0 without maxNorm.
extern "C" __global__ void __launch_bounds__(256)
clip_factor(float *factor, const double *partial, int blocks, float maxNorm, float maxValue, const float *scaling) {
	double sum = 0.0;
	for (int i = threadIdx.x; i < blocks; i += 256) sum += partial[i];
	sum = blockSum(sum);
	if (threadIdx.x > 0) return;
	const float inverse = scaling ? scaling[INVERSE_SCALE] : 1.0f;
	const double norm = sqrt(sum) * inverse;
	float f = 1.0f;
	if (maxNorm > 0.0f && !(norm <= maxNorm)) f = (float)(maxNorm / norm);
	factor[0] = f;
	factor[1] = maxValue / inverse;
}

// clip_apply limits the gradients in place.
// Launch: like clip_sum_squares.
extern "C" __global__ void __launch_bounds__(256)
clip_apply(float *const *grads, const Chunk *chunks, const float *factor) {
	const float f = factor[0], largest = factor[1];
	if (f == 1.0f && !(largest > 0.0f)) return;
	const Chunk chunk = chunks[blockIdx.x];
	float *g = grads[chunk.tensor];
#pragma unroll 4
	for (int i = chunk.from + threadIdx.x; i < chunk.to; i += 256) {
		float v = g[i] * f;
		if (largest > 0.0f) v = v > largest ? largest : v < -largest ? -largest : v;
		g[i] = v;
	}
}
