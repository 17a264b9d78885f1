// image_solarize.cu: x = 1-x for pixels whose nearest byte is at least s. Parameter: s.
// Bytes per element: 8.
#include "image.cuh"

extern "C" __global__ void __launch_bounds__(256)
image_solarize(IMAGE_PARAMETERS) {
	const Picture m = pictureOf(IMAGE_ARGUMENTS);
	if (!m.p) return;
	for (int i = threadIdx.x; i < m.size; i += blockDim.x)
		if (quantized(m.x[i]) >= m.p[0]) m.x[i] = 1.0f - m.x[i];
}
