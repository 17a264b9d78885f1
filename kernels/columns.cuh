// columns.cuh: how blocks of threads share a matrix [rows, c] whose columns are summed or scaled: the channels
// of batch normalisation, or the gradient of a bias.
//
// Neighbouring threads read neighbouring columns, each W columns of a row at once (4 if that divides c,
// otherwise 1), so that every access is coalesced; a thread keeps its columns and goes down the rows. These W
// columns are a pack. blockIdx.y is a group of at most 32 packs (gridDim.y groups of nearly the same size), blockIdx.x a span of
// rowsPerBlock rows:
//
//	          columns of group blockIdx.y
//	row       pack 0   pack 1   pack 2
//	first     t0       t1       t2          lane 0
//	first+1   t3       t4       t5          lane 1
//	...                                      256 / packs lanes; then from row first + lanes again
//
// The results of the lanes are combined in shared memory, pair by pair, and each block leaves one partial
// result per column in [gridDim.x, c]. A second kernel, or the last block of the group (lastOfGroup), combines these in a
// fixed order. So the result depends only on the shape and the grid, never on timing: no float is added atomically.
//
// Launch: blocks of 256 threads, grid (ceil(rows / rowsPerBlock), ceil(c / W / 32)); kernels.Columns returns
// it.
// For the second kernels: blocks of 256 threads, grid ceil(c / 8).
#pragma once

#include "lastblock.cuh"
#include "storage.cuh"

namespace {

constexpr int columnThreads = 256;

// Place says which elements a thread works on.
struct Place {
	int column;          // the first of its W columns
	int lane, lanes;     // index among the threads with the same columns, and their number
	int stride;          // number of threads from one lane to the next
	int first, end;      // the block's rows
	bool active;         // false for threads that are left over, which do nothing
};

// placeOf returns the thread's place in the span of rows with this index.
template <int W> __device__ __forceinline__ Place placeOf(int rows, int c, int rowsPerBlock, int span) {
	const int packs = c / W;
	const int width = (packs + gridDim.y - 1) / gridDim.y; // groups of nearly the same size
	const int firstPack = blockIdx.y * width, own = min(width, packs - firstPack);
	Place p;
	p.first = span * rowsPerBlock;
	p.end = min(p.first + rowsPerBlock, rows);
	p.lane = p.lanes = p.column = p.stride = 0;
	p.active = false;
	if (own <= 0) return p;
	p.stride = own;
	p.lanes = columnThreads / own;
	p.lane = threadIdx.x / own;
	p.column = (firstPack + threadIdx.x % own) * W;
	p.active = p.lane < p.lanes;
	return p;
}

template <int W> __device__ __forceinline__ Place placeOf(int rows, int c, int rowsPerBlock) {
	return placeOf<W>(rows, c, rowsPerBlock, blockIdx.x);
}

// at returns the index at which the thread's columns begin in a row.
__device__ __forceinline__ size_t at(const Place &p, int row, int c) { return (size_t)row * c + p.column; }

// firstStep returns the largest power of two below lanes, with which a tree reduction over lanes begins.
__device__ __forceinline__ int firstStep(int lanes) {
	int s = 1;
	while (2 * s < lanes) s *= 2;
	return s;
}

// sumLanes adds the N values of all lanes with the same columns; lane 0 gets the sums. All threads of the block must call
// it. It may be called again: each thread reads and then overwrites only its own values.
template <int N> __device__ __forceinline__ void sumLanes(float (&v)[N], const Place &p) {
	__shared__ float shared[N][columnThreads];
	const int t = threadIdx.x;
#pragma unroll
	for (int i = 0; i < N; i++) shared[i][t] = v[i];
	__syncthreads();
#pragma unroll 1
	for (int s = firstStep(p.lanes); s > 0; s /= 2) {
		if (p.active && p.lane < s && p.lane + s < p.lanes) {
#pragma unroll 4
			for (int i = 0; i < N; i++) shared[i][t] += shared[i][t + s * p.stride];
		}
		__syncthreads();
	}
#pragma unroll
	for (int i = 0; i < N; i++) v[i] = shared[i][t];
}

// lastOfGroup is lastBlock for each of the gridDim.y groups of gridDim.x blocks; arrived has an element for each group.
__device__ __forceinline__ bool lastOfGroup(unsigned *arrived) { return lastBlock(&arrived[blockIdx.y], gridDim.x); }

// loadFloats and storeFloats move W floats, 16 bytes at a time where W is a multiple of 4 and the address one of 16.
template <int W> __device__ __forceinline__ void loadFloats(float (&to)[W], const float *from) {
	constexpr int at = W % 4 == 0 ? 4 : 1;
#pragma unroll
	for (int k = 0; k < W; k += at) {
		const Vector<float, at> v = load<float, at>(from + k);
#pragma unroll
		for (int i = 0; i < at; i++) to[k + i] = v.e[i];
	}
}

template <int W> __device__ __forceinline__ void storeFloats(float *to, const float *from) {
	constexpr int at = W % 4 == 0 ? 4 : 1;
#pragma unroll
	for (int k = 0; k < W; k += at) {
		Vector<float, at> v;
#pragma unroll
		for (int i = 0; i < at; i++) v.e[i] = from[k + i];
		store(to + k, v);
	}
}

// finishSums adds N sums of each of W columns, sum n of column k being v[n*W + k], over all blocks of the group: each leaves
// its own in partial [N, gridDim.x, c], and the last one adds them up, each of its lanes every lanes-th. It returns true for
// the threads that have the result. All threads of the block must call it, once.
template <int W, int N> __device__ __forceinline__ bool finishSums(float (&v)[N * W], float *partial, unsigned *arrived, const Place &p, int c) {
	const int blocks = gridDim.x;
	sumLanes<N * W>(v, p);
	if (p.active && p.lane == 0) {
#pragma unroll
		for (int n = 0; n < N; n++) storeFloats<W>(partial + at(p, n * blocks + blockIdx.x, c), v + n * W);
	}
	if (!lastOfGroup(arrived)) return false;
#pragma unroll
	for (int k = 0; k < N * W; k++) v[k] = 0.0f;
	if (p.active) {
#pragma unroll 2
		for (int b = p.lane; b < blocks; b += p.lanes) {
#pragma unroll
			for (int n = 0; n < N; n++) {
				float other[W];
				loadFloats<W>(other, partial + at(p, n * blocks + b, c));
#pragma unroll
				for (int k = 0; k < W; k++) v[n * W + k] += other[k];
			}
		}
	}
	sumLanes<N * W>(v, p);
	return p.active && p.lane == 0;
}

// The second kernels: a block has 8 columns and 32 lanes, and each lane takes every 32nd partial result.
constexpr int finishColumns = 8;
constexpr int finishLanes = columnThreads / finishColumns;

__device__ __forceinline__ int finishColumn() { return blockIdx.x * finishColumns + threadIdx.x % finishColumns; }
__device__ __forceinline__ int finishLane() { return threadIdx.x / finishColumns; }

__device__ __forceinline__ Place finishPlace() {
	Place p;
	p.column = finishColumn();
	p.lane = finishLane();
	p.lanes = finishLanes;
	p.stride = finishColumns;
	p.first = p.end = 0;
	p.active = true;
	return p;
}

} // namespace
