// loss_rows.cuh: the losses of rows with one label each, with one warp per row, and their sums. The formulas are in loss.cu.
#pragma once
#include "lastblock.cuh"
#include "loss.cuh"

namespace {

// The kinds of losses: the loss of a row, in all lanes, and its gradient, for a label in [0, classes). See loss.cu.
struct CrossEntropy {
	template <class T> static __device__ __forceinline__ float loss(const T *z, int classes, int label, float smoothing) {
		const float m = rowMax(z, classes);
		float exponentials = 0.0f, sum = 0.0f;
#pragma unroll 1
		for (int k = threadIdx.x % 32; k < classes; k += 32) {
			exponentials += expf(widen(z[k]) - m);
			sum += widen(z[k]) - m;
		}
		return logf(warpSum(exponentials)) - (1.0f - smoothing) * (widen(z[label]) - m) - smoothing / classes * warpSum(sum);
	}
	template <class D, class T> static __device__ __forceinline__ void gradient(D *dz, const T *z, int classes, int label, float smoothing, float weight) {
		const float m = rowMax(z, classes);
		float sum = 0.0f;
#pragma unroll 1
		for (int k = threadIdx.x % 32; k < classes; k += 32) sum += expf(widen(z[k]) - m);
		const float each = 1.0f / warpSum(sum), share = smoothing / classes;
#pragma unroll 1
		for (int k = threadIdx.x % 32; k < classes; k += 32) {
			const float target = k == label ? 1.0f - smoothing + share : share;
			narrow(dz[k], weight * (expf(widen(z[k]) - m) * each - target));
		}
	}
};

struct SquaredError {
	template <class T> static __device__ __forceinline__ float loss(const T *z, int classes, int label, float) {
		float sum = 0.0f;
#pragma unroll 1
		for (int k = threadIdx.x % 32; k < classes; k += 32) {
			const float d = widen(z[k]) - (k == label ? 1.0f : 0.0f);
			sum += d * d;
		}
		return warpSum(sum) / classes;
	}
	template <class D, class T> static __device__ __forceinline__ void gradient(D *dz, const T *z, int classes, int label, float, float weight) {
		const float each = weight * (2.0f / classes);
#pragma unroll 1
		for (int k = threadIdx.x % 32; k < classes; k += 32) narrow(dz[k], each * (widen(z[k]) - (k == label ? 1.0f : 0.0f)));
	}
};

// gradientOfRow writes the gradient of a row: NaN for a label out of range.
template <class Loss, class D, class T>
__device__ __forceinline__ void gradientOfRow(D *dz, const T *z, int classes, int label, float smoothing, float weight) {
	if (label >= 0 && label < classes) return Loss::gradient(dz, z, classes, label, smoothing, weight);
#pragma unroll 1
	for (int k = threadIdx.x % 32; k < classes; k += 32) narrow(dz[k], notANumber());
}

// addToStats adds to stats [4] what the warps of all blocks have found: loss and correct answers, n examples and n as their
// weight. Each block leaves its sums in partial [gridDim.x, 2]; the last one adds them up in the order of the blocks. All
// threads of the block must call it, once; lane 0 of each warp has the warp's values.
__device__ __forceinline__ void addToStats(float *stats, float *partial, unsigned *arrived, float loss, int correct, int n) {
	const int warp = threadIdx.x / 32;
	__shared__ float losses[8];
	__shared__ int corrects[8];
	if (threadIdx.x % 32 == 0) {
		losses[warp] = loss;
		corrects[warp] = correct;
	}
	__syncthreads();
	if (threadIdx.x == 0) {
		for (int i = 1; i < 8; i++) {
			loss += losses[i];
			correct += corrects[i];
		}
		partial[2 * blockIdx.x] = loss;
		partial[2 * blockIdx.x + 1] = (float)correct;
	}
	if (!lastBlock(arrived, gridDim.x)) return;
	double all = 0.0;
	int right = 0;
	for (int i = threadIdx.x; i < gridDim.x; i += 256) {
		all += partial[2 * i];
		right += (int)partial[2 * i + 1];
	}
	all = blockSum(all);
	right = blockSum(right);
	if (threadIdx.x > 0) return;
	stats[0] = (float)(stats[0] + all);
	stats[1] += (float)right;
	stats[2] += (float)n;
	stats[3] += (float)n;
}

} // namespace
