// lastblock.cuh: how a launch combines what its blocks leave in memory, without a second launch: the block that finishes last
// does it. Which one that is depends on timing, the result doesn't: whoever adds up, the partial results are the same, and
// are added in the same order.
#pragma once

namespace {

// lastBlock reports, to all threads of a block, whether the other blocks have called it: the last of `blocks` blocks that
// count in *arrived gets true, and then sees what all of them have written. *arrived is 0 before the launch and after
// it. All threads of the block must call it, once.
//
// It works because each block's writes are before its atomic addition (the first fence; the barrier orders the other
// threads' writes before it), and the last block's reads after its own (the second).
__device__ __forceinline__ bool lastBlock(unsigned *arrived, unsigned blocks) {
	__shared__ bool last;
	__threadfence();
	__syncthreads();
	if (threadIdx.x == 0) {
		last = atomicAdd(arrived, 1u) == blocks - 1;
		if (last) *arrived = 0;
	}
	__syncthreads();
	__threadfence();
	return last;
}

} // namespace
