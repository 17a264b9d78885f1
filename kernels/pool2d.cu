// pool2d.cu: max and average pooling over windows of NHWC images, optionally with ReLU after it. Shapes: x,
// dx [n,h,w,c]; y, dy [n,outH,outW,c]. Window (i,j) of a channel is
//
//	{ x[n, i*strideH - padH + a, j*strideW - padW + b, c] : 0 <= a < kH, 0 <= b < kW }
//
// Elements outside the image do not count; at least one element of each window lies inside.
//
//	max       y = the largest element      dx[it] += dy
//	average   y = 1/m sum                  dx[each] += dy/m      m = kH*kW, or excluding: those inside
//	relu      y = max(y, 0); where that is 0, no gradient passes
//
// Of equal elements the first in row-major order is the maximum; if an element is NaN, the first NaN is.
// Forward stores the index a*kW + b of the maximum in arg [n,outH,outW,c], unless arg is null, so that
// backward need not read x. A byte is enough for windows of up to 255 elements; the kernels named wide use
// int32, and take channels one by one.
//
// Backward loops over dx: each element gathers from the windows that contain it, so no two threads add to
// the same element. Neighbouring threads have neighbouring channels: four channels per thread if 4 divides
// c and the addresses are multiples of 16 (vector = 1), otherwise one.
//
// Launch: 256 threads, any grid (kernels.Pool of the number of outputs for forward, of inputs for
// backward). n*h*w*c < 2^31.
// Bytes per element of x, for windows that tile the image, k = kH*kW, e = element size: max forward e +
// (e+1)/k, max backward e + (e+1)/k; average forward and backward e + e/k.
#include "storage.cuh"

namespace {

// The index that stands for no element: the maximum of the window passes no gradient.
template <class Number> __device__ __forceinline__ Number nowhere() { return (Number)-1; }

// Index is the position of a thread in [images, height, width, packs].
struct Index {
	int image, row, col, channel;
	__device__ __forceinline__ Index(unsigned i, int height, int width, int packs, int elements) {
		channel = i % packs * elements;
		i /= packs;
		col = i % width;
		i /= width;
		row = i % height;
		image = i / height;
	}
};

// Span is the part of a window, or of a range of windows, that lies inside: [from, to).
struct Span {
	int from, to;
};

// inside returns the rows (or columns) of the image that a window contains.
__device__ __forceinline__ Span inside(int i, int stride, int pad, int k, int size) {
	const int start = i * stride - pad;
	return {max(start, 0), min(start + k, size)};
}

// covering returns the windows that contain a row (or column) of the image.
__device__ __forceinline__ Span covering(int row, int stride, int pad, int k, int out) {
	const int last = row + pad;
	return {last < k ? 0 : (last - k) / stride + 1, min(last / stride + 1, out)};
}

template <class Number, int W>
__device__ __forceinline__ void maxForward(Element *y, Number *arg, const Element *x, int n, int h, int w, int c, int outH, int outW,
	int kH, int kW, int strideH, int strideW, int padH, int padW, int relu) {
	const int packs = c / W;
	const unsigned total = (unsigned)n * outH * outW * packs;
#pragma unroll 1
	for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < total; i += gridDim.x * blockDim.x) {
		const Index o(i, outH, outW, packs, W);
		const Span rows = inside(o.row, strideH, padH, kH, h), cols = inside(o.col, strideW, padW, kW, w);
		float best[W];
		Vector<Number, W> at;
		bool first = true;
#pragma unroll 1
		for (int row = rows.from; row < rows.to; row++) {
#pragma unroll 1
			for (int col = cols.from; col < cols.to; col++) {
				const Vector<Element, W> v = load<Element, W>(x + (((size_t)o.image * h + row) * w + col) * c + o.channel);
				const int number = (row + padH - o.row * strideH) * kW + col + padW - o.col * strideW;
#pragma unroll
				for (int k = 0; k < W; k++) {
					const float xk = widen(v.e[k]);
					// A NaN counts as larger than any number, but not than another NaN.
					if (first || xk > best[k] || (xk != xk && best[k] == best[k])) {
						best[k] = xk;
						at.e[k] = (Number)number;
					}
				}
				first = false;
			}
		}
		Vector<Element, W> out;
#pragma unroll
		for (int k = 0; k < W; k++) {
			if (relu && best[k] <= 0.0f) {
				best[k] = 0.0f;
				at.e[k] = nowhere<Number>();
			}
			narrow(out.e[k], best[k]);
		}
		store(y + (size_t)i * W, out);
		if (arg) store(arg + (size_t)i * W, at);
	}
}

template <class Number, int W>
__device__ __forceinline__ void maxBackward(Element *dx, const Element *dy, const Number *arg, int n, int h, int w, int c, int outH, int outW,
	int kH, int kW, int strideH, int strideW, int padH, int padW) {
	const int packs = c / W;
	const unsigned total = (unsigned)n * h * w * packs;
#pragma unroll 1
	for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < total; i += gridDim.x * blockDim.x) {
		const Index p(i, h, w, packs, W);
		const Span rows = covering(p.row, strideH, padH, kH, outH), cols = covering(p.col, strideW, padW, kW, outW);
		float sum[W] = {};
#pragma unroll 1
		for (int row = rows.from; row < rows.to; row++) {
#pragma unroll 1
			for (int col = cols.from; col < cols.to; col++) {
				const size_t o = (((size_t)p.image * outH + row) * outW + col) * c + p.channel;
				const Vector<Element, W> d = load<Element, W>(dy + o);
				const Vector<Number, W> at = load<Number, W>(arg + o);
				const int number = (p.row + padH - row * strideH) * kW + p.col + padW - col * strideW;
#pragma unroll
				for (int k = 0; k < W; k++) sum[k] += at.e[k] == (Number)number ? widen(d.e[k]) : 0.0f;
			}
		}
		Vector<Element, W> out;
#pragma unroll
		for (int k = 0; k < W; k++) narrow(out.e[k], sum[k]);
		store(dx + (size_t)i * W, out);
	}
}

// share returns 1/m of the window with these rows and columns inside the image.
__device__ __forceinline__ float share(Span rows, Span cols, int kH, int kW, int excluding) {
	return 1.0f / (excluding ? (rows.to - rows.from) * (cols.to - cols.from) : kH * kW);
}

template <int W>
__device__ __forceinline__ void averageForward(Element *y, const Element *x, int n, int h, int w, int c, int outH, int outW,
	int kH, int kW, int strideH, int strideW, int padH, int padW, int excluding, int relu) {
	const int packs = c / W;
	const unsigned total = (unsigned)n * outH * outW * packs;
#pragma unroll 1
	for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < total; i += gridDim.x * blockDim.x) {
		const Index o(i, outH, outW, packs, W);
		const Span rows = inside(o.row, strideH, padH, kH, h), cols = inside(o.col, strideW, padW, kW, w);
		float sum[W] = {};
#pragma unroll 1
		for (int row = rows.from; row < rows.to; row++) {
#pragma unroll 2
			for (int col = cols.from; col < cols.to; col++) {
				const Vector<Element, W> v = load<Element, W>(x + (((size_t)o.image * h + row) * w + col) * c + o.channel);
#pragma unroll
				for (int k = 0; k < W; k++) sum[k] += widen(v.e[k]);
			}
		}
		const float each = share(rows, cols, kH, kW, excluding);
		Vector<Element, W> out;
#pragma unroll
		for (int k = 0; k < W; k++) {
			const float mean = sum[k] * each;
			narrow(out.e[k], relu && mean <= 0.0f ? 0.0f : mean);
		}
		store(y + (size_t)i * W, out);
	}
}

template <int W>
__device__ __forceinline__ void averageBackward(Element *dx, const Element *dy, const Element *y, int n, int h, int w, int c, int outH, int outW,
	int kH, int kW, int strideH, int strideW, int padH, int padW, int excluding, int relu) {
	const int packs = c / W;
	const unsigned total = (unsigned)n * h * w * packs;
#pragma unroll 1
	for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < total; i += gridDim.x * blockDim.x) {
		const Index p(i, h, w, packs, W);
		const Span rows = covering(p.row, strideH, padH, kH, outH), cols = covering(p.col, strideW, padW, kW, outW);
		float sum[W] = {};
#pragma unroll 1
		for (int row = rows.from; row < rows.to; row++) {
#pragma unroll 1
			for (int col = cols.from; col < cols.to; col++) {
				const size_t o = (((size_t)p.image * outH + row) * outW + col) * c + p.channel;
				const Vector<Element, W> d = load<Element, W>(dy + o);
				Vector<Element, W> v = {};
				if (relu) v = load<Element, W>(y + o);
				const float each = share(inside(row, strideH, padH, kH, h), inside(col, strideW, padW, kW, w), kH, kW, excluding);
#pragma unroll
				for (int k = 0; k < W; k++) sum[k] += relu && !(widen(v.e[k]) > 0.0f) ? 0.0f : widen(d.e[k]) * each;
			}
		}
		Vector<Element, W> out;
#pragma unroll
		for (int k = 0; k < W; k++) narrow(out.e[k], sum[k]);
		store(dx + (size_t)i * W, out);
	}
}

} // namespace

extern "C" __global__ void __launch_bounds__(256)
KERNEL(pool2d_max_forward)(Element *y, unsigned char *arg, const Element *x, int n, int h, int w, int c, int outH, int outW,
	int kH, int kW, int strideH, int strideW, int padH, int padW, int relu, int vector) {
	if (vector)
		maxForward<unsigned char, 4>(y, arg, x, n, h, w, c, outH, outW, kH, kW, strideH, strideW, padH, padW, relu);
	else
		maxForward<unsigned char, 1>(y, arg, x, n, h, w, c, outH, outW, kH, kW, strideH, strideW, padH, padW, relu);
}

extern "C" __global__ void __launch_bounds__(256)
KERNEL(pool2d_max_forward_wide)(Element *y, int *arg, const Element *x, int n, int h, int w, int c, int outH, int outW,
	int kH, int kW, int strideH, int strideW, int padH, int padW, int relu) {
	maxForward<int, 1>(y, arg, x, n, h, w, c, outH, outW, kH, kW, strideH, strideW, padH, padW, relu);
}

extern "C" __global__ void __launch_bounds__(256)
KERNEL(pool2d_max_backward)(Element *dx, const Element *dy, const unsigned char *arg, int n, int h, int w, int c, int outH, int outW,
	int kH, int kW, int strideH, int strideW, int padH, int padW, int vector) {
	if (vector)
		maxBackward<unsigned char, 4>(dx, dy, arg, n, h, w, c, outH, outW, kH, kW, strideH, strideW, padH, padW);
	else
		maxBackward<unsigned char, 1>(dx, dy, arg, n, h, w, c, outH, outW, kH, kW, strideH, strideW, padH, padW);
}

extern "C" __global__ void __launch_bounds__(256)
KERNEL(pool2d_max_backward_wide)(Element *dx, const Element *dy, const int *arg, int n, int h, int w, int c, int outH, int outW,
	int kH, int kW, int strideH, int strideW, int padH, int padW) {
	maxBackward<int, 1>(dx, dy, arg, n, h, w, c, outH, outW, kH, kW, strideH, strideW, padH, padW);
}

extern "C" __global__ void __launch_bounds__(256)
KERNEL(pool2d_average_forward)(Element *y, const Element *x, int n, int h, int w, int c, int outH, int outW,
	int kH, int kW, int strideH, int strideW, int padH, int padW, int excluding, int relu, int vector) {
	if (vector)
		averageForward<4>(y, x, n, h, w, c, outH, outW, kH, kW, strideH, strideW, padH, padW, excluding, relu);
	else
		averageForward<1>(y, x, n, h, w, c, outH, outW, kH, kW, strideH, strideW, padH, padW, excluding, relu);
}

// y is the output of forward, which only relu needs; null without relu.
extern "C" __global__ void __launch_bounds__(256)
KERNEL(pool2d_average_backward)(Element *dx, const Element *dy, const Element *y, int n, int h, int w, int c, int outH, int outW,
	int kH, int kW, int strideH, int strideW, int padH, int padW, int excluding, int relu, int vector) {
	if (vector)
		averageBackward<4>(dx, dy, y, n, h, w, c, outH, outW, kH, kW, strideH, strideW, padH, padW, excluding, relu);
	else
		averageBackward<1>(dx, dy, y, n, h, w, c, outH, outW, kH, kW, strideH, strideW, padH, padW, excluding, relu);
}
