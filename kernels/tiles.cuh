// tiles.cuh: max pooling over windows of K x K elements that tile the images [n, h, w, c]: the stride is K, and there is no
// padding and no dilation. Outputs are [n, outH, outW, c], with K outH <= h and K outW <= w. The rows and columns of an
// image behind the last window belong to none: their gradient is 0. pool2d.cu has the formulas.
#pragma once
#include "division.cuh"
#include "storage.cuh"

namespace {

// nowhere stands for no element: the maximum of the window passes no gradient.
constexpr unsigned char nowhere = 255;

// Numbers of maxima, without nowhere among them, can be packed: a byte has those of 4 channels, 2 bits each, the first channel's being
// the lowest.
template <int W> __device__ __forceinline__ Vector<unsigned char, W / 4> packed(const Vector<unsigned char, W> &numbers) {
	Vector<unsigned char, W / 4> v;
#pragma unroll
	for (int i = 0; i < W / 4; i++) {
		unsigned bits = 0;
#pragma unroll
		for (int k = 0; k < 4; k++) bits |= (unsigned)numbers.e[4 * i + k] << (2 * k);
		v.e[i] = (unsigned char)bits;
	}
	return v;
}

// storePacked and loadPacked access the numbers of W channels, from element `at` on.
template <int W> __device__ __forceinline__ void storePacked(unsigned char *arg, size_t at, const Vector<unsigned char, W> &numbers) {
	store(arg + at / 4, packed<W>(numbers));
}

template <int W> __device__ __forceinline__ Vector<unsigned char, W> loadPacked(const unsigned char *arg, size_t at) {
	const Vector<unsigned char, W / 4> v = load<unsigned char, W / 4>(arg + at / 4);
	Vector<unsigned char, W> numbers;
#pragma unroll
	for (int i = 0; i < W; i++) numbers.e[i] = v.e[i / 4] >> (2 * (i % 4)) & 3;
	return numbers;
}

struct Image {
	int h, w, outH, outW;
	Divisor byWidth, byHeight; // of outW and outH
};

// Window is the place of a window.
struct Window {
	int row, col;   // among the image's windows
	unsigned pixel; // the first of the window, counted over all images
};

template <int K> __device__ __forceinline__ Window windowAt(unsigned i, const Image &m) {
	const unsigned line = m.byWidth.quotient(i), image = m.byHeight.quotient(line);
	Window at;
	at.col = i - line * m.outW;
	at.row = line - image * m.outH;
	at.pixel = (image * m.h + K * at.row) * m.w + K * at.col;
	return at;
}

// takeLarger makes next, element number j of a window, the largest one so far if it is larger. A NaN counts as larger than
// any number, but not than another NaN.
__device__ __forceinline__ void takeLarger(float &best, int &at, float next, int j) {
	if (best == best && !(next <= best)) {
		best = next;
		at = j;
	}
}

// largestOf returns the largest element of a window for each of W channels, and its number in row-major order. from is the
// window's first element, c the number of channels.
template <int K, int W>
__device__ __forceinline__ Vector<Element, W> largestOf(Vector<unsigned char, W> &number, const Element *from, const Image &m, unsigned c, int relu) {
	Vector<Element, W> v[K * K];
#pragma unroll
	for (int a = 0; a < K; a++)
#pragma unroll
		for (int b = 0; b < K; b++) v[a * K + b] = load<Element, W>(from + (a * m.w + b) * c);
	Vector<Element, W> out;
#pragma unroll
	for (int k = 0; k < W; k++) {
		float best = widen(v[0].e[k]);
		int at = 0;
#pragma unroll
		for (int j = 1; j < K * K; j++) takeLarger(best, at, widen(v[j].e[k]), j);
		if (relu && best <= 0.0f) {
			best = 0.0f;
			at = nowhere;
		}
		narrow(out.e[k], best);
		number.e[k] = (unsigned char)at;
	}
	return out;
}

// spread stores the gradient d of a window's largest elements where these are, 0 at the window's other elements and behind
// the last window of a row or column. to is the window's first element.
template <int K, int W>
__device__ __forceinline__ void spread(Element *to, const Vector<Element, W> &d, const Vector<unsigned char, W> &number, const Window &at,
	const Image &m, unsigned c) {
	Element zero;
	narrow(zero, 0.0f);
	const int rows = at.row == m.outH - 1 ? m.h - K * at.row : K, cols = at.col == m.outW - 1 ? m.w - K * at.col : K;
#pragma unroll 1
	for (int a = 0; a < rows; a++) {
#pragma unroll 1
		for (int b = 0; b < cols; b++) {
			const int j = a < K && b < K ? a * K + b : -1;
			Vector<Element, W> out;
#pragma unroll
			for (int k = 0; k < W; k++) out.e[k] = number.e[k] == j ? d.e[k] : zero;
			store(to + (a * m.w + b) * c, out);
		}
	}
}

} // namespace
