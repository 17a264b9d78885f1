// image_posterize.cu: x = s floor(q/s) / 255, where q is the nearest byte. Parameter: s.
// Bytes per element: 8.
#include "image.cuh"

extern "C" __global__ void __launch_bounds__(256)
image_posterize(IMAGE_PARAMETERS) {
	const Picture m = pictureOf(IMAGE_ARGUMENTS);
	if (!m.p) return;
	for (int i = threadIdx.x; i < m.size; i += blockDim.x) m.x[i] = m.p[0] * floorf(quantized(m.x[i]) / m.p[0]) / 255.0f;
}
