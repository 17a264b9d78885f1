// loss_weighted.cu: the losses of loss.cu with soft targets, class weights, example weights, and a label to ignore.
// With the target t (for a label, the one-hot row), the class weights w, the example's weight v, q[k] = (1-s) t[k] +
// s/classes, a[k] = w[k] q[k] and m = max z, cross-entropy is
//
//	L = sum_k a[k] (log sum_j exp(z[j]-m) - (z[k]-m))     dL/dz[k] = (sum_j a[j]) softmax(z)[k] - a[k]
//
// and the mean squared error, with the target's weight u = sum_k w[k] t[k],
//
//	L = u/classes sum_k (z[k] - t[k])^2                   dL/dz[k] = 2 u/classes (z[k] - t[k])
//
// The batch's total is sum_i v[i] L[i], divided by W = sum_i v[i] u[i] for the mean. An ignored example does not count
// in any sum and has the gradient 0; a label outside [0, classes) that is not ignored gives NaN, and u = 1.
//
// Forward takes two launches: loss_*_weighted writes four partial sums per block, and loss_weighted_finish adds them to
// the statistics, in the order of the blocks. Backward for the mean takes three: loss_weights writes one partial sum
// per block, loss_weights_finish computes 1/W from them, and loss_*_weighted_backward reads it. All sums are taken in
// an order that the shape decides.
//
// Pointers: either labels, int [n], or soft, the targets t, float [n, classes]; the other is null. classWeights is
// float [classes] and weights is float [n]; null means 1 for each. ignore is 1 if there is a label to ignore, otherwise
// 0.
//
// Launch, except for the kernels named finish: 256 threads, any grid, one warp per row, 8 rows per block at a time
// (kernels.WarpRows).
// Bytes per element: forward 4, backward 8, and 4 more with soft targets.
#include "loss.cuh"
#include "scaling.cuh"

namespace {

struct Targets {
	const int *labels;
	const float *soft, *classWeights, *weights;
	int ignore, ignored, classes;
	float smoothing;
};

// The target of one row; every lane of the warp has a copy.
struct Target {
	const float *soft; // t, or null
	int label;         // if soft is null
	const float *classWeights;
	int classes;
	float smoothing;
	bool counts, valid; // counts: the example is not ignored; valid: its label is a class
	float weight;       // v

	__device__ __forceinline__ Target(const Targets &all, int row)
		: soft(all.soft ? all.soft + (size_t)row * all.classes : nullptr), label(all.soft ? 0 : all.labels[row]), classWeights(all.classWeights),
		  classes(all.classes), smoothing(all.smoothing), counts(true), valid(label >= 0 && label < all.classes),
		  weight(all.weights ? all.weights[row] : 1.0f) {
		if (all.ignore && !all.soft) counts = label != all.ignored;
	}

	__device__ __forceinline__ float t(int k) const { return soft ? soft[k] : k == label ? 1.0f : 0.0f; }

	__device__ __forceinline__ float a(int k) const {
		const float q = (1.0f - smoothing) * t(k) + smoothing / classes;
		return classWeights ? classWeights[k] * q : q;
	}

	// u, in all lanes; all of them must call this.
	__device__ __forceinline__ float u() const {
		if (!classWeights || !valid) return 1.0f;
		if (!soft) return classWeights[label];
		float sum = 0.0f;
#pragma unroll 1
		for (int k = threadIdx.x % 32; k < classes; k += 32) sum += classWeights[k] * soft[k];
		return warpSum(sum);
	}

	__device__ __forceinline__ int answer() const { return soft ? firstLargest(soft, classes) : label; }
};

struct CrossEntropy {
	static __device__ __forceinline__ float loss(const float *z, const Target &target) {
		const float m = rowMax(z, target.classes);
		float exponentials = 0.0f, total = 0.0f, dot = 0.0f;
#pragma unroll 1
		for (int k = threadIdx.x % 32; k < target.classes; k += 32) {
			const float a = target.a(k);
			exponentials += expf(z[k] - m);
			total += a;
			if (a != 0.0f) dot += a * (z[k] - m);
		}
		return warpSum(total) * logf(warpSum(exponentials)) - warpSum(dot);
	}
	static __device__ __forceinline__ void gradient(float *dz, const float *z, const Target &target, float weight) {
		const float m = rowMax(z, target.classes);
		float exponentials = 0.0f, total = 0.0f;
#pragma unroll 1
		for (int k = threadIdx.x % 32; k < target.classes; k += 32) {
			exponentials += expf(z[k] - m);
			total += target.a(k);
		}
		const float each = warpSum(total) / warpSum(exponentials);
#pragma unroll 1
		for (int k = threadIdx.x % 32; k < target.classes; k += 32) dz[k] = weight * (expf(z[k] - m) * each - target.a(k));
	}
};

struct SquaredError {
	static __device__ __forceinline__ float loss(const float *z, const Target &target) {
		const float each = target.u() / target.classes;
		float sum = 0.0f;
#pragma unroll 1
		for (int k = threadIdx.x % 32; k < target.classes; k += 32) {
			const float d = z[k] - target.t(k);
			sum += d * d;
		}
		return each * warpSum(sum);
	}
	static __device__ __forceinline__ void gradient(float *dz, const float *z, const Target &target, float weight) {
		const float each = weight * (2.0f * target.u() / target.classes);
#pragma unroll 1
		for (int k = threadIdx.x % 32; k < target.classes; k += 32) dz[k] = each * (z[k] - target.t(k));
	}
};

template <class Loss> __device__ __forceinline__ void forward(float *partial, const float *outputs, const Targets &targets, int n) {
	float loss = 0.0f, weight = 0.0f;
	int correct = 0, count = 0;
#pragma unroll 1
	for (int row = blockIdx.x * 8 + threadIdx.x / 32; row < n; row += gridDim.x * 8) {
		const float *z = outputs + (size_t)row * targets.classes;
		const Target target(targets, row);
		if (!target.counts) continue;
		count++;
		weight += target.weight * target.u();
		if (!target.valid) {
			loss = notANumber();
			continue;
		}
		loss += target.weight * Loss::loss(z, target);
		correct += firstLargest(z, targets.classes) == target.answer();
	}
	__shared__ float sums[8][4];
	if (threadIdx.x % 32 == 0) {
		float *own = sums[threadIdx.x / 32];
		own[0] = loss;
		own[1] = (float)correct;
		own[2] = (float)count;
		own[3] = weight;
	}
	__syncthreads();
	if (threadIdx.x >= 4) return;
	float sum = 0.0f;
	for (int warp = 0; warp < 8; warp++) sum += sums[warp][threadIdx.x];
	partial[4 * blockIdx.x + threadIdx.x] = sum;
}

template <class Loss>
__device__ __forceinline__ void backward(float *doutputs, const float *outputs, const Targets &targets, int n, const float *inverse, const float *scaling) {
	float factor = inverse ? *inverse : 1.0f;
	if (scaling) factor *= scaling[SCALE];
#pragma unroll 1
	for (int row = blockIdx.x * 8 + threadIdx.x / 32; row < n; row += gridDim.x * 8) {
		const float *z = outputs + (size_t)row * targets.classes;
		float *dz = doutputs + (size_t)row * targets.classes;
		const Target target(targets, row);
		if (target.counts && target.valid) {
			Loss::gradient(dz, z, target, factor * target.weight);
			continue;
		}
		const float value = target.counts ? notANumber() : 0.0f;
#pragma unroll 1
		for (int k = threadIdx.x % 32; k < targets.classes; k += 32) dz[k] = value;
	}
}

} // namespace

// Forward writes partial [gridDim.x, 4]: sum of v L, correct answers, examples, sum of v u.
extern "C" __global__ void __launch_bounds__(256)
loss_cross_entropy_weighted(float *partial, const float *outputs, const int *labels, const float *soft, const float *classWeights,
	const float *weights, int ignore, int ignored, int n, int classes, float smoothing) {
	forward<CrossEntropy>(partial, outputs, {labels, soft, classWeights, weights, ignore, ignored, classes, smoothing}, n);
}

extern "C" __global__ void __launch_bounds__(256)
loss_squared_error_weighted(float *partial, const float *outputs, const int *labels, const float *soft, const float *classWeights,
	const float *weights, int ignore, int ignored, int n, int classes) {
	forward<SquaredError>(partial, outputs, {labels, soft, classWeights, weights, ignore, ignored, classes, 0.0f}, n);
}

// loss_weighted_finish adds the partial sums to stats [4]: loss, correct, count, weight.
// Launch: one block of 256 threads; blocks is the gridDim.x of the forward launch.
extern "C" __global__ void __launch_bounds__(256)
loss_weighted_finish(float *stats, const float *partial, int blocks) {
	__shared__ double sums[4][64];
	const int column = threadIdx.x % 4, part = threadIdx.x / 4;
	double sum = 0.0;
	for (int i = part; i < blocks; i += 64) sum += partial[4 * i + column];
	sums[column][part] = sum;
	__syncthreads();
	if (threadIdx.x >= 4) return;
	sum = 0.0;
	for (int i = 0; i < 64; i++) sum += sums[column][i];
	stats[column] = (float)(stats[column] + sum);
}

// loss_weights writes partial [gridDim.x]: sum of v u.
extern "C" __global__ void __launch_bounds__(256)
loss_weights(float *partial, const int *labels, const float *soft, const float *classWeights, const float *weights, int ignore, int ignored,
	int n, int classes) {
	float weight = 0.0f;
#pragma unroll 1
	for (int row = blockIdx.x * 8 + threadIdx.x / 32; row < n; row += gridDim.x * 8) {
		const Target target({labels, soft, classWeights, weights, ignore, ignored, classes, 0.0f}, row);
		if (target.counts) weight += target.weight * target.u();
	}
	__shared__ float warps[8];
	if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = weight;
	__syncthreads();
	if (threadIdx.x > 0) return;
	for (int i = 1; i < 8; i++) weight += warps[i];
	partial[blockIdx.x] = weight;
}

// loss_weights_finish computes inverse [1] from the partial sums: 1/W, or 0 if W is not positive, because then every
// example is ignored or has the weight 0.
// Launch: one block of 256 threads; blocks is the gridDim.x of loss_weights.
extern "C" __global__ void __launch_bounds__(256)
loss_weights_finish(float *inverse, const float *partial, int blocks) {
	double weight = 0.0;
	for (int i = threadIdx.x; i < blocks; i += 256) weight += partial[i];
	weight = blockSum(weight);
	if (threadIdx.x == 0) *inverse = weight <= 0.0 ? 0.0f : (float)(1.0 / weight);
}

// Backward: inverse is the output of loss_weights_finish, or null for the gradient of the sum. scaling is the state of
// scaling.cuh or null.
extern "C" __global__ void __launch_bounds__(256)
loss_cross_entropy_weighted_backward(float *doutputs, const float *outputs, const int *labels, const float *soft, const float *classWeights,
	const float *weights, int ignore, int ignored, int n, int classes, float smoothing, const float *inverse, const float *scaling) {
	backward<CrossEntropy>(doutputs, outputs, {labels, soft, classWeights, weights, ignore, ignored, classes, smoothing}, n, inverse, scaling);
}

extern "C" __global__ void __launch_bounds__(256)
loss_squared_error_weighted_backward(float *doutputs, const float *outputs, const int *labels, const float *soft, const float *classWeights,
	const float *weights, int ignore, int ignored, int n, int classes, const float *inverse, const float *scaling) {
	backward<SquaredError>(doutputs, outputs, {labels, soft, classWeights, weights, ignore, ignored, classes, 0.0f}, n, inverse, scaling);
}
