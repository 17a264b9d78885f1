// loss.cu: losses over the rows z of outputs [n, classes], with one int32 label per row. Softmax cross-entropy with
// the smoothed target q[k] = (1-s)[k = label] + s/classes, and m = max z:
//
//	L = log sum_k exp(z[k]-m) - sum_k q[k] (z[k]-m)      dL/dz[k] = softmax(z)[k] - q[k]
//
// Mean squared error with the one-hot target:
//
//	L = 1/classes sum_k (z[k] - [k = label])^2            dL/dz[k] = 2/classes (z[k] - [k = label])
//
// A label outside [0, classes) gives NaN. Forward takes two launches: loss_* writes one partial sum per block, and
// loss_finish adds these to the statistics, in the order of the blocks. Soft targets, weights and ignored labels are
// in loss_weighted.cu.
//
// Launch, except for loss_finish: 256 threads, any grid, one warp per row, 8 rows per block at a time
// (kernels.WarpRows).
// Bytes per element: forward 4, backward 8.
#include "loss.cuh"
#include "scaling.cuh"

namespace {

struct CrossEntropy {
	static __device__ __forceinline__ float loss(const float *z, int classes, int label, float smoothing) {
		const float m = rowMax(z, classes);
		float exponentials = 0.0f, sum = 0.0f;
#pragma unroll 1
		for (int k = threadIdx.x % 32; k < classes; k += 32) {
			exponentials += expf(z[k] - m);
			sum += z[k] - m;
		}
		return logf(warpSum(exponentials)) - (1.0f - smoothing) * (z[label] - m) - smoothing / classes * warpSum(sum);
	}
	static __device__ __forceinline__ void gradient(float *dz, const float *z, int classes, int label, float smoothing, float weight) {
		const float m = rowMax(z, classes);
		float sum = 0.0f;
#pragma unroll 1
		for (int k = threadIdx.x % 32; k < classes; k += 32) sum += expf(z[k] - m);
		const float each = 1.0f / warpSum(sum), share = smoothing / classes;
#pragma unroll 1
		for (int k = threadIdx.x % 32; k < classes; k += 32) {
			const float target = k == label ? 1.0f - smoothing + share : share;
			dz[k] = weight * (expf(z[k] - m) * each - target);
		}
	}
};

struct SquaredError {
	static __device__ __forceinline__ float loss(const float *z, int classes, int label, float) {
		float sum = 0.0f;
#pragma unroll 1
		for (int k = threadIdx.x % 32; k < classes; k += 32) {
			const float d = z[k] - (k == label ? 1.0f : 0.0f);
			sum += d * d;
		}
		return warpSum(sum) / classes;
	}
	static __device__ __forceinline__ void gradient(float *dz, const float *z, int classes, int label, float, float weight) {
		const float each = weight * (2.0f / classes);
#pragma unroll 1
		for (int k = threadIdx.x % 32; k < classes; k += 32) dz[k] = each * (z[k] - (k == label ? 1.0f : 0.0f));
	}
};

template <class Loss>
__device__ __forceinline__ void forward(float *partial, const float *outputs, const int *labels, int n, int classes, float smoothing) {
	const int warp = threadIdx.x / 32;
	float loss = 0.0f;
	int correct = 0;
#pragma unroll 1
	for (int row = blockIdx.x * 8 + warp; row < n; row += gridDim.x * 8) {
		const float *z = outputs + (size_t)row * classes;
		const int label = labels[row];
		loss += label >= 0 && label < classes ? Loss::loss(z, classes, label, smoothing) : notANumber();
		correct += firstLargest(z, classes) == label;
	}
	__shared__ float losses[8];
	__shared__ int corrects[8];
	if (threadIdx.x % 32 == 0) {
		losses[warp] = loss;
		corrects[warp] = correct;
	}
	__syncthreads();
	if (threadIdx.x > 0) return;
	for (int i = 1; i < 8; i++) {
		loss += losses[i];
		correct += corrects[i];
	}
	partial[2 * blockIdx.x] = loss;
	partial[2 * blockIdx.x + 1] = (float)correct;
}

template <class Loss>
__device__ __forceinline__ void backward(float *doutputs, const float *outputs, const int *labels, int n, int classes, float smoothing,
	float weight, const float *scaling) {
	if (scaling) weight *= scaling[SCALE];
#pragma unroll 1
	for (int row = blockIdx.x * 8 + threadIdx.x / 32; row < n; row += gridDim.x * 8) {
		const float *z = outputs + (size_t)row * classes;
		float *dz = doutputs + (size_t)row * classes;
		const int label = labels[row];
		if (label >= 0 && label < classes) {
			Loss::gradient(dz, z, classes, label, smoothing, weight);
			continue;
		}
#pragma unroll 1
		for (int k = threadIdx.x % 32; k < classes; k += 32) dz[k] = notANumber();
	}
}

} // namespace

// Forward writes partial [gridDim.x, 2]: sum of losses, number of correct answers.
extern "C" __global__ void __launch_bounds__(256)
loss_cross_entropy(float *partial, const float *outputs, const int *labels, int n, int classes, float smoothing) {
	forward<CrossEntropy>(partial, outputs, labels, n, classes, smoothing);
}

extern "C" __global__ void __launch_bounds__(256)
loss_squared_error(float *partial, const float *outputs, const int *labels, int n, int classes) {
	forward<SquaredError>(partial, outputs, labels, n, classes, 0.0f);
}

// loss_finish adds the partial sums and n to stats [4]: loss, correct, count, weight. Every example has the weight 1.
// Launch: one block of 256 threads; blocks is the gridDim.x of the forward launch.
extern "C" __global__ void __launch_bounds__(256)
loss_finish(float *stats, const float *partial, int blocks, int n) {
	double loss = 0.0;
	int correct = 0;
	for (int i = threadIdx.x; i < blocks; i += 256) {
		loss += partial[2 * i];
		correct += (int)partial[2 * i + 1];
	}
	loss = blockSum(loss);
	correct = blockSum(correct);
	if (threadIdx.x > 0) return;
	stats[0] = (float)(stats[0] + loss);
	stats[1] += (float)correct;
	stats[2] += (float)n;
	stats[3] += (float)n;
}

// Backward: weight is 1 for the gradient of the sum, 1/n for the gradient of the mean. scaling is the state of
// scaling.cuh or null.
extern "C" __global__ void __launch_bounds__(256)
loss_cross_entropy_backward(float *doutputs, const float *outputs, const int *labels, int n, int classes, float smoothing, float weight,
	const float *scaling) {
	backward<CrossEntropy>(doutputs, outputs, labels, n, classes, smoothing, weight, scaling);
}

extern "C" __global__ void __launch_bounds__(256)
loss_squared_error_backward(float *doutputs, const float *outputs, const int *labels, int n, int classes, float weight, const float *scaling) {
	backward<SquaredError>(doutputs, outputs, labels, n, classes, 0.0f, weight, scaling);
}
