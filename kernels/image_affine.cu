// image_affine.cu: takes each pixel from the position that an affine map gives, interpolating between four pixels:
//
//	y[i,j] = x(d*j + e*i + f, a*j + b*i + c)
//
// Parameters: a b c d e f, then what lies beyond the border: 0 for zeros, 1 for the image reflected at its outermost
// pixels, 2 for the outermost pixels repeated.
// Bytes per element: 16, of which 4 come from the cache.
#include "image.cuh"

namespace {

// within brings a coordinate into [0, n-1].
__device__ __forceinline__ float within(float u, int n, float border) {
	const float last = (float)(n - 1);
	if (border == 1.0f && n > 1) {
		u = fabsf(u);
		u -= 2.0f * last * floorf(u / (2.0f * last));
		if (u > last) u = 2.0f * last - u;
	}
	return fminf(fmaxf(u, 0.0f), last);
}

// at returns a pixel of the scratch memory, or 0 beyond the border.
__device__ __forceinline__ float at(const Picture &m, int i, int j, int k) {
	return i >= 0 && i < m.h && j >= 0 && j < m.w ? m.scratch[(i * m.w + j) * m.c + k] : 0.0f;
}

} // namespace

extern "C" __global__ void __launch_bounds__(256)
image_affine(IMAGE_PARAMETERS) {
	const Picture m = pictureOf(IMAGE_ARGUMENTS);
	if (!m.p) return;
	copyToScratch(m);
	for (int pixel = threadIdx.x; pixel < h * w; pixel += blockDim.x) {
		const float row = (float)(pixel / w), col = (float)(pixel % w), border = m.p[6];
		float u = m.p[3] * col + m.p[4] * row + m.p[5], v = m.p[0] * col + m.p[1] * row + m.p[2];
		if (border != 0) {
			u = within(u, h, border);
			v = within(v, w, border);
		} else { // from one pixel beyond the border on, everything is zero
			u = fminf(fmaxf(u, -2.0f), (float)h + 1.0f);
			v = fminf(fmaxf(v, -2.0f), (float)w + 1.0f);
		}
		const int i = (int)floorf(u), j = (int)floorf(v);
		const float s = u - (float)i, t = v - (float)j;
		for (int k = 0; k < c; k++)
			m.x[pixel * c + k] = (1.0f - s) * ((1.0f - t) * at(m, i, j, k) + t * at(m, i, j + 1, k)) +
				s * ((1.0f - t) * at(m, i + 1, j, k) + t * at(m, i + 1, j + 1, k));
	}
}
