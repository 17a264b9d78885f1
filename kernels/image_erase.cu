// image_erase.cu: fills a rectangle with the mean colour. Parameters: top, left, height, width.
// Bytes per element of the rectangle: 4.
#include "image.cuh"

extern "C" __global__ void __launch_bounds__(256)
image_erase(IMAGE_PARAMETERS) {
	const Picture m = pictureOf(IMAGE_ARGUMENTS);
	if (!m.p) return;
	const int top = (int)m.p[0], left = (int)m.p[1], row = (int)m.p[3] * c, n = (int)m.p[2] * row;
	for (int e = threadIdx.x; e < n; e += blockDim.x) m.x[((top + e / row) * w + left) * c + e % row] = m.mean[e % c];
}
