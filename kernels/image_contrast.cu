// image_contrast.cu: x = clamp(f x + (1-f) mean), with the image's mean brightness. Parameter: f.
// Bytes per element: 12.
#include "image.cuh"

extern "C" __global__ void __launch_bounds__(256)
image_contrast(IMAGE_PARAMETERS) {
	const Picture m = pictureOf(IMAGE_ARGUMENTS);
	if (!m.p) return;
	float sum = 0;
	for (int pixel = threadIdx.x; pixel < h * w; pixel += blockDim.x) sum += gray(m.x + pixel * c, c);
	__shared__ float rest;
	sum = blockSum(sum);
	if (threadIdx.x == 0) rest = (1.0f - m.p[0]) * (sum / (float)(h * w));
	__syncthreads();
	for (int i = threadIdx.x; i < m.size; i += blockDim.x) m.x[i] = clampPixel(m.p[0] * m.x[i] + rest);
}
