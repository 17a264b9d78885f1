// dense.cu: a dense layer with few outputs, c <= 32 classes, and the loss of these; x, dx [n, in], w, dw [in, c], y, dy [n,
// c], bias, dbias [c]:
//
//	y = alpha x w + bias        stats += sum of L, correct answers, n, n        dy = weight dL/dy
//	dw = alpha x^T dy        dbias = sum_n dy[n]        dx = alpha dy w^T
//
// L is the softmax cross-entropy of loss.cu. The matrices are so small that launching a library's product for each, and a
// sum, takes longer than all they compute: here they are two launches.
#include "loss_rows.cuh"
#include "scaling.cuh"

#ifdef CUDA_HOST // whose header lacks it
inline void __syncwarp() { cuda_host::shuffle(0xFFFFFFFFu, 0, cuda_host::lane()); } // waits for all lanes
#endif

namespace {

constexpr int maxOutputs = 32;

// outputOf returns row . (column k of w), in the lanes k and k + lanes and so on of the warp. lanes is the smallest power
// of two that is not below c, so that 32/lanes parts of the warp share the sum.
__device__ __forceinline__ float outputOf(const Element *row, const Element *w, int in, int c, int lanes) {
	const int k = threadIdx.x % lanes, part = threadIdx.x % 32 / lanes, parts = 32 / lanes;
	float sum = 0.0f;
	if (k < c) {
#pragma unroll 8
		for (int i = part; i < in; i += parts) sum += widen(row[i]) * widen(w[i * c + k]);
	}
#pragma unroll 1
	for (int d = lanes; d < 32; d *= 2) sum += __shfl_xor_sync(0xFFFFFFFFu, sum, d);
	return sum;
}

} // namespace

// One warp per row. The loss is that of y as it is stored. partial is [gridDim.x, 2]; *arrived is 0 before and after; bias
// may be null. weight is 1 for the gradient of the sum of the losses, 1/n for that of their mean. scaling is the state of
// scaling.cuh or null.
//
// Launch: 256 threads, any grid, 8 rows per block at a time (kernels.WarpRows).
// Bytes per element of x: e.
extern "C" __global__ void __launch_bounds__(256)
KERNEL(dense_cross_entropy)(float *stats, float *partial, unsigned *arrived, Element *dy, Element *y, const Element *x, const Element *w,
	const float *bias, const int *labels, int n, int in, int c, int lanes, float alpha, float smoothing, float weight, const float *scaling) {
	__shared__ float outputs[8][maxOutputs];
	const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
	if (scaling) weight *= scaling[SCALE];
	float *z = outputs[warp];
	float loss = 0.0f;
	int correct = 0;
#pragma unroll 1
	for (int row = blockIdx.x * 8 + warp; row < n; row += gridDim.x * 8) {
		const size_t at = (size_t)row * c;
		float sum = alpha * outputOf(x + (size_t)row * in, w, in, c, lanes);
		if (lane < c) {
			if (bias) sum += bias[lane];
			Element stored;
			narrow(stored, sum);
			y[at + lane] = stored;
			z[lane] = widen(stored);
		}
		__syncwarp();
		const int label = labels[row];
		loss += label >= 0 && label < c ? CrossEntropy::loss(z, c, label, smoothing) : notANumber();
		correct += firstLargest(z, c) == label;
		gradientOfRow<CrossEntropy>(dy + at, z, c, label, smoothing, weight);
		__syncwarp();
	}
	addToStats(stats, partial, arrived, loss, correct, n);
}

namespace {

// weightGradients computes element j = i*c + k of dw, or for i = in element k of dbias. The rows are shared out among spans
// of blocks; the last block of a group of 256 elements adds up what all spans leave in partial [spans, (in+1)*c].
__device__ __forceinline__ void weightGradients(float *dw, float *dbias, float *partial, unsigned *arrived, const Element *dy, const Element *x,
	int n, int in, int c, float alpha, int spans, int rowsPerSpan) {
	const int group = blockIdx.x / spans, span = blockIdx.x % spans, all = (in + 1) * c;
	const int j = group * 256 + threadIdx.x, i = j / c, k = j - i * c;
	const int from = span * rowsPerSpan, to = min(from + rowsPerSpan, n);
	float sum = 0.0f;
	if (i < in) {
#pragma unroll 4
		for (int row = from; row < to; row++) sum += widen(x[(size_t)row * in + i]) * widen(dy[row * c + k]);
		sum *= alpha;
	} else if (i == in) {
#pragma unroll 4
		for (int row = from; row < to; row++) sum += widen(dy[row * c + k]);
	}
	if (spans > 1) {
		if (j < all) partial[(size_t)span * all + j] = sum;
		if (!lastBlock(arrived + group, spans)) return;
		sum = 0.0f;
		if (j < all) {
			for (int s = 0; s < spans; s++) sum += partial[(size_t)s * all + j];
		}
	}
	if (i < in && dw) dw[j] = sum;
	if (i == in && dbias) dbias[k] = sum;
}

// inputGradients computes W neighbouring elements of dx.
template <int W>
__device__ __forceinline__ void inputGradients(Element *dx, const Element *dy, const Element *w, int n, int in, int c, float alpha, int block) {
	const int packs = in / W, t = block * 256 + threadIdx.x, row = t / packs, i = (t - row * packs) * W;
	if (row >= n) return;
	float sum[W] = {};
#pragma unroll 2
	for (int k = 0; k < c; k++) {
		const float d = widen(dy[row * c + k]);
#pragma unroll
		for (int e = 0; e < W; e++) sum[e] += d * widen(w[(i + e) * c + k]);
	}
	Vector<Element, W> out;
#pragma unroll
	for (int e = 0; e < W; e++) narrow(out.e[e], alpha * sum[e]);
	store(dx + (size_t)row * in + i, out);
}

} // namespace

// The first weightBlocks blocks compute dw and dbias, where these are not null, the others dx. partial is [spans,
// (in+1)*c], arrived has an element for each 256 of (in+1)*c, 0 before and after. vector is 1 if the elements of 16 bytes
// divide in and addresses are multiples of 16, otherwise 0.
//
// Launch: 256 threads; kernels.DenseBackwardLaunch returns the grid, spans and weightBlocks.
// Bytes per element of x: 2e.
extern "C" __global__ void __launch_bounds__(256)
KERNEL(dense_backward)(Element *dx, float *dw, float *dbias, float *partial, unsigned *arrived, const Element *dy, const Element *x,
	const Element *w, int n, int in, int c, float alpha, int spans, int rowsPerSpan, int weightBlocks, int vector) {
	const int block = blockIdx.x - weightBlocks;
	if (block < 0)
		weightGradients(dw, dbias, partial, arrived, dy, x, n, in, c, alpha, spans, rowsPerSpan);
	else if (vector)
		inputGradients<PACK>(dx, dy, w, n, in, c, alpha, block);
	else
		inputGradients<1>(dx, dy, w, n, in, c, alpha, block);
}
