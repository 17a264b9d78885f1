// pool2d.cu: max and average pooling over windows of NHWC images, optionally with ReLU after it. Shapes: x,
// dx [n,h,w,c]; y, dy [n,outH,outW,c]. Window (i,j) of a channel is
//
//	{ x[n, i*strideH - padH + a*dilationH, j*strideW - padW + b*dilationW, c] : 0 <= a < kH, 0 <= b < kW }
//
// Elements outside the image do not count; at least one element of each window lies inside.
//
//	max       y = the largest element      dx[it] += dy
//	average   y = 1/m sum                  dx[each] += dy/m      m = those before row endH and column endW, where the
//	                                                             padded image ends, or excluding: those inside
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
// backward). n*h*w*c < 2^31. Windows of 2 x 2 or 3 x 3 that tile the image are pool2d_tiles.cu's.
// Bytes per element of x, for windows that tile the image, k = kH*kW, e = element size: max forward e +
// (e+1)/k, max backward e + (e+1)/k; average forward and backward e + e/k.
#include "division.cuh"
#include "storage.cuh"

namespace {

// The index that stands for no element: the maximum of the window passes no gradient.
template <class Number> __device__ __forceinline__ Number nowhere() { return (Number)-1; }

// Geometry is what the kernels have in common. The divisors are of c / W, W channels being a thread's, of the width and
// the height of the image whose elements the threads are (y, or dx in the backward pass), and of the strides.
struct Geometry {
	int n, h, w, c, outH, outW, kH, kW, strideH, strideW, padH, padW, dilationH, dilationW;
	Divisor packs, width, height, byStrideH, byStrideW;
};

// Index is the position of a thread in the images [height, width, packs].
struct Index {
	int image, row, col, channel;
	__device__ __forceinline__ Index(unsigned i, const Geometry &g, int height, int width, int elements) {
		const unsigned pixel = g.packs.quotient(i), line = g.width.quotient(pixel);
		channel = i * elements - pixel * g.c;
		col = pixel - line * width;
		image = g.height.quotient(line);
		row = line - image * height;
	}
};

// Span is a range [from, to).
struct Span {
	int from, to;
};

// stepsTo returns the multiples of the dilation from 0 on that are below distance: distance/dilation, rounded up.
__device__ __forceinline__ int stepsTo(int distance, int dilation) {
	if (dilation == 1 || distance <= 0) return distance;
	return (distance + dilation - 1) / dilation;
}

// elementsIn returns the elements of a window of k rows (or columns), beginning at row start, that lie in the rows [low,
// high).
__device__ __forceinline__ Span elementsIn(int start, int k, int dilation, int low, int high) {
	return {max(stepsTo(low - start, dilation), 0), min(stepsTo(high - start, dilation), k)};
}

// covering returns the windows that reach over a row (or column) of the image; extent is from the first to the last row
// that a window covers.
__device__ __forceinline__ Span covering(int row, const Divisor &stride, int pad, int extent, int out) {
	const int last = row + pad;
	return {last < extent ? 0 : (int)stride.quotient(last - extent) + 1, min((int)stride.quotient(last) + 1, out)};
}

// elementAt returns which element of a window lies at a distance from its start, or -1 if the distance falls between two
// elements.
__device__ __forceinline__ int elementAt(int distance, int dilation) {
	if (dilation == 1) return distance;
	const int a = distance / dilation;
	return a * dilation == distance ? a : -1;
}

template <class Number, int W>
__device__ __forceinline__ void maxForward(Element *y, Number *arg, const Element *x, const Geometry &g, int relu) {
	const int packs = g.c / W;
	const unsigned total = (unsigned)g.n * g.outH * g.outW * packs;
#pragma unroll 1
	for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < total; i += gridDim.x * blockDim.x) {
		const Index o(i, g, g.outH, g.outW, W);
		const int top = o.row * g.strideH - g.padH, left = o.col * g.strideW - g.padW;
		const Span rows = elementsIn(top, g.kH, g.dilationH, 0, g.h), cols = elementsIn(left, g.kW, g.dilationW, 0, g.w);
		float best[W];
		Vector<Number, W> at;
		bool first = true;
#pragma unroll 1
		for (int a = rows.from; a < rows.to; a++) {
			const unsigned line = (o.image * g.h + top + a * g.dilationH) * g.w * g.c + o.channel;
#pragma unroll 1
			for (int b = cols.from; b < cols.to; b++) {
				const Vector<Element, W> v = load<Element, W>(x + (line + (left + b * g.dilationW) * g.c));
				const int number = a * g.kW + b;
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
__device__ __forceinline__ void maxBackward(Element *dx, const Element *dy, const Number *arg, const Geometry &g) {
	const int packs = g.c / W;
	const unsigned total = (unsigned)g.n * g.h * g.w * packs;
#pragma unroll 1
	for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < total; i += gridDim.x * blockDim.x) {
		const Index p(i, g, g.h, g.w, W);
		const Span rows = covering(p.row, g.byStrideH, g.padH, g.dilationH * (g.kH - 1) + 1, g.outH);
		const Span cols = covering(p.col, g.byStrideW, g.padW, g.dilationW * (g.kW - 1) + 1, g.outW);
		float sum[W] = {};
#pragma unroll 1
		for (int row = rows.from; row < rows.to; row++) {
			const int a = elementAt(p.row + g.padH - row * g.strideH, g.dilationH);
			if (a < 0) continue;
#pragma unroll 1
			for (int col = cols.from; col < cols.to; col++) {
				const int b = elementAt(p.col + g.padW - col * g.strideW, g.dilationW);
				if (b < 0) continue;
				const unsigned o = ((p.image * g.outH + row) * g.outW + col) * g.c + p.channel;
				const Vector<Element, W> d = load<Element, W>(dy + o);
				const Vector<Number, W> at = load<Number, W>(arg + o);
				const int number = a * g.kW + b;
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

// share returns 1/m of window (row, col): its elements in the rows endsH and the columns endsW count.
__device__ __forceinline__ float share(const Geometry &g, int row, int col, const Span &endsH, const Span &endsW) {
	const Span rows = elementsIn(row * g.strideH - g.padH, g.kH, g.dilationH, endsH.from, endsH.to);
	const Span cols = elementsIn(col * g.strideW - g.padW, g.kW, g.dilationW, endsW.from, endsW.to);
	return 1.0f / ((rows.to - rows.from) * (cols.to - cols.from));
}

// counted returns the rows (or columns) whose elements count.
__device__ __forceinline__ Span counted(int size, int pad, int end, int excluding) {
	if (excluding) return {0, size};
	return {-pad, end};
}

template <int W>
__device__ __forceinline__ void averageForward(Element *y, const Element *x, const Geometry &g, const Span &endsH, const Span &endsW, int relu) {
	const int packs = g.c / W;
	const unsigned total = (unsigned)g.n * g.outH * g.outW * packs;
#pragma unroll 1
	for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < total; i += gridDim.x * blockDim.x) {
		const Index o(i, g, g.outH, g.outW, W);
		const int top = o.row * g.strideH - g.padH, left = o.col * g.strideW - g.padW;
		const Span rows = elementsIn(top, g.kH, g.dilationH, 0, g.h), cols = elementsIn(left, g.kW, g.dilationW, 0, g.w);
		float sum[W] = {};
#pragma unroll 1
		for (int a = rows.from; a < rows.to; a++) {
			const unsigned line = (o.image * g.h + top + a * g.dilationH) * g.w * g.c + o.channel;
#pragma unroll 2
			for (int b = cols.from; b < cols.to; b++) {
				const Vector<Element, W> v = load<Element, W>(x + (line + (left + b * g.dilationW) * g.c));
#pragma unroll
				for (int k = 0; k < W; k++) sum[k] += widen(v.e[k]);
			}
		}
		const float each = share(g, o.row, o.col, endsH, endsW);
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
__device__ __forceinline__ void averageBackward(Element *dx, const Element *dy, const Element *y, const Geometry &g, const Span &endsH, const Span &endsW, int relu) {
	const int packs = g.c / W;
	const unsigned total = (unsigned)g.n * g.h * g.w * packs;
#pragma unroll 1
	for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < total; i += gridDim.x * blockDim.x) {
		const Index p(i, g, g.h, g.w, W);
		const Span rows = covering(p.row, g.byStrideH, g.padH, g.dilationH * (g.kH - 1) + 1, g.outH);
		const Span cols = covering(p.col, g.byStrideW, g.padW, g.dilationW * (g.kW - 1) + 1, g.outW);
		float sum[W] = {};
#pragma unroll 1
		for (int row = rows.from; row < rows.to; row++) {
			if (elementAt(p.row + g.padH - row * g.strideH, g.dilationH) < 0) continue;
#pragma unroll 1
			for (int col = cols.from; col < cols.to; col++) {
				if (elementAt(p.col + g.padW - col * g.strideW, g.dilationW) < 0) continue;
				const unsigned o = ((p.image * g.outH + row) * g.outW + col) * g.c + p.channel;
				const Vector<Element, W> d = load<Element, W>(dy + o);
				Vector<Element, W> v = {};
				if (relu) v = load<Element, W>(y + o);
				const float each = share(g, row, col, endsH, endsW);
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

// The divisors of Geometry, in its order, as parameters and as its members.
#define DIVISORS \
	int packsM, int packsS, int widthM, int widthS, int heightM, int heightS, int strideHM, int strideHS, int strideWM, int strideWS
#define DIVISORS_GIVEN \
	Divisor(packsM, packsS), Divisor(widthM, widthS), Divisor(heightM, heightS), Divisor(strideHM, strideHS), Divisor(strideWM, strideWS)

extern "C" __global__ void __launch_bounds__(256)
KERNEL(pool2d_max_forward)(Element *y, unsigned char *arg, const Element *x, int n, int h, int w, int c, int outH, int outW,
	int kH, int kW, int strideH, int strideW, int padH, int padW, int dilationH, int dilationW, DIVISORS, int relu, int vector) {
	const Geometry g = {n, h, w, c, outH, outW, kH, kW, strideH, strideW, padH, padW, dilationH, dilationW, DIVISORS_GIVEN};
	if (vector)
		maxForward<unsigned char, 4>(y, arg, x, g, relu);
	else
		maxForward<unsigned char, 1>(y, arg, x, g, relu);
}

extern "C" __global__ void __launch_bounds__(256)
KERNEL(pool2d_max_forward_wide)(Element *y, int *arg, const Element *x, int n, int h, int w, int c, int outH, int outW,
	int kH, int kW, int strideH, int strideW, int padH, int padW, int dilationH, int dilationW, DIVISORS, int relu) {
	const Geometry g = {n, h, w, c, outH, outW, kH, kW, strideH, strideW, padH, padW, dilationH, dilationW, DIVISORS_GIVEN};
	maxForward<int, 1>(y, arg, x, g, relu);
}

extern "C" __global__ void __launch_bounds__(256)
KERNEL(pool2d_max_backward)(Element *dx, const Element *dy, const unsigned char *arg, int n, int h, int w, int c, int outH, int outW,
	int kH, int kW, int strideH, int strideW, int padH, int padW, int dilationH, int dilationW, DIVISORS, int vector) {
	const Geometry g = {n, h, w, c, outH, outW, kH, kW, strideH, strideW, padH, padW, dilationH, dilationW, DIVISORS_GIVEN};
	if (vector)
		maxBackward<unsigned char, 4>(dx, dy, arg, g);
	else
		maxBackward<unsigned char, 1>(dx, dy, arg, g);
}

extern "C" __global__ void __launch_bounds__(256)
KERNEL(pool2d_max_backward_wide)(Element *dx, const Element *dy, const int *arg, int n, int h, int w, int c, int outH, int outW,
	int kH, int kW, int strideH, int strideW, int padH, int padW, int dilationH, int dilationW, DIVISORS) {
	const Geometry g = {n, h, w, c, outH, outW, kH, kW, strideH, strideW, padH, padW, dilationH, dilationW, DIVISORS_GIVEN};
	maxBackward<int, 1>(dx, dy, arg, g);
}

extern "C" __global__ void __launch_bounds__(256)
KERNEL(pool2d_average_forward)(Element *y, const Element *x, int n, int h, int w, int c, int outH, int outW,
	int kH, int kW, int strideH, int strideW, int padH, int padW, int dilationH, int dilationW, DIVISORS, int endH, int endW, int excluding, int relu, int vector) {
	const Geometry g = {n, h, w, c, outH, outW, kH, kW, strideH, strideW, padH, padW, dilationH, dilationW, DIVISORS_GIVEN};
	const Span endsH = counted(h, padH, endH, excluding), endsW = counted(w, padW, endW, excluding);
	if (vector)
		averageForward<4>(y, x, g, endsH, endsW, relu);
	else
		averageForward<1>(y, x, g, endsH, endsW, relu);
}

// y is the output of forward, which only relu needs; null without relu.
extern "C" __global__ void __launch_bounds__(256)
KERNEL(pool2d_average_backward)(Element *dx, const Element *dy, const Element *y, int n, int h, int w, int c, int outH, int outW,
	int kH, int kW, int strideH, int strideW, int padH, int padW, int dilationH, int dilationW, DIVISORS, int endH, int endW, int excluding, int relu, int vector) {
	const Geometry g = {n, h, w, c, outH, outW, kH, kW, strideH, strideW, padH, padW, dilationH, dilationW, DIVISORS_GIVEN};
	const Span endsH = counted(h, padH, endH, excluding), endsW = counted(w, padW, endW, excluding);
	if (vector)
		averageBackward<4>(dx, dy, y, g, endsH, endsW, relu);
	else
		averageBackward<1>(dx, dy, y, g, endsH, endsW, relu);
}
