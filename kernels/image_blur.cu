// image_blur.cu: replaces each pixel by a weighted mean of it and up to 7 neighbours on each side, along the rows and
// then along the columns, with the image reflected at its border:
//
//	z[i,j] = sum of p[|k|] x[i, j+k]        x[i,j] = sum of p[|k|] z[i+k, j]
//
// Parameters: the weights by distance, 0 to 7.
// Bytes per element: 16, plus neighbours, which come from the cache.
#include "image.cuh"

namespace {

constexpr int blurRadius = 7;

// reflected continues [0, n) by reflection at its ends, which are not repeated, for any i.
__device__ __forceinline__ int reflected(int i, int n) {
	if (n == 1) return 0;
	const int period = 2 * (n - 1);
	i = max(i, -i) % period;
	return min(i, period - i);
}

// weighted returns the mean around pixel i of a line of n pixels, which are stride elements apart.
__device__ __forceinline__ float weighted(const float *line, int i, int n, int stride, const float *p) {
	float sum = 0;
	for (int k = -blurRadius; k <= blurRadius; k++) {
		const float weight = p[max(k, -k)];
		if (weight != 0) sum += weight * line[reflected(i + k, n) * stride];
	}
	return sum;
}

} // namespace

extern "C" __global__ void __launch_bounds__(256)
image_blur(IMAGE_PARAMETERS) {
	const Picture m = pictureOf(IMAGE_ARGUMENTS);
	if (!m.p) return;
	const int row = w * c;
	for (int e = threadIdx.x; e < m.size; e += blockDim.x)
		m.scratch[e] = weighted(m.x + e / row * row + e % c, e % row / c, w, c, m.p);
	__syncthreads();
	for (int e = threadIdx.x; e < m.size; e += blockDim.x) m.x[e] = weighted(m.scratch + e % row, e / row, h, row, m.p);
}
