// loss_train.cu: both passes of softmax cross-entropy in one launch, in the type in which a network stores its outputs:
//
//	stats += sum of L, correct answers, n, n        dz[k] = weight (softmax(z)[k] - q[k])
//
// with the formulas of loss.cu. z and dz are [n, classes] of the storage type; a step of training thus needs neither a float32
// copy of the outputs nor one of their gradient. Rows are read once from memory, and then from the cache.
//
// Launch: 256 threads, any grid, one warp per row, 8 rows per block at a time (kernels.WarpRows).
// Bytes per element: 2e.
#include "loss_rows.cuh"
#include "scaling.cuh"

// partial is [gridDim.x, 2]; *arrived is 0 before and after. weight is 1 for the gradient of the sum, 1/n for the gradient of the
// mean. scaling is the state of scaling.cuh or null.
extern "C" __global__ void __launch_bounds__(256)
KERNEL(loss_cross_entropy_train)(float *stats, float *partial, unsigned *arrived, Element *doutputs, const Element *outputs, const int *labels,
	int n, int classes, float smoothing, float weight, const float *scaling) {
	if (scaling) weight *= scaling[SCALE];
	float loss = 0.0f;
	int correct = 0;
#pragma unroll 1
	for (int row = blockIdx.x * 8 + threadIdx.x / 32; row < n; row += gridDim.x * 8) {
		const Element *z = outputs + (size_t)row * classes;
		const int label = labels[row];
		loss += label >= 0 && label < classes ? CrossEntropy::loss(z, classes, label, smoothing) : notANumber();
		correct += firstLargest(z, classes) == label;
		gradientOfRow<CrossEntropy>(doutputs + (size_t)row * classes, z, classes, label, smoothing, weight);
	}
	addToStats(stats, partial, arrived, loss, correct, n);
}
