// image_hue.cu: rotates the colour circle; images without three channels stay as they are. With V the largest of red,
// green and blue, D their range and h the hue in sixths of the circle,
//
//	x[k] = V - D clamp(min(q, 4-q))        q = (n[k] + h + 6s) mod 6        n = 5, 3, 1
//
// Parameter: s, the rotation in full circles.
// Bytes per element: 8.
#include "image.cuh"

namespace {

// hueOf returns the hue in sixths of the circle from red; v is the largest channel and d the range, not 0.
__device__ __forceinline__ float hueOf(const float *x, float v, float d) {
	if (v == x[0]) return (x[1] - x[2]) / d;
	if (v == x[1]) return 2.0f + (x[2] - x[0]) / d;
	return 4.0f + (x[0] - x[1]) / d;
}

// channelOf returns V - D clamp(min(q, 4-q)), for q before it is taken modulo 6.
__device__ __forceinline__ float channelOf(float q, float v, float d) {
	q -= 6.0f * floorf(q / 6.0f);
	return v - d * clampPixel(fminf(q, 4.0f - q));
}

} // namespace

extern "C" __global__ void __launch_bounds__(256)
image_hue(IMAGE_PARAMETERS) {
	const Picture m = pictureOf(IMAGE_ARGUMENTS);
	if (!m.p || c != 3) return;
	for (int pixel = threadIdx.x; pixel < h * w; pixel += blockDim.x) {
		float *x = m.x + 3 * pixel;
		const float v = fmaxf(fmaxf(x[0], x[1]), x[2]), d = v - fminf(fminf(x[0], x[1]), x[2]);
		if (d == 0) continue; // a grey pixel has no hue
		const float q = hueOf(x, v, d) + 6.0f * m.p[0];
		x[0] = channelOf(5.0f + q, v, d);
		x[1] = channelOf(3.0f + q, v, d);
		x[2] = channelOf(1.0f + q, v, d);
	}
}
