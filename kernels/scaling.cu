// scaling.cu: dynamic loss scaling, entirely on the device, so that a recorded step needs nothing from the
// host: scaling_count, scaling_update, then the optimiser, which reads SKIP.
#include "scaling.cuh"
#include "table.cuh"

// scaling_count adds to *count the number of NaN and infinite elements in the listed gradients. A sum of
// integers is the same in any order.
//
// Launch: 256 threads, grid: as many blocks as chunks (kernels.Chunks).
// Bytes per element: 4.
extern "C" __global__ void __launch_bounds__(256)
scaling_count(unsigned *count, const float *const *grads, const Chunk *chunks) {
	const Chunk chunk = chunks[blockIdx.x];
	const float *g = grads[chunk.tensor];
	unsigned found = 0;
#pragma unroll 4
	for (int i = chunk.from + threadIdx.x; i < chunk.to; i += 256) found += (__float_as_uint(g[i]) & 0x7F800000u) == 0x7F800000u;
#pragma unroll
	for (int d = 16; d > 0; d /= 2) found += __shfl_xor_sync(0xFFFFFFFFu, found, d);
	if (threadIdx.x % 32 == 0 && found > 0) atomicAdd(count, found);
}

// scaling_update sets the state of scaling.cuh for the optimiser's step, and *count to 0. If *count is not 0,
// the scale is halved, down to 1, and the step is skipped; after `interval` good steps the scale is doubled, up
// to 2^24. The current gradients were computed with the old scale, so INVERSE_SCALE is the inverse of the old
// scale; the next call sets the inverse of the new one.
//
// Launch: one block of one thread.
extern "C" __global__ void scaling_update(float *state, unsigned *count, int interval) {
	const float scale = state[SCALE];
	float good = state[GOOD_STEPS] + 1.0f, next = scale;
	const bool bad = *count > 0;
	if (bad) {
		next = fmaxf(scale * 0.5f, 1.0f);
		good = 0.0f;
	} else if (good >= interval) {
		next = fminf(scale * 2.0f, 16777216.0f);
		good = 0.0f;
	}
	state[SCALE] = next;
	state[INVERSE_SCALE] = 1.0f / scale;
	state[SKIP] = bad ? 1.0f : 0.0f;
	state[GOOD_STEPS] = good;
	*count = 0;
}
