// conv_pool.cu: what follows a convolution whose output is pooled by 2x2: a bias for each of the c channels, the pooling, and ReLU,
// in one pass, and the way back, with the bias's gradient. x, dx [rows*2, w, c] are the convolution's output, its images one below
// the other, h and w even; y, dy [rows, w/2, c].
//
//	m = max of x[2i..2i+1, 2j..2j+1, k]      y[i,j,k] = m + bias[k], with ReLU max(m + bias[k], 0)
//	dx[it] = dy, and 0 at the other three    dbias[k] = sum_{i,j} dy[i,j,k]      without those where ReLU gave 0
//
// The bias may come after the maximum, because a sum with the same number keeps the order. Of equal elements the first in row-major
// order is the maximum; if an element is NaN, the first NaN is. Forward keeps its index, 0 to 3, in arg [rows, w/2, c], or 255
// where ReLU gave 0.
//
// Bytes per element of x: e + (e + 1)/4 in both passes.
#include "columnsum.cuh"
#include "elementwise.cuh"

namespace {

constexpr unsigned char nowhere = 255;

// cornerOf returns the index in x at which a window begins.
__device__ __forceinline__ size_t cornerOf(unsigned window, int outW, int c) {
	const unsigned row = window / outW, col = window % outW;
	return ((size_t)(2 * row) * (2 * outW) + 2 * col) * c;
}

template <int W>
__device__ __forceinline__ void poolForward(Element *y, unsigned char *arg, const Element *x, const float *bias, int windows, int outW, int c, int relu) {
	const unsigned packs = c / W, total = (unsigned)windows * packs;
#pragma unroll 1
	for (unsigned i = threadInGrid(); i < total; i += threadsInGrid()) {
		const unsigned window = i / packs, channel = i % packs * W;
		const Element *corner = x + cornerOf(window, outW, c) + channel;
		Vector<Element, W> v[4];
#pragma unroll
		for (int k = 0; k < 4; k++) v[k] = load<Element, W>(corner + ((size_t)(k / 2) * 2 * outW + k % 2) * c);
		Vector<Element, W> out;
		Vector<unsigned char, W> at;
#pragma unroll
		for (int e = 0; e < W; e++) {
			float best = widen(v[0].e[e]);
			int index = 0;
#pragma unroll
			for (int k = 1; k < 4; k++) {
				const float next = widen(v[k].e[e]);
				// A NaN counts as larger than any number, but not than another NaN.
				if (next > best || (next != next && best == best)) {
					best = next;
					index = k;
				}
			}
			if (bias) best += bias[channel + e];
			if (relu && best <= 0.0f) {
				best = 0.0f;
				index = nowhere;
			}
			narrow(out.e[e], best);
			at.e[e] = index;
		}
		store(y + (size_t)i * W, out);
		if (arg) store(arg + (size_t)i * W, at);
	}
}

template <int W>
__device__ __forceinline__ void poolBackward(Element *dx, float *dbias, float *partial, unsigned *arrived, const Element *dy, const unsigned char *arg,
	int windows, int outW, int c, int rowsPerBlock) {
	const Place p = placeOf<W>(windows, c, rowsPerBlock);
	float total[W] = {};
	if (p.active) {
#pragma unroll 1
		for (int row = p.first + p.lane; row < p.end; row += p.lanes) {
			const Vector<Element, W> d = load<Element, W>(dy + at(p, row, c));
			const Vector<unsigned char, W> index = load<unsigned char, W>(arg + at(p, row, c));
			Element *corner = dx + cornerOf(row, outW, c) + p.column;
#pragma unroll
			for (int k = 0; k < 4; k++) {
				Vector<Element, W> out;
#pragma unroll
				for (int e = 0; e < W; e++) narrow(out.e[e], index.e[e] == k ? widen(d.e[e]) : 0.0f);
				store(corner + ((size_t)(k / 2) * 2 * outW + k % 2) * c, out);
			}
#pragma unroll
			for (int e = 0; e < W; e++) total[e] += index.e[e] != nowhere ? widen(d.e[e]) : 0.0f;
		}
	}
	if (dbias) storeColumnSums<W>(dbias, partial, arrived, total, p, 0, gridDim.x, c, 1.0f);
}

} // namespace

// windows is the number of elements of y of each channel, outW the width of y. bias and arg may be null. vector is 1 if the
// elements of 16 bytes divide c and addresses are multiples of 16, otherwise 0.
//
// Launch: 256 threads, any grid (kernels.VectorPerThread of the elements of y).
extern "C" __global__ void __launch_bounds__(256)
KERNEL(conv_pool_forward)(Element *y, unsigned char *arg, const Element *x, const float *bias, int windows, int outW, int c, int relu, int vector) {
	if (vector)
		poolForward<PACK>(y, arg, x, bias, windows, outW, c, relu);
	else
		poolForward<1>(y, arg, x, bias, windows, outW, c, relu);
}

// partial is [gridDim.x, c]; arrived [gridDim.y] is 0 before and after; dbias may be null. vector is 1 if 4 divides c and addresses
// are multiples of 16, otherwise 0.
//
// Launched as columns.cuh says, over [windows, c] (kernels.Columns).
extern "C" __global__ void __launch_bounds__(256)
KERNEL(conv_pool_backward)(Element *dx, float *dbias, float *partial, unsigned *arrived, const Element *dy, const unsigned char *arg, int windows,
	int outW, int c, int rowsPerBlock, int vector) {
	if (vector)
		poolBackward<4>(dx, dbias, partial, arrived, dy, arg, windows, outW, c, rowsPerBlock);
	else
		poolBackward<1>(dx, dbias, partial, arrived, dy, arg, windows, outW, c, rowsPerBlock);
}
