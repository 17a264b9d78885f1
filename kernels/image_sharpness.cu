// image_sharpness.cu: x = clamp(f x + (1-f) s), with s = (4 x + sum of the 3x3 pixels around x) / 13; the pixels at the
// border stay as they are. Parameter: f.
// Bytes per element: 16, plus neighbours, which come from the cache.
#include "image.cuh"

extern "C" __global__ void __launch_bounds__(256)
image_sharpness(IMAGE_PARAMETERS) {
	const Picture m = pictureOf(IMAGE_ARGUMENTS);
	if (!m.p) return;
	copyToScratch(m);
	const int row = w * c;
	for (int e = threadIdx.x; e < m.size; e += blockDim.x) {
		const int i = e / row, j = e % row / c;
		if (i == 0 || i == h - 1 || j == 0 || j == w - 1) continue;
		const float *x = m.scratch + e;
		float sum = 4.0f * x[0];
		for (int k = 0; k < 9; k++) sum += x[(k / 3 - 1) * row + (k % 3 - 1) * c];
		m.x[e] = clampPixel(m.p[0] * x[0] + (1.0f - m.p[0]) * (sum / 13.0f));
	}
}
