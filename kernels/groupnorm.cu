// groupnorm.cu: group normalisation of x [batch, rows, c] (Wu and He, "Group Normalization", 2018), whose columns are
// divided into groups of neighbours. With one row and one group it is layer normalisation (Ba, Kiros and Hinton, 2016). For
// each group of an image, m being the number of its elements:
//
//	mean = 1/m sum x      var = 1/m sum (x-mean)^2      r = 1 / sqrt(var+epsilon)
//	xhat = r (x-mean)     y = gamma*xhat + beta
//
// and backward, with u = gamma*dy:
//
//	dbeta = sum dy        dgamma = sum dy*xhat        (over all images and rows)
//	dx = r (u - 1/m sum u - xhat 1/m sum u*xhat)
//
// Forward is one launch, in which a warp or a block takes a group: once for the sums, and again, from the cache if it is
// small, for y. Backward takes three: groupnorm_sums and batchnorm_gradients for dgamma and dbeta, then groupnorm_backward,
// which may overwrite dy. The sums over a group are taken in float64 (see reduce.cu), so var = 1/m sum x^2 - mean^2 is as
// good as the formula above. gamma, beta and moments [batch*groups, 2], which is mean and r of each group, are float32.
//
// vector is 1 where four columns of a group can be read together: 4 divides c/groups, and the addresses of x, y, dx, dy are
// multiples of 16; else 0.
#include "block.cuh"
#include "columns.cuh"

namespace {

// Group is the elements of one group that a thread takes, packs of w columns: every n-th pack, row by row.
struct Group {
	int count;              // number of packs
	int row, pack;          // of the current one
	int stepRow, stepPack;  // from one to the next
	int packs, w;           // packs per row, columns per pack
	int column, c;          // the group's first column; columns of an image
	size_t from;            // index of the group's first element

	__device__ __forceinline__ Group(int group, int groups, int rows, int c_, int w_, int thread, int n) : w(w_), c(c_) {
		const int width = c / groups;
		column = group % groups * width;
		from = (size_t)(group / groups) * rows * c + column;
		packs = width / w;
		row = thread / packs;
		pack = thread % packs;
		stepRow = n / packs;
		stepPack = n % packs;
		const int all = rows * packs;
		count = thread < all ? (all - thread + n - 1) / n : 0;
	}
	__device__ __forceinline__ size_t at() const { return from + (size_t)row * c + pack * w; }
	__device__ __forceinline__ int columnAt() const { return column + pack * w; }
	__device__ __forceinline__ void next() {
		row += stepRow;
		pack += stepPack;
		if (pack >= packs) {
			pack -= packs;
			row++;
		}
	}
};

// sumGroup sums v over a warp, or over the 256 threads of a block; all threads get the same bits. All threads of the block
// must call it, at most once per kernel.
__device__ __forceinline__ void sumGroup(double &a, double &b, bool warp) {
	a = warpSum(a);
	b = warpSum(b);
	if (warp) return;
	__shared__ double warps[2][8];
	if (threadIdx.x % 32 == 0) {
		warps[0][threadIdx.x / 32] = a;
		warps[1][threadIdx.x / 32] = b;
	}
	__syncthreads();
	a = b = 0.0;
#pragma unroll
	for (int i = 0; i < 8; i++) {
		a += warps[0][i];
		b += warps[1][i];
	}
}

// sums adds to sum and squares what the thread takes of its group.
template <int W> __device__ __forceinline__ void sums(double &sum, double &squares, const Element *x, Group g) {
#pragma unroll 1
	for (int i = 0; i < g.count; i++, g.next()) {
		const Vector<Element, W> v = load<Element, W>(x + g.at());
#pragma unroll
		for (int k = 0; k < W; k++) {
			const double e = widen(v.e[k]);
			sum += e;
			squares += e * e;
		}
	}
}

template <int W>
__device__ __forceinline__ void normalize(Element *y, const Element *x, const float *gamma, const float *beta, float mean, float r, Group g) {
#pragma unroll 1
	for (int i = 0; i < g.count; i++, g.next()) {
		Vector<Element, W> v = load<Element, W>(x + g.at());
		const Vector<float, W> s = load<float, W>(gamma + g.columnAt()), t = load<float, W>(beta + g.columnAt());
#pragma unroll
		for (int k = 0; k < W; k++) narrow(v.e[k], (widen(v.e[k]) - mean) * r * s.e[k] + t.e[k]);
		store(y + g.at(), v);
	}
}

// products adds to sum and product what the thread takes of its group: u and u*xhat.
template <int W>
__device__ __forceinline__ void products(double &sum, double &product, const Element *dy, const Element *x, const float *gamma, float mean,
	float r, Group g) {
#pragma unroll 1
	for (int i = 0; i < g.count; i++, g.next()) {
		const Vector<Element, W> v = load<Element, W>(x + g.at()), d = load<Element, W>(dy + g.at());
		const Vector<float, W> s = load<float, W>(gamma + g.columnAt());
#pragma unroll
		for (int k = 0; k < W; k++) {
			const double u = widen(d.e[k]) * s.e[k];
			sum += u;
			product += u * ((widen(v.e[k]) - mean) * r);
		}
	}
}

// gradient computes dx = r (u - shift - xhat slope).
template <int W>
__device__ __forceinline__ void gradient(Element *dx, const Element *dy, const Element *x, const float *gamma, float mean, float r, float shift,
	float slope, Group g) {
#pragma unroll 1
	for (int i = 0; i < g.count; i++, g.next()) {
		const Vector<Element, W> v = load<Element, W>(x + g.at());
		Vector<Element, W> d = load<Element, W>(dy + g.at());
		const Vector<float, W> s = load<float, W>(gamma + g.columnAt());
#pragma unroll
		for (int k = 0; k < W; k++) narrow(d.e[k], r * (widen(d.e[k]) * s.e[k] - shift - (widen(v.e[k]) - mean) * r * slope));
		store(dx + g.at(), d);
	}
}

// sumColumns computes dbeta and dgamma, the sums of dy and dy*xhat, where they are not null; pixels is the number of rows of all images.
template <int W>
__device__ __forceinline__ void sumColumns(float *dgamma, float *dbeta, float *partial, unsigned *arrived, const Element *dy, const Element *x,
	const float *moments, int pixels, int rows, int c, int groups, int rowsPerBlock) {
	const Place p = placeOf<W>(pixels, c, rowsPerBlock);
	float sum[2 * W] = {};
	if (p.active) {
		int group[W];
#pragma unroll
		for (int k = 0; k < W; k++) group[k] = (p.column + k) / (c / groups);
#pragma unroll 1
		for (int row = p.first + p.lane; row < p.end; row += p.lanes) {
			const Vector<Element, W> v = load<Element, W>(x + at(p, row, c)), d = load<Element, W>(dy + at(p, row, c));
			const float *own = moments + 2 * (size_t)(row / rows) * groups;
#pragma unroll
			for (int k = 0; k < W; k++) {
				const float dk = widen(d.e[k]);
				sum[k] += dk;
				sum[W + k] += dk * ((widen(v.e[k]) - own[2 * group[k]]) * own[2 * group[k] + 1]);
			}
		}
	}
	if (!finishSums<W, 2>(sum, partial, arrived, p, c)) return;
#pragma unroll
	for (int k = 0; k < W; k++) {
		if (dbeta) dbeta[p.column + k] = sum[k];
		if (dgamma) dgamma[p.column + k] = sum[W + k];
	}
}

} // namespace

// groupnorm_forward computes y and, unless moments is null, moments. count is batch*groups. With warp, a warp takes a group;
// otherwise a block does.
//
// Launch: 256 threads, grid by kernels.GroupNorm, exactly. Bytes per element: 2e, and e more if no cache holds the group.
extern "C" __global__ void __launch_bounds__(256)
KERNEL(groupnorm_forward)(Element *y, float *moments, const Element *x, const float *gamma, const float *beta, int count, int groups, int rows,
	int c, float epsilon, int warp, int vector) {
	const int group = warp ? blockIdx.x * 8 + threadIdx.x / 32 : blockIdx.x;
	if (group >= count) return; // true for a whole warp
	const int thread = warp ? threadIdx.x % 32 : threadIdx.x, threads = warp ? 32 : 256;
	const Group g(group, groups, rows, c, vector ? 4 : 1, thread, threads);
	double sum = 0.0, squares = 0.0;
	if (vector)
		sums<4>(sum, squares, x, g);
	else
		sums<1>(sum, squares, x, g);
	sumGroup(sum, squares, warp);
	const double m = (double)rows * (c / groups), centre = sum / m;
	const float mean = (float)centre, r = rsqrtf((float)fmax(squares / m - centre * centre, 0.0) + epsilon);
	if (thread == 0 && moments) {
		moments[2 * (size_t)group] = mean;
		moments[2 * (size_t)group + 1] = r;
	}
	if (vector)
		normalize<4>(y, x, gamma, beta, mean, r, g);
	else
		normalize<1>(y, x, gamma, beta, mean, r, g);
}

// groupnorm_sums computes dgamma and dbeta [c], where they are not null. partial is [2, gridDim.x, c], arrived [gridDim.y]
// (columns.cuh).
//
// Launch: columns.cuh, for pixels = batch*rows rows. Bytes per element: 2e. vector is for c here, not for c/groups.
extern "C" __global__ void __launch_bounds__(256)
KERNEL(groupnorm_sums)(float *dgamma, float *dbeta, float *partial, unsigned *arrived, const Element *dy, const Element *x,
	const float *moments, int pixels, int rows, int c, int groups, int rowsPerBlock, int vector) {
	if (vector)
		sumColumns<4>(dgamma, dbeta, partial, arrived, dy, x, moments, pixels, rows, c, groups, rowsPerBlock);
	else
		sumColumns<1>(dgamma, dbeta, partial, arrived, dy, x, moments, pixels, rows, c, groups, rowsPerBlock);
}

// groupnorm_backward computes dx, which may be dy. Launch: as groupnorm_forward. Bytes per element: 3e, and 2e more if no
// cache holds the group.
extern "C" __global__ void __launch_bounds__(256)
KERNEL(groupnorm_backward)(Element *dx, const Element *dy, const Element *x, const float *gamma, const float *moments, int count, int groups,
	int rows, int c, int warp, int vector) {
	const int group = warp ? blockIdx.x * 8 + threadIdx.x / 32 : blockIdx.x;
	if (group >= count) return; // true for a whole warp
	const int thread = warp ? threadIdx.x % 32 : threadIdx.x, threads = warp ? 32 : 256;
	const Group g(group, groups, rows, c, vector ? 4 : 1, thread, threads);
	const float mean = moments[2 * (size_t)group], r = moments[2 * (size_t)group + 1];
	double sum = 0.0, product = 0.0;
	if (vector)
		products<4>(sum, product, dy, x, gamma, mean, r, g);
	else
		products<1>(sum, product, dy, x, gamma, mean, r, g);
	sumGroup(sum, product, warp);
	const double m = (double)rows * (c / groups);
	const float shift = (float)(sum / m), slope = (float)(product / m);
	if (vector)
		gradient<4>(dx, dy, x, gamma, mean, r, shift, slope, g);
	else
		gradient<1>(dx, dy, x, gamma, mean, r, shift, slope, g);
}
