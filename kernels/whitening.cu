// whitening.cu: second moments of image patches, from whose eigenvectors the whitening
// initialisation makes its filters (nn/init_whitening.go):
//
//	moments[i,j] = 1/patches sum_p p[i] p[j]
//
// over all kH x kW x c patches p of images [n,h,w,c], stride 1, no padding; d = kH*kW*c elements in the order of a
// filter's. In float64, as the CPU computes it.
//
// Bytes: each block reads its images' patches once for every 256 of the d(d+1)/2 sums.
namespace {

constexpr int patchesPerTile = 32;
constexpr int largestPatch = 256; // elements

} // namespace

// whitening_moments leaves partial [gridDim.x, d*(d+1)/2]: sum of p[i] p[j], j <= i, at i*(i+1)/2 + j. d <= 256.
//
// Launch: 256 threads, grid (any, ceil(d*(d+1)/2 / 256)).
extern "C" __global__ void __launch_bounds__(256)
whitening_moments(double *partial, const float *images, int n, int h, int w, int c, int kH, int kW) {
	__shared__ float tile[patchesPerTile][largestPatch];
	const int d = kH * kW * c, sums = d * (d + 1) / 2, outH = h - kH + 1, outW = w - kW + 1;
	const int own = blockIdx.y * 256 + threadIdx.x;
	int i = 0, j = own;
	while (j > i) j -= ++i; // the triangle's row: a few steps, once
	double sum = 0.0;
	const int patches = n * outH * outW;
	for (int first = blockIdx.x * patchesPerTile; first < patches; first += gridDim.x * patchesPerTile) {
		const int count = min(patchesPerTile, patches - first);
		for (int e = threadIdx.x; e < count * d; e += 256) {
			const int p = first + e / d, k = e % d;
			const int col = p % outW + k / c % kW, row = p / outW % outH + k / (c * kW);
			tile[e / d][k] = images[(((size_t)(p / outW / outH) * h + row) * w + col) * c + k % c];
		}
		__syncthreads();
		if (own < sums) {
			for (int p = 0; p < count; p++) sum += (double)tile[p][i] * tile[p][j];
		}
		__syncthreads();
	}
	if (own < sums) partial[(size_t)blockIdx.x * sums + own] = sum;
}

// whitening_finish adds up the blocks' sums and writes moments, float64 [d, d].
// Launch: 256 threads, grid ceil(d*d / 256); blocks is the gridDim.x of whitening_moments.
extern "C" __global__ void __launch_bounds__(256)
whitening_finish(double *moments, const double *partial, int blocks, int d, int patches) {
	const int at = blockIdx.x * blockDim.x + threadIdx.x;
	if (at >= d * d) return;
	const int i = max(at / d, at % d), j = min(at / d, at % d), sums = d * (d + 1) / 2;
	double sum = 0.0;
	for (int b = 0; b < blocks; b++) sum += partial[(size_t)b * sums + i * (i + 1) / 2 + j];
	moments[at] = sum / patches;
}
