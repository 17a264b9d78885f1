// loss.cuh: what losses compute over a row of outputs, with one warp per row.
#pragma once
#include "block.cuh"
#include "special.cuh"
#include "storage.cuh"

namespace {

// The largest element and its index; of equal elements the first. A NaN is never larger,
// and nothing is larger than a NaN at index 0, as in a loop that begins at index 0.
struct Largest {
	float value;
	int at;
	__device__ __forceinline__ void take(float v, int k) {
		if (v > value || (v == value && k < at)) {
			value = v;
			at = k;
		}
	}
};

template <class T> __device__ __forceinline__ int firstLargest(const T *z, int classes) {
	const int lane = threadIdx.x % 32;
	Largest best = {-infinity(), classes};
#pragma unroll 1
	for (int k = lane; k < classes; k += 32) best.take(k == 0 && widen(z[0]) != widen(z[0]) ? infinity() : widen(z[k]), k);
#pragma unroll
	for (int d = 16; d > 0; d /= 2) {
		const float v = __shfl_xor_sync(0xFFFFFFFFu, best.value, d);
		const int k = __shfl_xor_sync(0xFFFFFFFFu, best.at, d);
		best.take(v, k);
	}
	return best.at;
}

template <class T> __device__ __forceinline__ float rowMax(const T *z, int classes) {
	float m = -infinity();
#pragma unroll 1
	for (int k = threadIdx.x % 32; k < classes; k += 32) m = fmaxf(m, widen(z[k]));
	return warpMax(m);
}

} // namespace
