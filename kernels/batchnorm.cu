// batchnorm.cu: batch normalisation of x [rows, c] over the rows (Ioffe and Szegedy, "Batch
// Normalization", 2015), with an activation f after it (function.cuh). NHWC images are rows = n*h*w
// pixels of c channels. For each channel, m being the number of rows:
//
//	mean = 1/m sum x      var = 1/m sum (x-mean)^2      xhat = (x-mean) / sqrt(var+epsilon)
//	z = gamma*xhat + beta      y = f(z)
//
// and backward, with dz = dy f'(z), computed again from x:
//
//	dbeta = sum dz        dgamma = sum dz*xhat
//	dx = gamma/sqrt(var+epsilon) (dz - dbeta/m - xhat*dgamma/m)
//
// Forward takes three launches: batchnorm_moments (partial means and sums of squares by blocks),
// batchnorm_statistics (their merger, running statistics), batchnorm_normalize*. Inference is
// batchnorm_normalize* with the running statistics. Backward takes three: batchnorm_sums*,
// batchnorm_gradients, batchnorm_backward*. The statistics and parameters are float32 [c] whatever the storage.
//
// vector is 1 where four channels can be read together: 4 divides c, and the addresses of x, y, dx, dy are
// multiples of 16; else 0. It sets W of columns.cuh, which says what to launch.
//
// Bytes an element, e being the element's size: moments e, normalize 2e; sums 2e, backward 3e.
#include "columns.cuh"
#include "function.cuh"

namespace {

// Moments are the mean of count values and the sum m2 of their squared distances from it.
// Two sets merge without cancellation (Chan, Golub and LeVeque, "Algorithms for Computing the
// Sample Variance", 1983):
//
//	n = n_a + n_b      delta = mean_b - mean_a
//	mean = mean_a + delta n_b/n      m2 = m2_a + m2_b + delta^2 n_a n_b/n
__device__ __forceinline__ void merge(float countA, float &meanA, float &m2A, float share, float meanB, float m2B) {
	const float delta = meanB - meanA; // share is n_b/n
	meanA += delta * share;
	m2A += m2B + delta * delta * countA * share;
}

// moments computes the block's moments of each column: each thread takes R rows at a time, whose mean
// and squares are exact two-pass ones, and merges them with what it has; then the lanes merge.
template <int W, int R>
__device__ __forceinline__ void moments(float *partial, const Element *x, int rows, int c, int rowsPerBlock) {
	const Place p = placeOf<W>(rows, c, rowsPerBlock);
	float mean[W] = {}, m2[W] = {};
	int count = 0;
	if (p.active) {
#pragma unroll 1
		for (int row = p.first + p.lane; row < p.end; row += R * p.lanes) {
			Vector<Element, W> v[R];
#pragma unroll
			for (int r = 0; r < R; r++) {
				if (row + r * p.lanes < p.end) v[r] = load<Element, W>(x + at(p, row + r * p.lanes, c));
			}
			const int valid = min(R, (p.end - row + p.lanes - 1) / p.lanes);
			const float each = 1.0f / valid, share = (float)valid / (count + valid);
#pragma unroll
			for (int k = 0; k < W; k++) {
				float sum = 0.0f, squares = 0.0f;
#pragma unroll
				for (int r = 0; r < R; r++) sum += r < valid ? widen(v[r].e[k]) : 0.0f;
				const float centre = sum * each;
#pragma unroll
				for (int r = 0; r < R; r++) {
					const float d = r < valid ? widen(v[r].e[k]) - centre : 0.0f;
					squares += d * d;
				}
				merge(count, mean[k], m2[k], share, centre, squares);
			}
			count += valid;
		}
	}

	__shared__ float sharedMean[W][columnThreads], sharedM2[W][columnThreads];
	__shared__ int sharedCount[columnThreads];
	const int t = threadIdx.x;
#pragma unroll
	for (int k = 0; k < W; k++) {
		sharedMean[k][t] = mean[k];
		sharedM2[k][t] = m2[k];
	}
	sharedCount[t] = count;
	__syncthreads();
#pragma unroll 1
	for (int s = firstStep(p.lanes); s > 0; s /= 2) {
		if (p.active && p.lane < s && p.lane + s < p.lanes) {
			const int other = t + s * p.stride, countB = sharedCount[other];
			if (countB > 0) {
				const float share = (float)countB / (count + countB);
#pragma unroll
				for (int k = 0; k < W; k++)
					merge(count, sharedMean[k][t], sharedM2[k][t], share, sharedMean[k][other], sharedM2[k][other]);
				count += countB;
				sharedCount[t] = count;
			}
		}
		__syncthreads();
	}
	if (!p.active || p.lane > 0) return;
	const size_t at = (size_t)blockIdx.x * c + p.column, plane = (size_t)gridDim.x * c;
#pragma unroll
	for (int k = 0; k < W; k++) {
		partial[at + k] = sharedMean[k][t];
		partial[plane + at + k] = sharedM2[k][t];
	}
}

// Affine is z = (x-mean) scale + beta of W columns, with scale = gamma/sqrt(var+epsilon).
// Subtracting first loses nothing where the mean is far from 0.
template <int W> struct Affine {
	float mean[W], scale[W], beta[W];

	__device__ __forceinline__ Affine(const Place &p, const float *gamma, const float *beta_, const float *mean_,
		const float *variance, float epsilon) {
#pragma unroll
		for (int k = 0; k < W; k++) {
			mean[k] = p.active ? mean_[p.column + k] : 0.0f;
			scale[k] = p.active ? gamma[p.column + k] * rsqrtf(variance[p.column + k] + epsilon) : 0.0f;
			beta[k] = p.active ? beta_[p.column + k] : 0.0f;
		}
	}
	__device__ __forceinline__ float operator()(float x, int k) const { return (x - mean[k]) * scale[k] + beta[k]; }
};

template <class F, int W, int R>
__device__ __forceinline__ void normalizeColumns(Element *y, const Element *x, const float *gamma, const float *beta,
	const float *mean, const float *variance, float epsilon, int rows, int c, int rowsPerBlock) {
	const Place p = placeOf<W>(rows, c, rowsPerBlock);
	if (!p.active) return;
	const Affine<W> z(p, gamma, beta, mean, variance, epsilon);
#pragma unroll 1
	for (int row = p.first + p.lane; row < p.end; row += R * p.lanes) {
		Vector<Element, W> v[R];
#pragma unroll
		for (int r = 0; r < R; r++) {
			if (row + r * p.lanes < p.end) v[r] = load<Element, W>(x + at(p, row + r * p.lanes, c));
		}
#pragma unroll
		for (int r = 0; r < R; r++) {
			if (row + r * p.lanes >= p.end) break;
#pragma unroll
			for (int k = 0; k < W; k++) narrow(v[r].e[k], F::value(z(widen(v[r].e[k]), k), 0.0f));
			store(y + at(p, row + r * p.lanes, c), v[r]);
		}
	}
}

template <class F>
__device__ __forceinline__ void normalize(Element *y, const Element *x, const float *gamma, const float *beta,
	const float *mean, const float *variance, float epsilon, int rows, int c, int rowsPerBlock, int vector) {
	if (vector)
		normalizeColumns<F, 4, 2>(y, x, gamma, beta, mean, variance, epsilon, rows, c, rowsPerBlock);
	else
		normalizeColumns<F, 1, 2>(y, x, gamma, beta, mean, variance, epsilon, rows, c, rowsPerBlock);
}

// sumColumns computes the block's sum of dz and of dz*xhat.
template <class F, int W>
__device__ __forceinline__ void sumColumns(float *partial, const Element *dy, const Element *x, const float *gamma, const float *beta,
	const float *mean, const float *variance, float epsilon, int rows, int c, int rowsPerBlock) {
	const Place p = placeOf<W>(rows, c, rowsPerBlock);
	const Affine<W> z(p, gamma, beta, mean, variance, epsilon);
	float sum[2 * W] = {};
	if (p.active) {
#pragma unroll 1
		for (int row = p.first + p.lane; row < p.end; row += p.lanes) {
			const Vector<Element, W> v = load<Element, W>(x + at(p, row, c)), d = load<Element, W>(dy + at(p, row, c));
#pragma unroll
			for (int k = 0; k < W; k++) {
				const float xk = widen(v.e[k]), dz = widen(d.e[k]) * F::slope(z(xk, k), 0.0f);
				sum[k] += dz;
				sum[W + k] += dz * (xk - z.mean[k]);
			}
		}
	}
	sumLanes<2 * W>(sum, p);
	if (!p.active || p.lane > 0) return;
	const size_t to = (size_t)blockIdx.x * c + p.column, plane = (size_t)gridDim.x * c;
#pragma unroll
	for (int k = 0; k < W; k++) {
		partial[to + k] = sum[k];
		partial[plane + to + k] = sum[W + k] * rsqrtf(variance[p.column + k] + epsilon);
	}
}

template <class F>
__device__ __forceinline__ void sums(float *partial, const Element *dy, const Element *x, const float *gamma, const float *beta,
	const float *mean, const float *variance, float epsilon, int rows, int c, int rowsPerBlock, int vector) {
	if (vector)
		sumColumns<F, 4>(partial, dy, x, gamma, beta, mean, variance, epsilon, rows, c, rowsPerBlock);
	else
		sumColumns<F, 1>(partial, dy, x, gamma, beta, mean, variance, epsilon, rows, c, rowsPerBlock);
}

// backwardColumns computes dx = scale*dz + slope*(x-mean) + shift, with
//
//	slope = -scale dgamma/m / sqrt(var+epsilon)      shift = -scale dbeta/m
template <class F, int W, int R>
__device__ __forceinline__ void backwardColumns(Element *dx, const Element *dy, const Element *x, const float *gamma, const float *beta,
	const float *mean, const float *variance, const float *sums, float epsilon, int rows, int c, int rowsPerBlock) {
	const Place p = placeOf<W>(rows, c, rowsPerBlock);
	if (!p.active) return;
	const Affine<W> z(p, gamma, beta, mean, variance, epsilon);
	const float each = 1.0f / rows;
	float slope[W], shift[W];
#pragma unroll
	for (int k = 0; k < W; k++) {
		const int j = p.column + k;
		shift[k] = -z.scale[k] * sums[j] * each;
		slope[k] = -z.scale[k] * sums[c + j] * each * rsqrtf(variance[j] + epsilon);
	}
#pragma unroll 1
	for (int row = p.first + p.lane; row < p.end; row += R * p.lanes) {
		Vector<Element, W> v[R], d[R];
#pragma unroll
		for (int r = 0; r < R; r++) {
			if (row + r * p.lanes >= p.end) continue;
			v[r] = load<Element, W>(x + at(p, row + r * p.lanes, c));
			d[r] = load<Element, W>(dy + at(p, row + r * p.lanes, c));
		}
#pragma unroll
		for (int r = 0; r < R; r++) {
			if (row + r * p.lanes >= p.end) break;
#pragma unroll
			for (int k = 0; k < W; k++) {
				const float xk = widen(v[r].e[k]), dz = widen(d[r].e[k]) * F::slope(z(xk, k), 0.0f);
				narrow(d[r].e[k], z.scale[k] * dz + (slope[k] * (xk - z.mean[k]) + shift[k]));
			}
			store(dx + at(p, row + r * p.lanes, c), d[r]);
		}
	}
}

template <class F>
__device__ __forceinline__ void backward(Element *dx, const Element *dy, const Element *x, const float *gamma, const float *beta,
	const float *mean, const float *variance, const float *sums, float epsilon, int rows, int c, int rowsPerBlock, int vector) {
	if (vector)
		backwardColumns<F, 4, 2>(dx, dy, x, gamma, beta, mean, variance, sums, epsilon, rows, c, rowsPerBlock);
	else
		backwardColumns<F, 1, 1>(dx, dy, x, gamma, beta, mean, variance, sums, epsilon, rows, c, rowsPerBlock);
}

} // namespace

// batchnorm_moments leaves partial [2, gridDim.x, c]: means and sums of squared distances of
// each block's rows. Launch: columns.cuh.
extern "C" __global__ void __launch_bounds__(256)
KERNEL(batchnorm_moments)(float *partial, const Element *x, int rows, int c, int rowsPerBlock, int vector) {
	if (vector)
		moments<4, 8>(partial, x, rows, c, rowsPerBlock);
	else
		moments<1, 8>(partial, x, rows, c, rowsPerBlock);
}

// batchnorm_statistics merges them to mean and variance (divided by rows) [c], and updates
//
//	runningMean = (1-momentum) runningMean + momentum mean
//	runningVar = (1-momentum) runningVar + momentum variance rows/max(rows-1, 1)
//
// blocks is the gridDim.x of batchnorm_moments. Launch: 256 threads, grid ceil(c / 8).
extern "C" __global__ void __launch_bounds__(256)
KERNEL(batchnorm_statistics)(float *mean, float *variance, float *runningMean, float *runningVar, const float *partial,
	int blocks, int rows, int c, int rowsPerBlock, float momentum) {
	const int column = finishColumn(), lane = finishLane(), t = threadIdx.x;
	float m = 0.0f, m2 = 0.0f;
	int count = 0;
	if (column < c) {
		for (int b = lane; b < blocks; b += finishLanes) {
			const int own = min(rowsPerBlock, rows - b * rowsPerBlock);
			merge(count, m, m2, (float)own / (count + own), partial[(size_t)b * c + column], partial[((size_t)blocks + b) * c + column]);
			count += own;
		}
	}
	__shared__ float sharedMean[columnThreads], sharedM2[columnThreads];
	__shared__ int sharedCount[columnThreads];
	sharedMean[t] = m;
	sharedM2[t] = m2;
	sharedCount[t] = count;
	__syncthreads();
#pragma unroll 1
	for (int s = finishLanes / 2; s > 0; s /= 2) {
		const int other = t + s * finishColumns;
		if (lane < s && sharedCount[other] > 0) {
			const int own = sharedCount[other];
			merge(count, m, m2, (float)own / (count + own), sharedMean[other], sharedM2[other]);
			count += own;
			sharedMean[t] = m;
			sharedM2[t] = m2;
			sharedCount[t] = count;
		}
		__syncthreads();
	}
	if (lane > 0 || column >= c) return;
	mean[column] = m;
	variance[column] = m2 / rows;
	runningMean[column] = (1.0f - momentum) * runningMean[column] + momentum * m;
	runningVar[column] = (1.0f - momentum) * runningVar[column] + momentum * (m2 / max(rows - 1, 1));
}

// batchnorm_gradients adds up the partial sums [2, blocks, c] of batchnorm_sums to sums [2, c]:
// dbeta, then dgamma, and copies them to dbeta and dgamma where these are not null.
// Launch: 256 threads, grid ceil(c / 8).
extern "C" __global__ void __launch_bounds__(256)
KERNEL(batchnorm_gradients)(float *sums, float *dgamma, float *dbeta, const float *partial, int blocks, int c) {
	const int column = finishColumn();
	float v[2] = {};
	if (column < c) {
		for (int b = finishLane(); b < blocks; b += finishLanes) {
			v[0] += partial[(size_t)b * c + column];
			v[1] += partial[((size_t)blocks + b) * c + column];
		}
	}
	sumLanes<2>(v, finishPlace());
	if (finishLane() > 0 || column >= c) return;
	sums[column] = v[0];
	sums[c + column] = v[1];
	if (dbeta) dbeta[column] = v[0];
	if (dgamma) dgamma[column] = v[1];
}

// The kernels with an activation. Launch all: columns.cuh.
//
//	normalize   y = f(z); mean and variance [c] are the batch's or the running ones
//	sums        partial [2, gridDim.x, c]: sum of dz, sum of dz*xhat
//	backward    dx, with sums [2, c] of batchnorm_gradients; dx may be dy

#define ENTRIES(suffix, F) \
	extern "C" __global__ void __launch_bounds__(256) \
	KERNEL(batchnorm_normalize##suffix)(Element *y, const Element *x, const float *gamma, const float *beta, const float *mean, \
		const float *variance, float epsilon, int rows, int c, int rowsPerBlock, int vector) { \
		normalize<F>(y, x, gamma, beta, mean, variance, epsilon, rows, c, rowsPerBlock, vector); \
	} \
	extern "C" __global__ void __launch_bounds__(256) \
	KERNEL(batchnorm_sums##suffix)(float *partial, const Element *dy, const Element *x, const float *gamma, const float *beta, \
		const float *mean, const float *variance, float epsilon, int rows, int c, int rowsPerBlock, int vector) { \
		sums<F>(partial, dy, x, gamma, beta, mean, variance, epsilon, rows, c, rowsPerBlock, vector); \
	} \
	extern "C" __global__ void __launch_bounds__(256) \
	KERNEL(batchnorm_backward##suffix)(Element *dx, const Element *dy, const Element *x, const float *gamma, const float *beta, \
		const float *mean, const float *variance, const float *sums, float epsilon, int rows, int c, int rowsPerBlock, int vector) { \
		backward<F>(dx, dy, x, gamma, beta, mean, variance, sums, epsilon, rows, c, rowsPerBlock, vector); \
	}

ENTRIES(, Identity)
FUSED_WITH_BATCHNORM(ENTRIES)
