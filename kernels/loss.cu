// loss.cu: losses over the rows z of outputs [n, classes], with one int32 label per row. Softmax cross-entropy with
// the smoothed target q[k] = (1-s)[k = label] + s/classes, and m = max z:
//
//	L = log sum_k exp(z[k]-m) - sum_k q[k] (z[k]-m)      dL/dz[k] = softmax(z)[k] - q[k]
//
// Mean squared error with the one-hot target:
//
//	L = 1/classes sum_k (z[k] - [k = label])^2            dL/dz[k] = 2/classes (z[k] - [k = label])
//
// A label outside [0, classes) gives NaN. Forward leaves one partial sum per block, and the last block adds these to the
// statistics, in the order of the blocks. Soft targets, weights and ignored labels are in loss_weighted.cu; both passes in one
// launch in loss_train.cu.
//
// Launch: 256 threads, any grid, one warp per row, 8 rows per block at a time (kernels.WarpRows).
// Bytes per element: forward 4, backward 8.
#include "loss_rows.cuh"
#include "scaling.cuh"

namespace {

template <class Loss>
__device__ __forceinline__ void forward(float *stats, float *partial, unsigned *arrived, const float *outputs, const int *labels, int n,
	int classes, float smoothing) {
	float loss = 0.0f;
	int correct = 0;
#pragma unroll 1
	for (int row = blockIdx.x * 8 + threadIdx.x / 32; row < n; row += gridDim.x * 8) {
		const float *z = outputs + (size_t)row * classes;
		const int label = labels[row];
		loss += label >= 0 && label < classes ? Loss::loss(z, classes, label, smoothing) : notANumber();
		correct += firstLargest(z, classes) == label;
	}
	addToStats(stats, partial, arrived, loss, correct, n);
}

template <class Loss>
__device__ __forceinline__ void backward(float *doutputs, const float *outputs, const int *labels, int n, int classes, float smoothing,
	float weight, const float *scaling) {
	if (scaling) weight *= scaling[SCALE];
#pragma unroll 1
	for (int row = blockIdx.x * 8 + threadIdx.x / 32; row < n; row += gridDim.x * 8) {
		const size_t at = (size_t)row * classes;
		gradientOfRow<Loss>(doutputs + at, outputs + at, classes, labels[row], smoothing, weight);
	}
}

} // namespace

// Forward adds to stats [4]: loss, correct, count, weight. partial is [gridDim.x, 2]; *arrived is 0 before and after.
extern "C" __global__ void __launch_bounds__(256)
loss_cross_entropy(float *stats, float *partial, unsigned *arrived, const float *outputs, const int *labels, int n, int classes, float smoothing) {
	forward<CrossEntropy>(stats, partial, arrived, outputs, labels, n, classes, smoothing);
}

extern "C" __global__ void __launch_bounds__(256)
loss_squared_error(float *stats, float *partial, unsigned *arrived, const float *outputs, const int *labels, int n, int classes) {
	forward<SquaredError>(stats, partial, arrived, outputs, labels, n, classes, 0.0f);
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
