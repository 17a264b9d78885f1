// depthwise.cu: the three passes of a convolution in which every channel has a filter of its own. Shapes: x, dx [n,h,w,c];
// y, dy [n,outH,outW,c]; filters and their gradient [c,kH,kW]; bias [c], float32, or null.
//
//	forward    y[n,i,j,c] = bias[c] + sum_{a,b} x[n,row,col,c] w[c,a,b]
//	data       dx[n,u,v,c] = sum dy[n,i,j,c] w[c,a,b]        over all a, b, i, j with row = u and col = v
//	filter     dw[c,a,b] = sum_{n,i,j} dy[n,i,j,c] x[n,row,col,c]
//
// where row = i*strideH - padH + a*dilationH and col = j*strideW - padW + b*dilationW, and x is 0 outside the image.
//
// Adjacent threads compute adjacent channels: four per thread if 4 divides c and the addresses are multiples of 16 bytes
// (vector = 1), otherwise one. In the forward and data passes a thread computes a strip of four pixels of one row, and loads
// each tap of the filter once for the whole strip.
//
// Memory traffic per element of the larger tensor, for a stride of 1 and elements of e bytes: 2e per pass. x is read once
// from memory and kH*kW times from the caches.
#include "columns.cuh"

namespace {

constexpr int strip = 4;

// Geometry holds the sizes of the convolution.
struct Geometry {
	int h, w, c, outH, outW, kH, kW, strideH, strideW, padH, padW, dilationH, dilationW;
};

// Strip is the position of a thread's strip of pixels. i is the strip's index in [images, height, strips per row, packs of
// channels].
struct Strip {
	int image, row, col, channel;
	__device__ __forceinline__ Strip(unsigned i, int height, int width, int packs, int elements) {
		const int strips = (width + strip - 1) / strip;
		channel = i % packs * elements;
		i /= packs;
		col = i % strips * strip;
		i /= strips;
		row = i % height;
		image = i / height;
	}
};

template <int W> struct Sums {
	float v[strip][W];
};

// addTap adds the products of one tap with a strip of pixels. col holds the column of src for each pixel, or -1 if that
// column is outside the image; then column 0 is read and its value discarded, because a branch would cost more.
template <int W>
__device__ __forceinline__ void addTap(Sums<W> &sum, const Element *src, const Element *filter, int taps, int c, const int (&col)[strip]) {
	float tap[W];
#pragma unroll
	for (int k = 0; k < W; k++) tap[k] = widen(filter[(size_t)k * taps]);
#pragma unroll
	for (int p = 0; p < strip; p++) {
		const Vector<Element, W> v = load<Element, W>(src + (size_t)max(col[p], 0) * c);
#pragma unroll
		for (int k = 0; k < W; k++) sum.v[p][k] += col[p] < 0 ? 0.0f : widen(v.e[k]) * tap[k];
	}
}

template <int W> __device__ __forceinline__ void storeStrip(Element *dst, const Sums<W> &sum, int col, int width, int c, int relu) {
#pragma unroll
	for (int p = 0; p < strip; p++) {
		if (col + p >= width) return;
		Vector<Element, W> out;
#pragma unroll
		for (int k = 0; k < W; k++) narrow(out.e[k], relu && sum.v[p][k] <= 0.0f ? 0.0f : sum.v[p][k]);
		store(dst + (size_t)p * c, out);
	}
}

template <int W>
__device__ __forceinline__ void forward(Element *y, const Element *x, const Element *filters, const float *bias, int n, const Geometry &g, int relu) {
	const int packs = g.c / W, taps = g.kH * g.kW;
	const unsigned total = (unsigned)n * g.outH * ((g.outW + strip - 1) / strip) * packs;
#pragma unroll 1
	for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < total; i += gridDim.x * blockDim.x) {
		const Strip s(i, g.outH, g.outW, packs, W);
		Sums<W> sum;
#pragma unroll
		for (int p = 0; p < strip; p++)
#pragma unroll
			for (int k = 0; k < W; k++) sum.v[p][k] = bias ? bias[s.channel + k] : 0.0f;
#pragma unroll 1
		for (int a = 0; a < g.kH; a++) {
			const int row = s.row * g.strideH - g.padH + a * g.dilationH;
			if (row < 0 || row >= g.h) continue;
			const Element *src = x + ((size_t)s.image * g.h + row) * g.w * g.c + s.channel;
#pragma unroll 1
			for (int b = 0; b < g.kW; b++) {
				const int start = s.col * g.strideW - g.padW + b * g.dilationW;
				int col[strip];
#pragma unroll
				for (int p = 0; p < strip; p++) {
					const int x = start + p * g.strideW;
					col[p] = x < g.w && s.col + p < g.outW ? x : -1;
				}
				addTap<W>(sum, src, filters + (size_t)s.channel * taps + a * g.kW + b, taps, g.c, col);
			}
		}
		storeStrip<W>(y + (((size_t)s.image * g.outH + s.row) * g.outW + s.col) * g.c + s.channel, sum, s.col, g.outW, g.c, relu);
	}
}

template <int W> __device__ __forceinline__ void data(Element *dx, const Element *dy, const Element *filters, int n, const Geometry &g) {
	const int packs = g.c / W, taps = g.kH * g.kW;
	const unsigned total = (unsigned)n * g.h * ((g.w + strip - 1) / strip) * packs;
#pragma unroll 1
	for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < total; i += gridDim.x * blockDim.x) {
		const Strip s(i, g.h, g.w, packs, W);
		Sums<W> sum = {};
#pragma unroll 1
		for (int a = 0; a < g.kH; a++) {
			const int t = s.row + g.padH - a * g.dilationH, row = t / g.strideH;
			if (t < 0 || row * g.strideH != t || row >= g.outH) continue;
			const Element *src = dy + ((size_t)s.image * g.outH + row) * g.outW * g.c + s.channel;
#pragma unroll 1
			for (int b = 0; b < g.kW; b++) {
				// quotient and remainder of start + p by the stride, rounded down.
				const int start = s.col + g.padW - b * g.dilationW;
				int quotient = start / g.strideW, remainder = start - quotient * g.strideW;
				quotient -= remainder < 0;
				remainder += remainder < 0 ? g.strideW : 0;
				int col[strip];
#pragma unroll
				for (int p = 0; p < strip; p++) {
					col[p] = remainder == 0 && quotient < g.outW && s.col + p < g.w ? quotient : -1;
					remainder++;
					quotient += remainder == g.strideW;
					remainder = remainder == g.strideW ? 0 : remainder;
				}
				addTap<W>(sum, src, filters + (size_t)s.channel * taps + a * g.kW + b, taps, g.c, col);
			}
		}
		storeStrip<W>(dx + (((size_t)s.image * g.h + s.row) * g.w + s.col) * g.c + s.channel, sum, s.col, g.w, g.c, 0);
	}
}

// The number of taps per launch of depthwise_filter. The sum of each is in a register.
constexpr int tapsAtOnce = 9;

} // namespace

// depthwise_forward computes y, and applies ReLU if relu is set. Launch: 256 threads, any grid (kernels.DepthwiseStrips of
// y).
extern "C" __global__ void __launch_bounds__(256)
KERNEL(depthwise_forward)(Element *y, const Element *x, const Element *filters, const float *bias, int n, int h, int w, int c, int outH, int outW,
	int kH, int kW, int strideH, int strideW, int padH, int padW, int dilationH, int dilationW, int relu, int vector) {
	const Geometry g = {h, w, c, outH, outW, kH, kW, strideH, strideW, padH, padW, dilationH, dilationW};
	if (vector)
		forward<4>(y, x, filters, bias, n, g, relu);
	else
		forward<1>(y, x, filters, bias, n, g, relu);
}

// depthwise_data computes dx. Launch: 256 threads, any grid (kernels.DepthwiseStrips of dx).
extern "C" __global__ void __launch_bounds__(256)
KERNEL(depthwise_data)(Element *dx, const Element *dy, const Element *filters, int n, int h, int w, int c, int outH, int outW,
	int kH, int kW, int strideH, int strideW, int padH, int padW, int dilationH, int dilationW, int vector) {
	const Geometry g = {h, w, c, outH, outW, kH, kW, strideH, strideW, padH, padW, dilationH, dilationW};
	if (vector)
		data<4>(dx, dy, filters, n, g);
	else
		data<1>(dx, dy, filters, n, g);
}

// depthwise_filter writes each block's sums for up to nine taps, beginning with firstTap, to partial [gridDim.x, kH*kW, c].
// rows is n*outH*outW. Launch: columns.cuh (kernels.DepthwiseFilterLaunch).
extern "C" __global__ void __launch_bounds__(256)
KERNEL(depthwise_filter)(float *partial, const Element *dy, const Element *x, int rows, int h, int w, int c, int outH, int outW,
	int kH, int kW, int strideH, int strideW, int padH, int padW, int dilationH, int dilationW, int firstTap, int rowsPerBlock) {
	const Place p = placeOf<1>(rows, c, rowsPerBlock);
	const int taps = kH * kW;
	float sum[tapsAtOnce] = {};
	if (p.active) {
		int down[tapsAtOnce], along[tapsAtOnce];
#pragma unroll
		for (int k = 0; k < tapsAtOnce; k++) {
			const int t = firstTap + k;
			down[k] = t < taps ? t / kW * dilationH - padH : -2147483647 / 2; // never inside
			along[k] = t % kW * dilationW - padW;
		}
#pragma unroll 1
		for (int r = p.first + p.lane; r < p.end; r += p.lanes) {
			const float d = widen(dy[at(p, r, c)]);
			const int j = r % outW, i = r / outW % outH, image = r / outW / outH;
			const Element *src = x + (size_t)image * h * w * c + p.column;
#pragma unroll
			for (int k = 0; k < tapsAtOnce; k++) {
				const int row = i * strideH + down[k], col = j * strideW + along[k];
				if (row >= 0 && row < h && col >= 0 && col < w) sum[k] += d * widen(src[((size_t)row * w + col) * c]);
			}
		}
	}
	sumLanes<tapsAtOnce>(sum, p);
	if (!p.active || p.lane > 0) return;
#pragma unroll
	for (int k = 0; k < tapsAtOnce; k++) {
		if (firstTap + k < taps) partial[((size_t)blockIdx.x * taps + firstTap + k) * c + p.column] = sum[k];
	}
}

// depthwise_filter_finish adds the blocks' partial sums, and writes them to dw [c, taps]. Launch: 256 threads, grid ceil(taps*c / 8).
extern "C" __global__ void __launch_bounds__(256)
KERNEL(depthwise_filter_finish)(Element *dw, const float *partial, int blocks, int taps, int c) {
	const int column = finishColumn();
	float sum[1] = {0.0f};
	if (column < taps * c) {
		for (int b = finishLane(); b < blocks; b += finishLanes) sum[0] += partial[(size_t)b * taps * c + column];
	}
	sumLanes<1>(sum, finishPlace());
	if (finishLane() == 0 && column < taps * c) narrow(dw[(size_t)(column % c) * taps + column / c], sum[0]);
}
