// scaling.cu: dynamic loss scaling, entirely on the device, so that a recorded step needs nothing from the host:
// scaling_update, then the optimiser, which reads SKIP.
#include "lastblock.cuh"
#include "scaling.cuh"
#include "storage.cuh"
#include "table.cuh"

// Gradient is one gradient of the list, as kernels.Pair lays it out: if source is not null, dst = source first.
struct Gradient {
	float *dst;
	const __half *source;
};

namespace {

// updateState sets the state of scaling.cuh for the optimiser's step. If gradients are not finite, the scale is halved, down to
// 1, and the step is skipped; after `interval` good steps the scale is doubled, up to 2^24. The current gradients were computed
// with the old scale, so INVERSE_SCALE is the inverse of the old scale; the next call sets the inverse of the new one.
__device__ __forceinline__ void updateState(float *state, bool bad, int interval) {
	const float scale = state[SCALE];
	float good = state[GOOD_STEPS] + 1.0f, next = scale;
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
}

} // namespace

// scaling_update widens the listed gradients that have a source, counts the NaN and infinite elements of all in found[0] (a sum of
// integers is the same in any order), and in the last block, which found[1] tells, updates the state. found is 0 before and
// after. Without gradients, chunks is null.
//
// Launch: 256 threads, grid: as many blocks as chunks (kernels.Chunks), or one.
// Bytes per element: 4, with a source 6.
extern "C" __global__ void __launch_bounds__(256)
scaling_update(float *state, unsigned *found, const Gradient *gradients, const Chunk *chunks, int interval) {
	unsigned bad = 0;
	if (chunks) {
		const Chunk chunk = chunks[blockIdx.x];
		const Gradient g = gradients[chunk.tensor];
#pragma unroll 4
		for (int i = chunk.from + threadIdx.x; i < chunk.to; i += 256) {
			float v;
			if (g.source)
				g.dst[i] = v = widen(g.source[i]);
			else
				v = g.dst[i];
			bad += (__float_as_uint(v) & 0x7F800000u) == 0x7F800000u;
		}
	}
#pragma unroll
	for (int d = 16; d > 0; d /= 2) bad += __shfl_xor_sync(0xFFFFFFFFu, bad, d);
	if (threadIdx.x % 32 == 0 && bad > 0) atomicAdd(&found[0], bad);
	if (!lastBlock(&found[1], gridDim.x) || threadIdx.x > 0) return;
	updateState(state, *(volatile unsigned *)&found[0] > 0, interval);
	found[0] = 0;
}
