// columnsum.cuh: the end of a sum over the rows of a matrix to its columns, in a launch whose blocks columns.cuh places.
#pragma once
#include "columns.cuh"
#include "lastblock.cuh"

namespace {

// storeColumnSums writes dst[group, column] = alpha * the sum of total over all lanes and blocks of a group of rows, of which
// there are spans for each group of columns. If spans > 1, each leaves its sums in partial [groups, spans, c], and the last of
// them adds these up, in a fixed order. arrived [groups, gridDim.y] is 0 before and after. All threads of the block must call
// it, once.
template <int W>
__device__ __forceinline__ void storeColumnSums(float *dst, float *partial, unsigned *arrived, float (&total)[W], const Place &p, int group,
	int spans, int c, float alpha) {
	sumLanes<W>(total, p);
	if (spans > 1) {
		if (p.active && p.lane == 0) {
#pragma unroll
			for (int k = 0; k < W; k++) partial[(size_t)blockIdx.x * c + p.column + k] = total[k];
		}
		if (!lastBlock(arrived + group * gridDim.y + blockIdx.y, spans)) return;
#pragma unroll
		for (int k = 0; k < W; k++) total[k] = 0.0f;
		if (p.active) {
			for (int b = p.lane; b < spans; b += p.lanes) {
#pragma unroll
				for (int k = 0; k < W; k++) total[k] += partial[((size_t)group * spans + b) * c + p.column + k];
			}
		}
		sumLanes<W>(total, p);
	}
	if (!p.active || p.lane > 0) return;
#pragma unroll
	for (int k = 0; k < W; k++) dst[(size_t)group * c + p.column + k] = alpha * total[k];
}

} // namespace
