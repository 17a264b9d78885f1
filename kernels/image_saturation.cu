// image_saturation.cu: x = clamp(f x + (1-f) gray), with each pixel's own gray; images without three channels stay as
// they are. Parameter: f.
// Bytes per element: 8.
#include "image.cuh"

extern "C" __global__ void __launch_bounds__(256)
image_saturation(IMAGE_PARAMETERS) {
	const Picture m = pictureOf(IMAGE_ARGUMENTS);
	if (!m.p || c != 3) return;
	for (int pixel = threadIdx.x; pixel < h * w; pixel += blockDim.x) {
		float *x = m.x + 3 * pixel;
		const float rest = (1.0f - m.p[0]) * gray(x, 3);
		for (int k = 0; k < 3; k++) x[k] = clampPixel(m.p[0] * x[k] + rest);
	}
}
