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
// batchnorm_normalize* forward, batchnorm_sums* and batchnorm_backward* backward. Inference is batchnorm_normalize* with
// the running statistics. The block of a group of columns that arrives last adds up the partial results of all
// (columns.cuh). What the second launch reads, mean and var or the sums [2, c], lies in memory between the two, where
// another device's can be added. Statistics and parameters are float32 [c] whatever the storage.
//
// vector is 1 where a thread can take 16 bytes of channels together, W = PACK elements, which then divide c, and the
// addresses of x, y, dx, dy are multiples of 16; else W is 1. columns.cuh says what to launch, kernels.BatchNorm returns
// it.
//
// A max pooling before the normalisation leaves the moments as it pools, and the backward pass spreads dx over its windows;
// one after the activation takes the place of y and dy, which then are in no memory (PooledGradient).
//
// Bytes per element, e being the element's size: moments e, normalize 2e; sums 2e, backward 3e.
#include "batchnorm.cuh"
#include "columns.cuh"
#include "function.cuh"
#include "special.cuh"
#include "tiles.cuh"

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

// mergeLanes merges the moments of all lanes with the same columns, pair by pair; lane 0 gets them. All threads of the
// block must call it.
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

// finishMoments leaves the block's moments of each column in partial [2, blocks, c]. The last block of a group merges those
// of all blocks, and updates the running statistics. All threads of the block must call it.
template <int W>
__device__ __forceinline__ void finishMoments(Moments<W> &own, const Place &p, float *mean, float *variance, float *runningMean, float *runningVar,
	float *partial, unsigned *arrived, int rows, int c, int rowsPerBlock, float momentum) {
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

// momentsOf merges the moments of the thread's rows, R at a time; row(r) returns the thread's columns of row r.
template <int W, int R, class Row> __device__ __forceinline__ void momentsOf(Moments<W> &own, const Place &p, const Row &rowAt) {
	if (!p.active) return;
	int row = p.first + p.lane;
#pragma unroll 1
	for (; row + (R - 1) * p.lanes < p.end; row += R * p.lanes) {
		Vector<Element, W> v[R];
#pragma unroll
		for (int r = 0; r < R; r++) v[r] = rowAt(row + r * p.lanes);
		addRows<W, R>(own, v);
	}
#pragma unroll 1
	for (; R > 1 && row < p.end; row += p.lanes) {
		const Vector<Element, W> v[1] = {rowAt(row)};
		addRows<W, 1>(own, v);
	}
}

// affineOf is the Affine of the thread's columns.
template <int W>
__device__ __forceinline__ Affine<W> affineOf(const Place &p, const float *gamma, const float *beta, const float *mean, const float *variance, float epsilon) {
	return Affine<W>(p.column, p.active, gamma, beta, mean, variance, epsilon);
}

template <class F, int W, int R>
__device__ __forceinline__ void normalizeColumns(Element *y, const Element *x, const float *gamma, const float *beta,
	const float *mean, const float *variance, float epsilon, int rows, int c, int rowsPerBlock) {
	const Place p = placeOf<W>(rows, c, rowsPerBlock);
	if (!p.active) return;
	const Affine<W> z = affineOf<W>(p, gamma, beta, mean, variance, epsilon);
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

// normalizePooled computes the largest of f(z) in each window of K x K pixels, and its number in arg, unless arg is null: x
// [n, h, w, c], y and arg [rows, c], rows being n*outH*outW. f(z) is rounded as if it were stored.
template <class F, int K>
__device__ __forceinline__ void normalizePooled(Element *y, unsigned char *arg, const Element *x, const float *gamma, const float *beta,
	const float *mean, const float *variance, float epsilon, int rows, int c, int rowsPerBlock, const Image &image) {
	const Place p = placeOf<PACK>(rows, c, rowsPerBlock);
	if (!p.active) return;
	const Affine<PACK> z = affineOf<PACK>(p, gamma, beta, mean, variance, epsilon);
#pragma unroll 1
	for (int row = p.first + p.lane; row < p.end; row += p.lanes) {
		const Element *from = x + at(p, windowAt<K>(row, image).pixel, c);
		float best[PACK];
		int number[PACK];
#pragma unroll
		for (int k = 0; k < PACK; k++) {
			best[k] = -infinity(); // if all elements are this, the first is the largest
			number[k] = 0;
		}
#pragma unroll 1
		for (int j = 0; j < K * K; j++) {
			Vector<Element, PACK> v = load<Element, PACK>(from + (j / K * image.w + j % K) * c);
#pragma unroll
			for (int k = 0; k < PACK; k++) {
				narrow(v.e[k], F::value(z.of(widen(v.e[k]) - z.mean[k], k), 0.0f));
				takeLarger(best[k], number[k], widen(v.e[k]), j);
			}
		}
		Vector<Element, PACK> out;
		Vector<unsigned char, PACK> numbers;
#pragma unroll
		for (int k = 0; k < PACK; k++) {
			narrow(out.e[k], best[k]);
			numbers.e[k] = (unsigned char)number[k];
		}
		store(y + at(p, row, c), out);
		if (arg) store(arg + at(p, row, c), numbers);
	}
}

// Gradient is the gradient of f(z), in memory.
struct Gradient {
	const Element *dy;

	// of returns the thread's columns of a row.
	template <int W> __device__ __forceinline__ Vector<Element, W> of(const Place &p, int row, int c) const { return load<Element, W>(dy + at(p, row, c)); }
};

// PooledGradient is the gradient of f(z) with a max pooling after it, by windows of k x k that cover the images, which are
// w wide. dy is the gradient of the pooled images, outW wide, and arg has the numbers of the largest elements.
struct PooledGradient {
	const Element *dy;
	const unsigned char *arg;
	int k, w, outW;
	Divisor byW, byK; // of w and k

	template <int W> __device__ __forceinline__ Vector<Element, W> of(const Place &p, int row, int c) const {
		const int line = byW.quotient(row), col = row - line * w, i = byK.quotient(line), j = byK.quotient(col);
		const int own = (line - i * k) * k + (col - j * k);
		const size_t window = at(p, i * outW + j, c);
		Vector<Element, W> d = load<Element, W>(dy + window);
		const Vector<unsigned char, W> number = load<unsigned char, W>(arg + window);
#pragma unroll
		for (int e = 0; e < W; e++) {
			if (number.e[e] != own) narrow(d.e[e], 0.0f);
		}
		return d;
	}
};

// eachGradient calls visit(row, dz, centred) for the thread's rows, R rows being loaded at a time, with dz = dy f'(z) and
// centred = x-mean of the thread's columns.
template <class F, int W, int R, class G, class Visit>
__device__ __forceinline__ void eachGradient(const G &dy, const Element *x, const Affine<W> &z, const Place &p, int c, const Visit &visit) {
#pragma unroll 1
	for (int row = p.first + p.lane; row < p.end; row += R * p.lanes) {
		Vector<Element, W> v[R], d[R];
#pragma unroll
		for (int r = 0; r < R; r++) {
			if (row + r * p.lanes >= p.end) continue;
			v[r] = load<Element, W>(x + at(p, row + r * p.lanes, c));
			d[r] = dy.template of<W>(p, row + r * p.lanes, c);
		}
#pragma unroll
		for (int r = 0; r < R; r++) {
			if (row + r * p.lanes >= p.end) break;
			float dz[W], centred[W];
#pragma unroll
			for (int k = 0; k < W; k++) {
				centred[k] = widen(v[r].e[k]) - z.mean[k];
				dz[k] = widen(d[r].e[k]) * F::slope(z.of(centred[k], k), 0.0f);
			}
			visit(row + r * p.lanes, dz, centred);
		}
	}
}

// sumColumns adds up dz and dz*xhat of each column.
template <class F, int W, int R, class G>
__device__ __forceinline__ void sumColumns(float *sums, float *dgamma, float *dbeta, float *partial, unsigned *arrived, const G &dy,
	const Element *x, const float *gamma, const float *beta, const float *mean, const float *variance, float epsilon,
	int rows, int c, int rowsPerBlock) {
	const Place p = placeOf<W>(rows, c, rowsPerBlock);
	float sum[2 * W] = {}; // of dz, and of dz (x-mean)
	if (p.active) {
		const Affine<W> z = affineOf<W>(p, gamma, beta, mean, variance, epsilon);
		eachGradient<F, W, R>(dy, x, z, p, c, [&](int, const float (&dz)[W], const float (&centred)[W]) {
#pragma unroll
			for (int k = 0; k < W; k++) {
				sum[k] += dz[k];
				sum[W + k] += dz[k] * centred[k];
			}
		});
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
		sumColumns<F, PACK, 2>(sums, dgamma, dbeta, partial, arrived, Gradient{dy}, x, gamma, beta, mean, variance, epsilon, rows, c, rowsPerBlock);
	else
		sumColumns<F, 1, 2>(sums, dgamma, dbeta, partial, arrived, Gradient{dy}, x, gamma, beta, mean, variance, epsilon, rows, c, rowsPerBlock);
}

// backwardColumns computes dx and hands it to put, row by row.
template <class F, int W, int R, class G, class Put>
__device__ __forceinline__ void backwardColumns(const Put &put, const G &dy, const Element *x, const float *gamma, const float *beta,
	const float *mean, const float *variance, const float *sums, float epsilon, int rows, int c, int rowsPerBlock) {
	const Place p = placeOf<W>(rows, c, rowsPerBlock);
	if (!p.active) return;
	const Affine<W> z = affineOf<W>(p, gamma, beta, mean, variance, epsilon);
	const InputGradient<W> gradient(z, p.column, sums, c, variance, epsilon, rows);
	eachGradient<F, W, R>(dy, x, z, p, c, [&](int row, const float (&dz)[W], const float (&centred)[W]) {
		Vector<Element, W> out;
#pragma unroll
		for (int k = 0; k < W; k++) narrow(out.e[k], gradient.of(z, dz[k], centred[k], k));
		put(p, row, out);
	});
}

// Rows is where backwardColumns puts dx.
struct Rows {
	Element *dx;
	int c;

	template <int W> __device__ __forceinline__ void operator()(const Place &p, int row, const Vector<Element, W> &v) const {
		store(dx + at(p, row, c), v);
	}
};

// Windows is where backwardColumns puts dx if x is a max pooling by 2 x 2 of images, and dx the gradient with respect to
// these. arg has the numbers of the largest elements, packed.
struct Windows {
	Element *dx;
	const unsigned char *arg;
	Image images;
	int c;

	template <int W> __device__ __forceinline__ void operator()(const Place &p, int row, const Vector<Element, W> &v) const {
		const Window window = windowAt<2>(row, images);
		spread<2, W>(dx + at(p, window.pixel, c), v, loadPacked<W>(arg, at(p, row, c)), window, images, c);
	}
};

template <class F>
__device__ __forceinline__ void backward(Element *dx, const Element *dy, const Element *x, const float *gamma, const float *beta,
	const float *mean, const float *variance, const float *sums, float epsilon, int rows, int c, int rowsPerBlock, int vector) {
	const Rows to = {dx, c};
	if (vector)
		backwardColumns<F, PACK, 2>(to, Gradient{dy}, x, gamma, beta, mean, variance, sums, epsilon, rows, c, rowsPerBlock);
	else
		backwardColumns<F, 1, 1>(to, Gradient{dy}, x, gamma, beta, mean, variance, sums, epsilon, rows, c, rowsPerBlock);
}

} // namespace

// The parameters that make an Image.
#define IMAGE int h, int w, int outH, int outW, int widthM, int widthS, int heightM, int heightS
#define IMAGE_GIVEN {h, w, outH, outW, Divisor(widthM, widthS), Divisor(heightM, heightS)}

// batchnorm_moments computes mean and variance (divided by rows) [c], and updates
//
//	runningMean = (1-momentum) runningMean + momentum mean
//	runningVar = (1-momentum) runningVar + momentum variance rows/max(rows-1, 1)
//
// Unless pooled is null, x is images [n, h, w, c], which it first pools by 2 x 2 (tiles.cuh) to pooled and arg [rows, c], packed,
// rows being n*outH*outW; this needs vector = 1. The pairs of ints are Divisors of outW and outH.
//
// partial is [2, gridDim.x, c], arrived [gridDim.y] (lastOfGroup). Launch: columns.cuh.
extern "C" __global__ void __launch_bounds__(256)
KERNEL(batchnorm_moments)(float *mean, float *variance, float *runningMean, float *runningVar, float *partial, unsigned *arrived,
	const Element *x, int rows, int c, int rowsPerBlock, float momentum, int vector, Element *pooled, unsigned char *arg, IMAGE) {
	if (!vector) {
		const Place p = placeOf<1>(rows, c, rowsPerBlock);
		Moments<1> own;
		momentsOf<1, 4>(own, p, [=](int row) { return load<Element, 1>(x + at(p, row, c)); });
		return finishMoments<1>(own, p, mean, variance, runningMean, runningVar, partial, arrived, rows, c, rowsPerBlock, momentum);
	}
	const Place p = placeOf<PACK>(rows, c, rowsPerBlock);
	Moments<PACK> own;
	if (pooled) {
		const Image images = IMAGE_GIVEN;
		momentsOf<PACK, 1>(own, p, [=](int row) {
			Vector<unsigned char, PACK> number;
			const Vector<Element, PACK> v = largestOf<2, PACK>(number, x + at(p, windowAt<2>(row, images).pixel, c), images, c, 0);
			store(pooled + at(p, row, c), v);
			storePacked<PACK>(arg, at(p, row, c), number);
			return v;
		});
	} else {
		momentsOf<PACK, 4>(own, p, [=](int row) { return load<Element, PACK>(x + at(p, row, c)); });
	}
	finishMoments<PACK>(own, p, mean, variance, runningMean, runningVar, partial, arrived, rows, c, rowsPerBlock, momentum);
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

// backward where x is a max pooling by 2 x 2 of images [n, h, w, c]: dx is the gradient with respect to these, and must not
// be dy. arg has the numbers of the largest elements, packed. They need vector to be 1. The pairs of ints are Divisors of outW and
// outH. Launch: columns.cuh.
#define UNPOOL \
	Element *dx, const Element *dy, const Element *x, const float *gamma, const float *beta, const float *mean, const float *variance, \
		const float *sums, float epsilon, int rows, int c, int rowsPerBlock, int vector, const unsigned char *arg, IMAGE
#define UNPOOL_GIVEN \
	Windows{dx, arg, IMAGE_GIVEN, c}, Gradient{dy}, x, gamma, beta, mean, variance, sums, epsilon, rows, c, rowsPerBlock

extern "C" __global__ void __launch_bounds__(256)
KERNEL(batchnorm_unpool_relu)(UNPOOL) { backwardColumns<ReLU, PACK, 1>(UNPOOL_GIVEN); }

extern "C" __global__ void __launch_bounds__(256)
KERNEL(batchnorm_unpool_gelu)(UNPOOL) { backwardColumns<GELU, PACK, 1>(UNPOOL_GIVEN); }

// The kernels of GELU with a max pooling after it whose windows, of 3 x 3, cover the images. They need c to be a multiple
// of 16 bytes.
//
// Forward: y = maxpool(f(z)) [rows, c], rows being n*outH*outW, and arg unless it is null. The pairs of ints are Divisors
// of outW and outH.
extern "C" __global__ void __launch_bounds__(256)
KERNEL(batchnorm_pooled_gelu)(Element *y, unsigned char *arg, const Element *x, const float *gamma, const float *beta, const float *mean,
	const float *variance, float epsilon, int rows, int c, int rowsPerBlock, IMAGE) {
	normalizePooled<GELU, 3>(y, arg, x, gamma, beta, mean, variance, epsilon, rows, c, rowsPerBlock, IMAGE_GIVEN);
}

// Backward, over the rows of x: sums and backward with dy as a PooledGradient. The pairs of ints are Divisors of w and k.
#define POOLED int k, int w, int outW, int widthM, int widthS, int kM, int kS
#define POOLED_GIVEN {dy, arg, k, w, outW, Divisor(widthM, widthS), Divisor(kM, kS)}

extern "C" __global__ void __launch_bounds__(256)
KERNEL(batchnorm_pooled_sums_gelu)(float *sums, float *dgamma, float *dbeta, float *partial, unsigned *arrived, const Element *dy,
	const unsigned char *arg, const Element *x, const float *gamma, const float *beta, const float *mean, const float *variance, float epsilon,
	int rows, int c, int rowsPerBlock, POOLED) {
	const PooledGradient gradient = POOLED_GIVEN;
	sumColumns<GELU, PACK, 1>(sums, dgamma, dbeta, partial, arrived, gradient, x, gamma, beta, mean, variance, epsilon, rows, c, rowsPerBlock);
}

extern "C" __global__ void __launch_bounds__(256)
KERNEL(batchnorm_pooled_backward_gelu)(Element *dx, const Element *dy, const unsigned char *arg, const Element *x, const float *gamma,
	const float *beta, const float *mean, const float *variance, const float *sums, float epsilon, int rows, int c, int rowsPerBlock, POOLED) {
	const PooledGradient gradient = POOLED_GIVEN;
	const Rows to = {dx, c};
	backwardColumns<GELU, PACK, 1>(to, gradient, x, gamma, beta, mean, variance, sums, epsilon, rows, c, rowsPerBlock);
}
