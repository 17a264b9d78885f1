// image_auto_contrast.cu: x = (x - low) / (high - low), with low and high the smallest and the largest value of each
// channel, unless they are less than 1/512 apart.
// Bytes per element: 12.
#include "image.cuh"

extern "C" __global__ void __launch_bounds__(256)
image_auto_contrast(IMAGE_PARAMETERS) {
	const Picture m = pictureOf(IMAGE_ARGUMENTS);
	if (!m.p) return;
	__shared__ float lows[8], highs[8]; // one per warp
	for (int k = 0; k < c; k++) {
		float low = m.x[k], high = m.x[k];
		for (int i = threadIdx.x * c + k; i < m.size; i += blockDim.x * c) {
			low = fminf(low, m.x[i]);
			high = fmaxf(high, m.x[i]);
		}
		low = -warpMax(-low);
		high = warpMax(high);
		__syncthreads(); // all threads have read the results of the previous channel
		if (threadIdx.x % 32 == 0) {
			lows[threadIdx.x / 32] = low;
			highs[threadIdx.x / 32] = high;
		}
		__syncthreads();
		for (int i = 0; i < 8; i++) {
			low = fminf(low, lows[i]);
			high = fmaxf(high, highs[i]);
		}
		if (high - low < 1.0f / 512.0f) continue;
		for (int i = threadIdx.x * c + k; i < m.size; i += blockDim.x * c) m.x[i] = clampPixel((m.x[i] - low) / (high - low));
	}
}
