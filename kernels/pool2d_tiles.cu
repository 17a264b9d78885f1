// pool2d_tiles.cu: max pooling over windows of K x K elements that tile the image, K = 2 or 3 (tiles.cuh). pool2d.cu has
// the formulas and all other geometries; results are the same, to the bit.
//
// Shapes: x, dx [n,h,w,c]; y, dy, arg [n,outH,outW,c].
//
// A thread takes 16 bytes of channels, a pack, of one window. So every byte is moved once, in the backward pass too:
// each window's gradient is known from one element of dy and of arg, and its thread writes all of dx in it (and, with the
// last window of a row or column, what lies behind it). Neighbouring threads have neighbouring packs, and then
// neighbouring windows.
//
// Launch: 256 threads, any grid (kernels.PoolTiles). windows = n*outH*outW, packs = c / (16 bytes), n*h*w*c < 2^31; the
// addresses are multiples of 16. The pairs of ints are Divisors (division.cuh) of packs, outW and outH.
// Bytes per element of x, e being the element's size: (e + (e+1)/K^2) in both passes, packed (e + (e+1/4)/4).
#include "tiles.cuh"

namespace {

template <int K>
__device__ __forceinline__ void forward(Element *y, unsigned char *arg, const Element *x, unsigned windows, unsigned packs, const Divisor &byPacks,
	const Image &m, int relu, int inBits) {
	const unsigned c = packs * PACK;
#pragma unroll 1
	for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < windows * packs; i += gridDim.x * blockDim.x) {
		const unsigned window = byPacks.quotient(i), channel = (i - window * packs) * PACK;
		Vector<unsigned char, PACK> number;
		store(y + (size_t)i * PACK, largestOf<K, PACK>(number, x + windowAt<K>(window, m).pixel * c + channel, m, c, relu));
		if (arg && inBits) storePacked<PACK>(arg, (size_t)i * PACK, number);
		if (arg && !inBits) store(arg + (size_t)i * PACK, number);
	}
}

template <int K>
__device__ __forceinline__ void backward(Element *dx, const Element *dy, const unsigned char *arg, unsigned windows, unsigned packs,
	const Divisor &byPacks, const Image &m, int inBits) {
	const unsigned c = packs * PACK;
#pragma unroll 1
	for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < windows * packs; i += gridDim.x * blockDim.x) {
		const unsigned window = byPacks.quotient(i), channel = (i - window * packs) * PACK;
		const Window at = windowAt<K>(window, m);
		const Vector<unsigned char, PACK> number = inBits ? loadPacked<PACK>(arg, (size_t)i * PACK) : load<unsigned char, PACK>(arg + (size_t)i * PACK);
		spread<K, PACK>(dx + at.pixel * c + channel, load<Element, PACK>(dy + (size_t)i * PACK), number, at, m, c);
	}
}

} // namespace

// The forward pass stores the positions of the maxima in arg, unless arg is null: packed (tiles.cuh) if inBits is 1, which needs K = 2 and
// no ReLU, otherwise a byte each.
#define ENTRIES(suffix, K) \
	extern "C" __global__ void __launch_bounds__(256) \
	KERNEL(pool2d_max_forward##suffix)(Element *y, unsigned char *arg, const Element *x, int windows, int packs, int h, int w, \
		int outH, int outW, int relu, int inBits, int packsM, int packsS, int widthM, int widthS, int heightM, int heightS) { \
		const Image m = {h, w, outH, outW, Divisor(widthM, widthS), Divisor(heightM, heightS)}; \
		forward<K>(y, arg, x, windows, packs, Divisor(packsM, packsS), m, relu, inBits); \
	} \
	extern "C" __global__ void __launch_bounds__(256) \
	KERNEL(pool2d_max_backward##suffix)(Element *dx, const Element *dy, const unsigned char *arg, int windows, int packs, int h, \
		int w, int outH, int outW, int inBits, int packsM, int packsS, int widthM, int widthS, int heightM, int heightS) { \
		const Image m = {h, w, outH, outW, Divisor(widthM, widthS), Divisor(heightM, heightS)}; \
		backward<K>(dx, dy, arg, windows, packs, Divisor(packsM, packsS), m, inBits); \
	}

ENTRIES(_2x2, 2)
ENTRIES(_3x3, 3)
