// block.cuh: sums over the threads of a warp and of a block, in a fixed order.
#pragma once

namespace {

// warpSum sums v over the 32 threads of a warp; all of them get the same bits.
template <class T> __device__ __forceinline__ T warpSum(T v) {
#pragma unroll
	for (int d = 16; d > 0; d /= 2) v += __shfl_xor_sync(0xFFFFFFFFu, v, d);
	return v;
}

__device__ __forceinline__ float warpMax(float v) {
#pragma unroll
	for (int d = 16; d > 0; d /= 2) v = fmaxf(v, __shfl_xor_sync(0xFFFFFFFFu, v, d));
	return v;
}

// blockSum sums v over the 256 threads of a block; thread 0 gets the sum. All threads must call it, at most
// once per kernel and type.
template <class T> __device__ __forceinline__ T blockSum(T v) {
	__shared__ T warps[8];
	v = warpSum(v);
	if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = v;
	__syncthreads();
	T sum = T();
	if (threadIdx.x == 0) {
#pragma unroll
		for (int i = 0; i < 8; i++) sum += warps[i];
	}
	return sum;
}

} // namespace
