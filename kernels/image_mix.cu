// image_mix.cu: x = k x + (1-k) z within a rectangle, where z is the partner's image. Parameters: k, top, left, height,
// width, and the weight of the label, which isn't needed here.
// Bytes per element of the rectangle: 12.
#include "image.cuh"

extern "C" __global__ void __launch_bounds__(256)
image_mix(IMAGE_PARAMETERS) {
	const Picture m = pictureOf(IMAGE_ARGUMENTS);
	if (!m.p) return;
	const int top = (int)m.p[1], left = (int)m.p[2], row = (int)m.p[4] * c, n = (int)m.p[3] * row;
	for (int e = threadIdx.x; e < n; e += blockDim.x) {
		const int i = ((top + e / row) * w + left) * c + e % row;
		m.x[i] = m.p[0] * m.x[i] + (1.0f - m.p[0]) * m.other[i];
	}
}
