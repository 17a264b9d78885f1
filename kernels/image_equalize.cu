// image_equalize.cu: replaces each pixel by the fraction of darker pixels in its channel, in integer arithmetic. With q
// the byte nearest to the pixel, below[v] the number of pixels with q < v, and N the number of pixels whose q is not
// the largest,
//
//	x = min(255, floor((step/2 + below[q]) / step)) / 255        step = floor(N / 255)
//
// A channel with step 0 stays as it is.
// Bytes per element: 12.
#include "image.cuh"

extern "C" __global__ void __launch_bounds__(256)
image_equalize(IMAGE_PARAMETERS) {
	const Picture m = pictureOf(IMAGE_ARGUMENTS);
	if (!m.p) return;
	__shared__ int count[256]; // number of pixels with each byte, then number of pixels below it
	__shared__ int step;
	for (int k = 0; k < c; k++) {
		count[threadIdx.x] = 0;
		__syncthreads();
		for (int i = threadIdx.x * c + k; i < m.size; i += blockDim.x * c) atomicAdd(&count[(int)quantized(m.x[i])], 1);
		__syncthreads();
		if (threadIdx.x == 0) {
			int below = 0, last = 0;
			for (int v = 0; v < 256; v++) {
				const int n = count[v];
				if (n > 0) last = n;
				count[v] = below;
				below += n;
			}
			step = (h * w - last) / 255;
		}
		__syncthreads();
		if (step > 0)
			for (int i = threadIdx.x * c + k; i < m.size; i += blockDim.x * c)
				m.x[i] = (float)min(255, (step / 2 + count[(int)quantized(m.x[i])]) / step) / 255.0f;
		__syncthreads();
	}
}
