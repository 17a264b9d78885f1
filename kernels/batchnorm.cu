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
// Each pass is two launches, one for the sums over the rows and one for what needs them: batchnorm_moments and
// batchnorm_normalize* forward, batchnorm_sums* and batchnorm_backward* backward. Inference is batchnorm_normalize* with the
// running statistics. The block of a group of columns that arrives last adds up the partial results of all (columns.cuh).
// What the second launch reads, mean and var or the sums [2, c], lies in memory between the two, where another device's can
// be added. Statistics and parameters are float32 [c] whatever the storage.
//
// vector is 1 where a thread can take 16 bytes of channels together, W = PACK elements, which then divide c, and the addresses
// of x, y, dx, dy are multiples of 16; else W is 1. columns.cuh says what to launch, kernels.BatchNorm returns it.
//
// Bytes per element, e being the element's size: moments e, normalize 2e; sums 2e, backward 3e.
#include "columns.cuh"
#include "function.cuh"

namespace {

// Moments are the mean of count values and the sum m2 of their squared distances from it, for W columns.
// Two sets merge without cancellation (Chan, Golub and LeVeque, "Algorithms for Computing the
// Sample Variance", 1983):
//
//	n = n_a + n_b      delta = mean_b - mean_a
//	mean = mean_a + delta n_b/n      m2 = m2_a + m2_b + delta^2 n_a n_b/n
template <int W> struct Moments {
	float mean[W], m2[W];
	int count;

	__device__ __forceinline__ Moments() : mean{}, m2{}, count(0) {}

	// mergeColumn merges the moments of column k of a set; share is n_b/n. mergeCount follows the last column.
	__device__ __forceinline__ void mergeColumn(int k, float share, float meanB, float m2B) {
		const float delta = meanB - mean[k];
		mean[k] += delta * share;
		m2[k] += m2B + delta * delta * (float)count * share;
	}
	__device__ __forceinline__ float share(int countB) const { return __fdividef((float)countB, (float)(count + countB)); }
};

// addRows merges R rows: their mean and squares are exact two-pass ones.
template <int W, int R> __device__ __forceinline__ void addRows(Moments<W> &sum, const Vector<Element, W> (&v)[R]) {
	const float share = sum.share(R);
#pragma unroll
	for (int k = 0; k < W; k++) {
		float total = widen(v[0].e[k]), squares = 0.0f;
#pragma unroll
		for (int r = 1; r < R; r++) total += widen(v[r].e[k]);
		const float centre = total * (1.0f / R);
#pragma unroll
		for (int r = 0; r < R; r++) {
			const float d = widen(v[r].e[k]) - centre;
			squares += d * d;
		}
		sum.mergeColumn(k, share, centre, squares);
	}
	sum.count += R;
}

// mergeLanes merges the moments of all lanes with the same columns, pair by pair; lane 0 gets them. All threads of the block
// must call it.
template <int W> __device__ __forceinline__ void mergeLanes(Moments<W> &sum, const Place &p) {
	__shared__ float sharedMean[W][columnThreads], sharedM2[W][columnThreads];
	__shared__ int sharedCount[columnThreads];
	const int t = threadIdx.x;
#pragma unroll
	for (int k = 0; k < W; k++) {
		sharedMean[k][t] = sum.mean[k];
		sharedM2[k][t] = sum.m2[k];
	}
	sharedCount[t] = sum.count;
	__syncthreads();
#pragma unroll 1
	for (int s = firstStep(p.lanes); s > 0; s /= 2) {
		const int other = t + s * p.stride;
		if (p.active && p.lane < s && p.lane + s < p.lanes && sharedCount[other] > 0) {
			const int countB = sharedCount[other];
			const float share = sum.share(countB);
#pragma unroll
			for (int k = 0; k < W; k++) {
				sum.mergeColumn(k, share, sharedMean[k][other], sharedM2[k][other]);
				sharedMean[k][t] = sum.mean[k];
				sharedM2[k][t] = sum.m2[k];
			}
			sum.count += countB;
			sharedCount[t] = sum.count;
		}
		__syncthreads();
	}
}

// moments leaves the block's moments of each column in partial [2, blocks, c]. The last block of a group merges those of all
// blocks, and updates the running statistics.
template <int W, int R>
__device__ __forceinline__ void moments(float *mean, float *variance, float *runningMean, float *runningVar, float *partial,
	unsigned *arrived, const Element *x, int rows, int c, int rowsPerBlock, float momentum) {
	const Place p = placeOf<W>(rows, c, rowsPerBlock);
	Moments<W> own;
	if (p.active) {
		int row = p.first + p.lane;
#pragma unroll 1
		for (; row + (R - 1) * p.lanes < p.end; row += R * p.lanes) {
			Vector<Element, W> v[R];
#pragma unroll
			for (int r = 0; r < R; r++) v[r] = load<Element, W>(x + at(p, row + r * p.lanes, c));
			addRows<W, R>(own, v);
		}
#pragma unroll 1
		for (; row < p.end; row += p.lanes) {
			const Vector<Element, W> v[1] = {load<Element, W>(x + at(p, row, c))};
			addRows<W, 1>(own, v);
		}
	}
	mergeLanes<W>(own, p);
	const int blocks = gridDim.x;
	const size_t plane = (size_t)blocks * c;
	if (p.active && p.lane == 0) {
		storeFloats<W>(partial + at(p, blockIdx.x, c), own.mean);
		storeFloats<W>(partial + plane + at(p, blockIdx.x, c), own.m2);
	}
	if (!lastOfGroup(arrived)) return;

	Moments<W> all;
	if (p.active) {
#pragma unroll 2
		for (int b = p.lane; b < blocks; b += p.lanes) {
			float meanB[W], m2B[W];
			loadFloats<W>(meanB, partial + at(p, b, c));
			loadFloats<W>(m2B, partial + plane + at(p, b, c));
			const int countB = min(rowsPerBlock, rows - b * rowsPerBlock);
			const float share = all.share(countB);
#pragma unroll
			for (int k = 0; k < W; k++) all.mergeColumn(k, share, meanB[k], m2B[k]);
			all.count += countB;
		}
	}
	mergeLanes<W>(all, p);
	if (!p.active || p.lane > 0) return;
#pragma unroll
	for (int k = 0; k < W; k++) {
		const int j = p.column + k;
		mean[j] = all.mean[k];
		variance[j] = all.m2[k] / rows;
		runningMean[j] = (1.0f - momentum) * runningMean[j] + momentum * all.mean[k];
		runningVar[j] = (1.0f - momentum) * runningVar[j] + momentum * (all.m2[k] / max(rows - 1, 1));
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
	// of returns z of column k, from centred = x-mean.
	__device__ __forceinline__ float of(float centred, int k) const { return centred * scale[k] + beta[k]; }
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
			for (int k = 0; k < W; k++) narrow(v[r].e[k], F::value(z.of(widen(v[r].e[k]) - z.mean[k], k), 0.0f));
			store(y + at(p, row + r * p.lanes, c), v[r]);
		}
	}
}

template <class F>
__device__ __forceinline__ void normalize(Element *y, const Element *x, const float *gamma, const float *beta,
	const float *mean, const float *variance, float epsilon, int rows, int c, int rowsPerBlock, int vector) {
	if (vector)
		normalizeColumns<F, PACK, 4>(y, x, gamma, beta, mean, variance, epsilon, rows, c, rowsPerBlock);
	else
		normalizeColumns<F, 1, 1>(y, x, gamma, beta, mean, variance, epsilon, rows, c, rowsPerBlock);
}

// sumColumns adds up dz and dz*xhat of each column.
template <class F, int W, int R>
__device__ __forceinline__ void sumColumns(float *sums, float *dgamma, float *dbeta, float *partial, unsigned *arrived, const Element *dy,
	const Element *x, const float *gamma, const float *beta, const float *mean, const float *variance, float epsilon,
	int rows, int c, int rowsPerBlock) {
	const Place p = placeOf<W>(rows, c, rowsPerBlock);
	float sum[2 * W] = {}; // of dz, and of dz (x-mean)
	if (p.active) {
		const Affine<W> z(p, gamma, beta, mean, variance, epsilon);
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
					const float centred = widen(v[r].e[k]) - z.mean[k], dz = widen(d[r].e[k]) * F::slope(z.of(centred, k), 0.0f);
					sum[k] += dz;
					sum[W + k] += dz * centred;
				}
			}
		}
	}
	if (p.active) {
#pragma unroll
		for (int k = 0; k < W; k++) sum[W + k] *= rsqrtf(variance[p.column + k] + epsilon);
	}
	if (!finishSums<W, 2>(sum, partial, arrived, p, c)) return;
#pragma unroll
	for (int k = 0; k < W; k++) {
		const int j = p.column + k;
		sums[j] = sum[k];
		sums[c + j] = sum[W + k];
		if (dbeta) dbeta[j] = sum[k];
		if (dgamma) dgamma[j] = sum[W + k];
	}
}

template <class F>
__device__ __forceinline__ void sums(float *sums, float *dgamma, float *dbeta, float *partial, unsigned *arrived, const Element *dy,
	const Element *x, const float *gamma, const float *beta, const float *mean, const float *variance, float epsilon, int rows, int c,
	int rowsPerBlock, int vector) {
	if (vector)
		sumColumns<F, PACK, 2>(sums, dgamma, dbeta, partial, arrived, dy, x, gamma, beta, mean, variance, epsilon, rows, c, rowsPerBlock);
	else
		sumColumns<F, 1, 2>(sums, dgamma, dbeta, partial, arrived, dy, x, gamma, beta, mean, variance, epsilon, rows, c, rowsPerBlock);
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
				const float centred = widen(v[r].e[k]) - z.mean[k], dz = widen(d[r].e[k]) * F::slope(z.of(centred, k), 0.0f);
				narrow(d[r].e[k], z.scale[k] * dz + (slope[k] * centred + shift[k]));
			}
			store(dx + at(p, row + r * p.lanes, c), d[r]);
		}
	}
}

template <class F>
__device__ __forceinline__ void backward(Element *dx, const Element *dy, const Element *x, const float *gamma, const float *beta,
	const float *mean, const float *variance, const float *sums, float epsilon, int rows, int c, int rowsPerBlock, int vector) {
	if (vector)
		backwardColumns<F, PACK, 2>(dx, dy, x, gamma, beta, mean, variance, sums, epsilon, rows, c, rowsPerBlock);
	else
		backwardColumns<F, 1, 1>(dx, dy, x, gamma, beta, mean, variance, sums, epsilon, rows, c, rowsPerBlock);
}

} // namespace

// batchnorm_moments computes mean and variance (divided by rows) [c], and updates
//
//	runningMean = (1-momentum) runningMean + momentum mean
//	runningVar = (1-momentum) runningVar + momentum variance rows/max(rows-1, 1)
//
// partial is [2, gridDim.x, c], arrived [gridDim.y] (lastOfGroup). Launch: columns.cuh.
extern "C" __global__ void __launch_bounds__(256)
KERNEL(batchnorm_moments)(float *mean, float *variance, float *runningMean, float *runningVar, float *partial, unsigned *arrived,
	const Element *x, int rows, int c, int rowsPerBlock, float momentum, int vector) {
	if (vector)
		moments<PACK, 4>(mean, variance, runningMean, runningVar, partial, arrived, x, rows, c, rowsPerBlock, momentum);
	else
		moments<1, 4>(mean, variance, runningMean, runningVar, partial, arrived, x, rows, c, rowsPerBlock, momentum);
}

// The kernels with an activation. Launch all: columns.cuh.
//
//	normalize   y = f(z); mean and variance [c] are the batch's or the running ones
//	sums        sums [2, c]: dbeta, then dgamma, and copies of them in dbeta and dgamma where these are not null.
//	            partial is [2, gridDim.x, c], arrived [gridDim.y] (lastOfGroup)
//	backward    dx, with sums [2, c]; dx may be dy

#define ENTRIES(suffix, F) \
	extern "C" __global__ void __launch_bounds__(256) \
	KERNEL(batchnorm_normalize##suffix)(Element *y, const Element *x, const float *gamma, const float *beta, const float *mean, \
		const float *variance, float epsilon, int rows, int c, int rowsPerBlock, int vector) { \
		normalize<F>(y, x, gamma, beta, mean, variance, epsilon, rows, c, rowsPerBlock, vector); \
	} \
	extern "C" __global__ void __launch_bounds__(256) \
	KERNEL(batchnorm_sums##suffix)(float *sums_, float *dgamma, float *dbeta, float *partial, unsigned *arrived, const Element *dy, \
		const Element *x, const float *gamma, const float *beta, const float *mean, const float *variance, float epsilon, int rows, \
		int c, int rowsPerBlock, int vector) { \
		sums<F>(sums_, dgamma, dbeta, partial, arrived, dy, x, gamma, beta, mean, variance, epsilon, rows, c, rowsPerBlock, vector); \
	} \
	extern "C" __global__ void __launch_bounds__(256) \
	KERNEL(batchnorm_backward##suffix)(Element *dx, const Element *dy, const Element *x, const float *gamma, const float *beta, \
		const float *mean, const float *variance, const float *sums, float epsilon, int rows, int c, int rowsPerBlock, int vector) { \
		backward<F>(dx, dy, x, gamma, beta, mean, variance, sums, epsilon, rows, c, rowsPerBlock, vector); \
	}

ENTRIES(, Identity)
FUSED_WITH_BATCHNORM(ENTRIES)
