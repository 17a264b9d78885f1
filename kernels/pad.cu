// pad.cu: an image with a border of zeros, or with its border cut off:
//
//	y[n,i,j,c] = x[n, i - top, j - left, c] inside x, and 0 outside
//
// y is [n,h,w,c], x [n,xH,xW,c]. With a negative top or left the first rows or columns of x are cut off. Convolutions of
// cuDNN pad an image equally on opposite sides; this kernel adds what is missing on one of them, and cuts it off again.
//
// Neighbouring threads have neighbouring channels: four channels per thread if 4 divides c and the addresses are multiples
// of 16 (vector = 1), otherwise one. Launch: 256 threads, any grid (kernels.Pool of the elements of y). n*h*w*c < 2^31.
// Bytes per element of y: 2e.
#include "storage.cuh"

namespace {

template <int W>
__device__ __forceinline__ void pad(Element *y, const Element *x, int n, int h, int w, int c, int xH, int xW, int top, int left) {
	const unsigned packs = c / W, total = (unsigned)n * h * w * packs;
#pragma unroll 1
	for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < total; i += gridDim.x * blockDim.x) {
		const unsigned pixel = i / packs, line = pixel / w;
		const int channel = (i - pixel * packs) * W, col = (int)(pixel - line * w) - left, row = (int)(line % h) - top;
		Vector<Element, W> v;
#pragma unroll
		for (int k = 0; k < W; k++) narrow(v.e[k], 0.0f);
		if (row >= 0 && row < xH && col >= 0 && col < xW) v = load<Element, W>(x + (((size_t)(line / h) * xH + row) * xW + col) * c + channel);
		store(y + (size_t)i * W, v);
	}
}

} // namespace

extern "C" __global__ void __launch_bounds__(256)
KERNEL(pad)(Element *y, const Element *x, int n, int h, int w, int c, int xH, int xW, int top, int left, int vector) {
	if (vector)
		pad<4>(y, x, n, h, w, c, xH, xW, top, left);
	else
		pad<1>(y, x, n, h, w, c, xH, xW, top, left);
}
