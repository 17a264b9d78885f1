// pool2d_tiles.cu: max pooling over windows of K x K elements that tile the image, K = 2 or 3: the stride is K, and there
// is no padding and no dilation. pool2d.cu has the formulas and all other geometries; results are the same, to the bit.
//
// Shapes: x, dx [n,h,w,c]; y, dy, arg [n,outH,outW,c], with K outH <= h and K outW <= w. The rows and columns of the image
// behind the last window belong to none: their gradient is 0.
//
// A thread takes 16 bytes of channels, a pack, of one window. So every byte is moved once, in the backward pass too:
// each window's gradient is known from one element of dy and of arg, and its thread writes all of dx in it (and, with the
// last window of a row or column, what lies behind it). Neighbouring threads have neighbouring packs, and then
// neighbouring windows.
//
// Launch: 256 threads, any grid (kernels.PoolTiles). windows = n*outH*outW, packs = c / (16 bytes), n*h*w*c < 2^31; the
// addresses are multiples of 16. The pairs of ints are Divisors (division.cuh) of packs, outW and outH.
// Bytes per element of x, e being the element's size: (e + (e+1)/K^2) in both passes.
#include "division.cuh"
#include "storage.cuh"

namespace {

// nowhere stands for no element: the maximum of the window passes no gradient.
constexpr unsigned char nowhere = 255;

struct Image {
	int h, w, outH, outW, packs;
	Divisor byPacks, byWidth, byHeight;
};

// Window is the place of a thread's window.
struct Window {
	int row, col;    // of the window
	unsigned corner; // index of the thread's first element in x
};

template <int K> __device__ __forceinline__ Window windowOf(unsigned i, const Image &m) {
	const unsigned window = m.byPacks.quotient(i), pack = i - window * m.packs;
	const unsigned line = m.byWidth.quotient(window), image = m.byHeight.quotient(line);
	Window at;
	at.col = window - line * m.outW;
	at.row = line - image * m.outH;
	at.corner = (((image * m.h + K * at.row) * m.w + K * at.col) * m.packs + pack) * PACK;
	return at;
}

template <int K>
__device__ __forceinline__ void forward(Element *y, unsigned char *arg, const Element *x, unsigned threads, const Image &m, int relu) {
	const unsigned c = m.packs * PACK, line = m.w * c;
#pragma unroll 1
	for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < threads; i += gridDim.x * blockDim.x) {
		const Element *from = x + windowOf<K>(i, m).corner;
		Vector<Element, PACK> v[K * K];
#pragma unroll
		for (int a = 0; a < K; a++)
#pragma unroll
			for (int b = 0; b < K; b++) v[a * K + b] = load<Element, PACK>(from + (a * line + b * c));
		Vector<Element, PACK> out;
		Vector<unsigned char, PACK> at;
#pragma unroll
		for (int k = 0; k < PACK; k++) {
			float best = widen(v[0].e[k]);
			int number = 0;
#pragma unroll
			for (int j = 1; j < K * K; j++) {
				const float next = widen(v[j].e[k]);
				// A NaN counts as larger than any number, but not than another NaN.
				if (best == best && !(next <= best)) {
					best = next;
					number = j;
				}
			}
			if (relu && best <= 0.0f) {
				best = 0.0f;
				number = nowhere;
			}
			narrow(out.e[k], best);
			at.e[k] = (unsigned char)number;
		}
		store(y + (size_t)i * PACK, out);
		if (arg) store(arg + (size_t)i * PACK, at);
	}
}

template <int K>
__device__ __forceinline__ void backward(Element *dx, const Element *dy, const unsigned char *arg, unsigned threads, const Image &m) {
	const unsigned c = m.packs * PACK, line = m.w * c;
	Element zero;
	narrow(zero, 0.0f);
	Vector<Element, PACK> nothing;
#pragma unroll
	for (int k = 0; k < PACK; k++) nothing.e[k] = zero;
#pragma unroll 1
	for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < threads; i += gridDim.x * blockDim.x) {
		const Window at = windowOf<K>(i, m);
		Element *to = dx + at.corner;
		const Vector<Element, PACK> d = load<Element, PACK>(dy + (size_t)i * PACK);
		const Vector<unsigned char, PACK> number = load<unsigned char, PACK>(arg + (size_t)i * PACK);
#pragma unroll
		for (int a = 0; a < K; a++) {
#pragma unroll
			for (int b = 0; b < K; b++) {
				Vector<Element, PACK> out;
#pragma unroll
				for (int k = 0; k < PACK; k++) out.e[k] = number.e[k] == a * K + b ? d.e[k] : zero;
				store(to + (a * line + b * c), out);
			}
		}
		const bool lastRow = at.row == m.outH - 1, lastCol = at.col == m.outW - 1;
		const int rows = lastRow ? m.h - K * at.row : K, cols = lastCol ? m.w - K * at.col : K;
		if (rows == K && cols == K) continue;
#pragma unroll 1
		for (int a = 0; a < rows; a++) {
#pragma unroll 1
			for (int b = a < K ? K : 0; b < cols; b++) store(to + (a * line + b * c), nothing);
		}
	}
}

} // namespace

// The forward pass stores the positions of the maxima in arg, unless arg is null.
#define ENTRIES(suffix, K) \
	extern "C" __global__ void __launch_bounds__(256) \
	KERNEL(pool2d_max_forward##suffix)(Element *y, unsigned char *arg, const Element *x, int windows, int packs, int h, int w, \
		int outH, int outW, int relu, int packsM, int packsS, int widthM, int widthS, int heightM, int heightS) { \
		const Image m = {h, w, outH, outW, packs, Divisor(packsM, packsS), Divisor(widthM, widthS), Divisor(heightM, heightS)}; \
		forward<K>(y, arg, x, (unsigned)windows * packs, m, relu); \
	} \
	extern "C" __global__ void __launch_bounds__(256) \
	KERNEL(pool2d_max_backward##suffix)(Element *dx, const Element *dy, const unsigned char *arg, int windows, int packs, int h, \
		int w, int outH, int outW, int packsM, int packsS, int widthM, int widthS, int heightM, int heightS) { \
		const Image m = {h, w, outH, outW, packs, Divisor(packsM, packsS), Divisor(widthM, widthS), Divisor(heightM, heightS)}; \
		backward<K>(dx, dy, arg, (unsigned)windows * packs, m); \
	}

ENTRIES(_2x2, 2)
ENTRIES(_3x3, 3)
