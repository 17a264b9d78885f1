// image_brightness.cu: x = clamp(f x). Parameter: f.
// Bytes per element: 8.
#include "image.cuh"

extern "C" __global__ void __launch_bounds__(256)
image_brightness(IMAGE_PARAMETERS) {
	const Picture m = pictureOf(IMAGE_ARGUMENTS);
	if (!m.p) return;
	for (int i = threadIdx.x; i < m.size; i += blockDim.x) m.x[i] = clampPixel(m.p[0] * m.x[i]);
}
