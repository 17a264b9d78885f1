// conv_small.cu: a convolution of few input channels and a max pooling by 2 x 2 after it, in one pass, on tensor cores. Shapes:
// x [n,h,w,inC]; filter [outC,kH,kW,inC]; bias [outC] or null; y, arg [n,outH,outW,outC], the windows of the pooling being the
// whole ones, outH = floor((h + 2 padH - kH + 1)/2), outW alike.
//
//	z[n,i,j,o] = bias[o] + sum_{a,b,c} x[n, i+a-padH, j+b-padW, c] filter[o,a,b,c], with zeros outside the image
//	y[n,i,j,o] = max of z[n, 2i..2i+1, 2j..2j+1, o], with ReLU at least 0
//	mean[o], var[o] of y over images and pixels, for the batch normalisation after it (batchnorm.cu), if asked for
//
// If x is the output of a whitening layer (whiten.cu), the kernels compute it from that layer's images: see Whitening.
//
// z is in no memory. Of equal elements of a window the first in row-major order is the maximum; if an element is NaN, the first
// NaN is. arg has its number, 0 to 3, or 255 where ReLU gave 0; without ReLU
// the numbers can be packed (tiles.cuh), and for the gradients below they are.
//
// The sum is a matrix product [pixels of z, kH kW inC] by [kH kW inC, outC], whose left matrix, the im2col matrix, is read from
// the images in shared memory ("implicit GEMM": Chetlur et al., "cuDNN: Efficient Primitives for Deep Learning", 2014). With
// inC rounded up to an even number evenC, element k of the sum is tap k / evenC and channel k % evenC. A block takes bands of
// `rows` rows of y of one image, one after the other, and 64 channels:
//
//	shared memory    filters of its channels, as the fragments of B, for all bands; the rows of the image under the band, with
//	                 `stride` elements from pixel to pixel: stride = 4 (mod 8), so that the 32 loads of a fragment of A fall
//	                 into 32 different banks
//	warp             8 pixels of y, so 32 of z, for 64 channels: 2 x 8 products of 16 x 8 at a time
//
// Row g of the warp's fragment m of A is the pixel (2i, 2j+m) of z of the warp's g-th pixel (i,j) of y, and row g+8 is the pixel
// (2i+1, 2j+m): so all four elements of a window are in the registers of one thread, and the pooling moves nothing. Column q of
// fragment j of B is channel 16 (q/2) + 2j + q%2: so a thread has 16 neighbouring channels, which it stores 16 bytes at a time.
//
// Registers: 64 sums and 24 of fragments of the at most 128 that leave room for two blocks on a multiprocessor; with 48 KB per
// block shared memory has room for as many from compute capability 8.0 on. Two blocks hide each other's loads of images.
//
// Needs compute capability 8.0. 8 divides outC; addresses are multiples of 16. kernels.ConvSmallForwardLaunch returns the launch.
// Bytes per element of y: e + 1, packed e + 1/4, and 4 e inC/outC, of a whitening layer's images 12 e/outC.
#include "batchnorm.cuh"
#include "function.cuh"
#include "lastblock.cuh"
#include "tiles.cuh"

#if defined(STORAGE_FLOAT16) || defined(STORAGE_BFLOAT16)

namespace {

constexpr int warps = 8;                 // of a block
constexpr int tiles = 8;                 // products of 16 x 8 side by side
constexpr int groupChannels = 8 * tiles; // of a block
constexpr int laneChannels = 2 * tiles;  // of a thread
constexpr int sharedElements = 23808;    // 46.5 KiB of the 48 that a block may have
constexpr int maxPairs = 128;            // of elements of a sum

typedef Vector<Element, 2> Pair;

// get and put access W elements of shared memory together.
#ifdef CUDA_HOST
template <int W> Vector<Element, W> get(const Element *from) {
	Vector<Element, W> v;
	if (reinterpret_cast<size_t>(from) % sizeof v != 0) __builtin_trap();
	memcpy(&v, from, sizeof v);
	return v;
}
template <int W> void put(Element *to, const Vector<Element, W> &v) {
	if (reinterpret_cast<size_t>(to) % sizeof v != 0) __builtin_trap();
	memcpy(to, &v, sizeof v);
}
#else
template <int W> __device__ __forceinline__ Vector<Element, W> get(const Element *from) { return load<Element, W>(from); }
template <int W> __device__ __forceinline__ void put(Element *to, const Vector<Element, W> &v) { store(to, v); }
#endif

// multiply adds to d the product of a [16 M, 16] and b [16, 8 N], all of them spread over the lanes of a warp as fragments of
// mma.m16n8k16 (PTX ISA, "Matrix Fragments for mma.m16n8k16 with floating point type"). For lane = 4 g + t:
//
//	a[m]      rows 16m + g, 16m + g+8, g, g+8; columns 2t, 2t+1, and 8 more in the last two pairs
//	b[j]      column 8j + g; rows 2t, 2t+1, and 8 more in the second pair
//	d[m][j]   rows 16m + g, g, g+8, g+8; columns 8j + 2t, 2t+1, 2t, 2t+1
//
// All lanes must call it together. Products are exact, sums are float32.
#ifdef CUDA_HOST

typedef float Four __attribute__((vector_size(16))); // neighbouring columns, which are multiplied together

// Matrices are a warp's operands, and what its lanes add to their sums.
template <int M, int N> struct Matrices {
	float a[16 * M][16];
	Four b[16][2 * N], d[16 * M][2 * N];
	int given; // lanes whose fragments are there
};

// Not counted among the accesses of a kernel to memory.
template <int M, int N> __attribute__((noinline, no_sanitize("thread"))) void multiplyWarp(Matrices<M, N> &w) {
	for (int j = 0; j < 2 * N; j++)
		for (int i = 0; i < 16 * M; i += 4) {
			Four s0 = {}, s1 = {}, s2 = {}, s3 = {};
			for (int k = 0; k < 16; k++) {
				const Four b = w.b[k][j];
				s0 += w.a[i][k] * b;
				s1 += w.a[i + 1][k] * b;
				s2 += w.a[i + 2][k] * b;
				s3 += w.a[i + 3][k] * b;
			}
			w.d[i][j] = s0;
			w.d[i + 1][j] = s1;
			w.d[i + 2][j] = s2;
			w.d[i + 3][j] = s3;
		}
}

template <int M, int N>
__attribute__((noinline, no_sanitize("thread"))) void give(Matrices<M, N> &w, int lane, const Pair (&a)[M][4], const Pair (&b)[N][2]) {
	const int g = lane / 4, t = lane % 4;
	for (int i = 0; i < 8; i++) {
		for (int m = 0; m < M; m++) w.a[16 * m + g + i / 2 % 2 * 8][2 * t + i % 2 + i / 4 * 8] = widen(a[m][i / 2].e[i % 2]);
	}
	for (int i = 0; i < 4; i++) {
		for (int j = 0; j < N; j++) w.b[2 * t + i % 2 + i / 2 * 8][2 * j + g / 4][g % 4] = widen(b[j][i / 2].e[i % 2]);
	}
	if (++w.given < 32) return;
	w.given = 0;
	multiplyWarp(w);
}

template <int M, int N>
__attribute__((noinline, no_sanitize("thread"))) void take(const Matrices<M, N> &w, int lane, float (&d)[M][N][4]) {
	const int g = lane / 4, t = lane % 4;
	for (int m = 0; m < M; m++)
		for (int j = 0; j < N; j++)
			for (int i = 0; i < 4; i++) d[m][j][i] += w.d[16 * m + g + i / 2 * 8][2 * j + t / 2][t % 2 * 2 + i % 2];
}

template <int M, int N> void multiply(float (&d)[M][N][4], const Pair (&a)[M][4], const Pair (&b)[N][2]) {
	static Matrices<M, N> all[warps];
	Matrices<M, N> &w = all[threadIdx.x / 32];
	give(w, threadIdx.x % 32, a, b);
	__shfl_sync(0xFFFFFFFFu, 0, 0); // all lanes have given theirs
	take(w, threadIdx.x % 32, d);
}

#else

#ifdef STORAGE_FLOAT16
#define MMA_TYPES "f32.f16.f16.f32"
#else
#define MMA_TYPES "f32.bf16.bf16.f32"
#endif

__device__ __forceinline__ unsigned bitsOf(const Pair &p) { return *reinterpret_cast<const unsigned *>(&p); }

template <int M, int N>
__device__ __forceinline__ void multiply(float (&d)[M][N][4], const Pair (&a)[M][4], const Pair (&b)[N][2]) {
#pragma unroll
	for (int m = 0; m < M; m++)
#pragma unroll
		for (int j = 0; j < N; j++)
			asm volatile("mma.sync.aligned.m16n8k16.row.col." MMA_TYPES " {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
				: "+f"(d[m][j][0]), "+f"(d[m][j][1]), "+f"(d[m][j][2]), "+f"(d[m][j][3])
				: "r"(bitsOf(a[m][0])), "r"(bitsOf(a[m][1])), "r"(bitsOf(a[m][2])), "r"(bitsOf(a[m][3])), "r"(bitsOf(b[j][0])), "r"(bitsOf(b[j][1])));
}

#endif

// Convolution is what a kernel knows about the images and filters.
struct Convolution {
	int h, w, inC, outC, kH, kW, padH, padW;
	int outH, outW; // of y
	int rows;       // of y in a band
	int stride;     // elements from pixel to pixel in shared memory
	int vector;     // 1 if channels are taken four at a time, otherwise 0
	Divisor byBands, byOutW, byRow, byPixel; // of the bands per image, outW, the vectors of a row and those of a pixel

	__device__ __forceinline__ int evenC() const { return (inC + 1) & ~1; }
	__device__ __forceinline__ int steps() const { return (kH * kW * evenC() + 15) / 16; } // of 16 elements of a sum
	__device__ __forceinline__ int tileW() const { return 2 * outW + kW - 1; }           // pixels of a row in shared memory
	__device__ __forceinline__ int tileH() const { return 2 * rows + kH - 1; }
};

// zeroTile sets the image's part of shared memory to zero.
__device__ __forceinline__ void zeroTile(Element *tile, const Convolution &v) {
	Vector<Element, 4> zeros;
#pragma unroll
	for (int k = 0; k < 4; k++) narrow(zeros.e[k], 0.0f);
	for (int i = 4 * threadIdx.x; i < v.tileH() * v.tileW() * v.stride; i += 4 * 256) put<4>(tile + i, zeros);
}

// fillTile copies the rows of an image from row `top` on into shared memory, W channels at a time, and zeros where the image
// has no such row. What lies left and right of the image, and between channel inC and stride, is left as it is.
template <int W> __device__ __forceinline__ void fillTile(Element *tile, const Element *image, int top, const Convolution &v) {
	const int packs = v.inC / W, perRow = min(v.w, v.tileW() - v.padW) * packs, total = v.tileH() * perRow;
#pragma unroll 4
	for (int i = threadIdx.x; i < total; i += 256) {
		const int row = v.byRow.quotient(i), at = i - row * perRow, col = v.byPixel.quotient(at), channel = (at - col * packs) * W;
		Vector<Element, W> e;
#pragma unroll
		for (int k = 0; k < W; k++) narrow(e.e[k], 0.0f);
		if ((unsigned)(top + row) < (unsigned)v.h) e = load<Element, W>(image + ((top + row) * v.w + col) * v.inC + channel);
		put<W>(tile + (row * v.tileW() + v.padW + col) * v.stride + channel, e);
	}
}

// Whitening is a layer of whiten.cu with GELU whose output is x:
//
//	x[n,i,j,c] = gelu(s)        s = bias[c] + sum_{a,b,d} images[n,i+a,j+b,d] filter[c,a,b,d]
//
// images are [n,h+1,w+1,3], filter is [inC,2,2,3]; 4 divides inC, which is at most 24. Nobody stores x: what a block needs of it, it
// computes in shared memory, 16 pixels per warp at a time, by products of the pixels' 12 elements (and 4 zeros) with 8 filters.
// Most pixels are in one tile, those at its upper and lower edge in two.
constexpr int whiteningTaps = 12, whiteningTiles = 3; // tiles of 8 channels of x

struct Whitening {
	const Element *images, *filter;
	const float *bias;

	// fill is fillTile of x, or with slope of gelu'(s).
	__device__ __forceinline__ void fill(Element *tile, int image, int top, int slope, const Convolution &v) const {
		const int lane = threadIdx.x % 32, t = lane % 4, perRow = min(v.w, v.tileW() - v.padW), total = v.tileH() * perRow;
		const Element *own = images + (size_t)image * (v.h + 1) * (v.w + 1) * 3;
#pragma unroll 1
		for (int unit = threadIdx.x / 32 * 16; unit < total; unit += 16 * warps) {
			int row[2], col[2]; // of pixels g and g+8
#pragma unroll
			for (int r = 0; r < 2; r++) {
				const int pixel = min(unit + lane / 4 + 8 * r, total - 1);
				row[r] = v.byRow.quotient(pixel);
				col[r] = pixel - row[r] * perRow;
			}
			Pair a[1][4];
#pragma unroll
			for (int r = 0; r < 4; r++) {
				const int k = 2 * t + r / 2 * 8, i = min(max(top + row[r % 2], 0), v.h - 1); // elements k and k+1 are of the same row of the images
				const Element *from = own + ((i + k / 6) * (v.w + 1) + col[r % 2]) * 3 + k % 6;
#pragma unroll
				for (int e = 0; e < 2; e++) {
					narrow(a[0][r].e[e], 0.0f);
					if (k < whiteningTaps) a[0][r].e[e] = from[e];
				}
			}
#pragma unroll 1
			for (int j = 0; j < whiteningTiles; j++) {
				float s[1][1][4] = {};
				Pair b[1][2];
#pragma unroll
				for (int i = 0; i < 4; i++) {
					const int k = 2 * t + i % 2 + i / 2 * 8, c = 8 * j + lane / 4;
					narrow(b[0][i / 2].e[i % 2], 0.0f);
					if (k < whiteningTaps && c < v.inC) b[0][i / 2].e[i % 2] = filter[c * whiteningTaps + k];
				}
				multiply<1, 1>(s, a, b);
#pragma unroll
				for (int r = 0; r < 2; r++) {
					const int c = 8 * j + 2 * t;
					if (c >= v.inC || unit + lane / 4 + 8 * r >= total) continue;
					Pair p;
#pragma unroll
					for (int e = 0; e < 2; e++) {
						const float arg = s[0][0][2 * r + e] + bias[c + e], f = slope ? GELU::slope(arg, 0.0f) : GELU::value(arg, 0.0f);
						narrow(p.e[e], (unsigned)(top + row[r]) < (unsigned)v.h ? f : 0.0f);
					}
					put<2>(tile + (row[r] * v.tileW() + v.padW + col[r]) * v.stride + c, p);
				}
			}
		}
	}
};

// Input is x, or the images and the operands of a whitening layer whose output it is; whitening is null without one.
struct Input {
	const Element *x, *whitening;
	const float *whiteningBias;

	// fill lays out the rows of an image from row `top` on, with slope of gelu'(s) instead.
	__device__ __forceinline__ void fill(Element *tile, int image, int top, int slope, const Convolution &v) const {
		const Element *from = x + (size_t)image * v.h * v.w * v.inC;
		if (whitening)
			Whitening{x, whitening, whiteningBias}.fill(tile, image, top, slope, v);
		else if (v.vector)
			fillTile<4>(tile, from, top, v);
		else
			fillTile<1>(tile, from, top, v);
	}
};

// fillFilters lays the filters of the channels from `first` on out as fragments of B: [step][two fragments][lane][8 elements].
__device__ __forceinline__ void fillFilters(Element *to, const Element *filter, int first, const Convolution &v) {
	const int evenC = v.evenC(), taps = v.kH * v.kW;
#pragma unroll 1
	for (int i = threadIdx.x; i < v.steps() * 64 * tiles; i += 256) {
		const int pair = i % 2, j = i / 128 * 2 + i / 2 % 2, lane = i / 4 % 32, step = j / tiles;
		const int column = lane / 4, o = first + column / 2 * laneChannels + 2 * (j % tiles) + column % 2;
		const int k = 16 * step + 2 * (lane % 4) + 8 * pair, tap = k / evenC, channel = k - tap * evenC;
		Pair p;
#pragma unroll
		for (int e = 0; e < 2; e++) {
			narrow(p.e[e], 0.0f);
			if (tap < taps && o < v.outC && channel + e < v.inC) p.e[e] = filter[(o * taps + tap) * v.inC + channel + e];
		}
		put<2>(to + 2 * i, p);
	}
}

// fillOffsets computes where the pairs of elements of a sum lie in shared memory, from the first pixel of the window on. Pairs
// behind the last have filters of zero, and lie where zeros are, behind the channels of the first pixel.
__device__ __forceinline__ void fillOffsets(int *offset, const Convolution &v) {
	const int evenC = v.evenC();
	for (int i = threadIdx.x; i < 8 * v.steps(); i += 256) {
		const int tap = 2 * i / evenC, a = tap / v.kW, b = tap - a * v.kW;
		offset[i] = tap < v.kH * v.kW ? (a * v.tileW() + b) * v.stride + 2 * i - tap * evenC : evenC;
	}
}

// Sums are the elements of z of a thread: d[m][j] as multiply has it.
typedef float Sums[2][tiles][4];

// convolve computes the sums of the window whose first pixel is at `from`.
__device__ __forceinline__ void convolve(Sums &sums, const Element *from, const Element *filters, const int *offset, const Convolution &v) {
	const int lane = threadIdx.x % 32, t = lane % 4, down = v.tileW() * v.stride, steps = v.steps();
#pragma unroll 1
	for (int s = 0; s < steps; s++) {
		const int near = offset[8 * s + t], far = offset[8 * s + 4 + t];
		Pair a[2][4], b[tiles][2];
#pragma unroll
		for (int m = 0; m < 2; m++) {
			const Element *at = from + m * v.stride;
			a[m][0] = get<2>(at + near);
			a[m][1] = get<2>(at + down + near);
			a[m][2] = get<2>(at + far);
			a[m][3] = get<2>(at + down + far);
		}
#pragma unroll
		for (int j = 0; j < tiles; j += 2) {
			const Vector<Element, 8> two = get<8>(filters + ((s * tiles + j) / 2 * 32 + lane) * 8);
#pragma unroll
			for (int i = 0; i < 8; i++) b[j + i / 4][i / 2 % 2].e[i % 2] = two.e[i];
		}
		multiply<2, tiles>(sums, a, b);
	}
}

// Pooled are the thread's channels of a pixel of y.
struct Pooled {
	Vector<Element, 8> y[2];
	Vector<unsigned char, 8> arg[2];
};

// pool takes the largest element of each window.
__device__ __forceinline__ Pooled pool(const Sums &sums, const float *bias, int channel, const Convolution &v, int relu) {
	Pooled out;
#pragma unroll
	for (int i = 0; i < laneChannels; i++) {
		const int j = i / 2, c = i % 2;
		const float z[4] = {sums[0][j][c], sums[1][j][c], sums[0][j][2 + c], sums[1][j][2 + c]};
		float best = z[0];
		int at = 0;
#pragma unroll
		for (int k = 1; k < 4; k++) takeLarger(best, at, z[k], k);
		if (bias && channel + i < v.outC) best += bias[channel + i];
		if (relu && best <= 0.0f) {
			best = 0.0f;
			at = nowhere;
		}
		narrow(out.y[i / 8].e[i % 8], best);
		out.arg[i / 8].e[i % 8] = (unsigned char)at;
	}
	return out;
}

// putFloat and getFloat access float number i of shared memory.
#ifdef CUDA_HOST
inline void putFloat(Element *at, int i, float v) { memcpy(at + 2 * i, &v, sizeof v); }
inline float getFloat(const Element *at, int i) {
	float v;
	memcpy(&v, at + 2 * i, sizeof v);
	return v;
}
#else
__device__ __forceinline__ void putFloat(Element *at, int i, float v) { reinterpret_cast<float *>(at)[i] = v; }
__device__ __forceinline__ float getFloat(const Element *at, int i) { return reinterpret_cast<const float *>(at)[i]; }
#endif

// Moments are the mean of count values and the sum m2 of their squared distances from it; batchnorm.cu has the formula of add.
struct Moments {
	float mean, m2;
	int count;

	__device__ __forceinline__ Moments() : mean(0.0f), m2(0.0f), count(0) {}
	__device__ __forceinline__ Moments(float mean, float m2, int count) : mean(mean), m2(m2), count(count) {}

	__device__ __forceinline__ void add(const Moments &b) {
		if (b.count == 0) return;
		const float share = __fdividef((float)b.count, (float)(count + b.count)), delta = b.mean - mean;
		mean += delta * share;
		m2 += b.m2 + delta * delta * (float)count * share;
		count += b.count;
	}
};

// addPixels adds the moments of two channels of a warp's pixels, [pixels, groupChannels] at `from`.
__device__ __forceinline__ void addPixels(Moments (&own)[2], const Element *from, int pixels) {
#pragma unroll
	for (int c = 0; c < 2; c++) {
		float total = 0.0f, squares = 0.0f;
#pragma unroll 1
		for (int p = 0; p < pixels; p++) total += widen(get<2>(from + p * groupChannels).e[c]);
		const float centre = total / pixels;
#pragma unroll 1
		for (int p = 0; p < pixels; p++) {
			const float d = widen(get<2>(from + p * groupChannels).e[c]) - centre;
			squares += d * d;
		}
		own[c].add(Moments(centre, squares, pixels));
	}
}

// Statistics is where the moments go. partial is [3, gridDim.x, outC]; arrived [gridDim.y] (lastblock.cuh).
struct Statistics {
	float *mean, *variance, *runningMean, *runningVar, *partial;
	unsigned *arrived;
	float momentum;
};

// finishMoments merges the moments of the warps of a block, and in the last block of a group of channels those of all blocks. All
// threads of the block must call it. scratch is shared memory for 3 x 8 x 64 floats.
__device__ __forceinline__ void finishMoments(const Moments (&own)[2], const Statistics &to, Element *scratch, int first, int outC) {
	const int t = threadIdx.x, blocks = gridDim.x, c = t % groupChannels, part = t / groupChannels, parts = 256 / groupChannels;
	const size_t plane = (size_t)blocks * outC;
	const auto keep = [=](int i, const Moments &m) {
		putFloat(scratch, 3 * i, m.mean);
		putFloat(scratch, 3 * i + 1, m.m2);
		putFloat(scratch, 3 * i + 2, (float)m.count);
	};
	const auto sum = [=](int sets) { // of the sets of channel c
		Moments all;
#pragma unroll 1
		for (int i = c; i < sets * groupChannels; i += groupChannels)
			all.add(Moments(getFloat(scratch, 3 * i), getFloat(scratch, 3 * i + 1), (int)getFloat(scratch, 3 * i + 2)));
		return all;
	};
	for (int k = 0; k < 2; k++) keep(t / 32 * groupChannels + t % 32 * 2 + k, own[k]);
	__syncthreads();
	if (part == 0 && first + c < outC) {
		const Moments all = sum(warps);
		float *at = to.partial + (size_t)blockIdx.x * outC + first + c;
		at[0] = all.mean;
		at[plane] = all.m2;
		at[2 * plane] = (float)all.count;
	}
	if (!lastBlock(&to.arrived[blockIdx.y], blocks)) return;

	Moments some;
	if (first + c < outC) {
#pragma unroll 4
		for (int b = part; b < blocks; b += parts) {
			const float *at = to.partial + (size_t)b * outC + first + c;
			some.add(Moments(at[0], at[plane], (int)at[2 * plane]));
		}
	}
	keep(part * groupChannels + c, some);
	__syncthreads();
	if (part > 0 || first + c >= outC) return;
	const Moments all = sum(parts);
	const int o = first + c;
	to.mean[o] = all.mean;
	to.variance[o] = all.m2 / all.count;
	to.runningMean[o] = (1.0f - to.momentum) * to.runningMean[o] + to.momentum * all.mean;
	to.runningVar[o] = (1.0f - to.momentum) * to.runningVar[o] + to.momentum * (all.m2 / max(all.count - 1, 1));
}

} // namespace

// The parameters that make a Convolution. The pairs of ints are Divisors of the bands per image, of outW, of the vectors of a row
// in shared memory, and of those of a pixel.
#define CONVOLUTION \
	int h, int w, int inC, int outC, int kH, int kW, int padH, int padW, int outH, int outW, int rows, int stride, int vector, int bandsM, \
		int bandsS, int widthM, int widthS, int rowM, int rowS, int pixelM, int pixelS
#define CONVOLUTION_GIVEN \
	{h, w, inC, outC, kH, kW, padH, padW, outH, outW, rows, stride, vector, Divisor(bandsM, bandsS), Divisor(widthM, widthS), \
		Divisor(rowM, rowS), Divisor(pixelM, pixelS)}

// bands is the number of bands of all images. arg may be null; it is packed if inBits is 1, otherwise 0. relu is 1 or 0. The pointers
// from x on but for filter and bias make an Input. Unless mean is null, the kernel computes mean and variance (divided by the number of pixels) [outC] of y as it is stored, and updates
// the running ones as batchnorm_moments does; then a band has at most 64 pixels.
//
// Launch: 256 threads, any grid with gridDim.y groups of 64 channels (kernels.ConvSmallForwardLaunch).
extern "C" __global__ void __launch_bounds__(256)
KERNEL(conv_small_forward)(Element *y, unsigned char *arg, const Element *x, const Element *whitening, const float *whiteningBias,
	const Element *filter, const float *bias, int bands, int relu, int inBits, CONVOLUTION, float *mean, float *variance, float *runningMean, float *runningVar, float *partial, unsigned *arrived, float momentum) {
	alignas(16) __shared__ Element shared[sharedElements];
	__shared__ int offset[maxPairs];
	const Convolution v = CONVOLUTION_GIVEN;
	const Input in = {x, whitening, whiteningBias};
	Element *filters = shared, *tile = shared + v.steps() * 128 * tiles;
	const int first = blockIdx.y * groupChannels, lane = threadIdx.x % 32, warp = threadIdx.x / 32, perImage = (outH + rows - 1) / rows;
	const int channel = first + lane % 4 * laneChannels;
	Moments own[2];
	fillFilters(filters, filter, first, v);
	fillOffsets(offset, v);
	zeroTile(tile, v);
	__syncthreads();
#pragma unroll 1
	for (int band = blockIdx.x; band < bands; band += gridDim.x) {
		const int image = v.byBands.quotient(band), row = (band - image * perImage) * rows;
		in.fill(tile, image, 2 * row - padH, 0, v);
		__syncthreads();
		const int count = min(rows, outH - row) * outW; // pixels of y
		Pooled out;
#pragma unroll 1
		for (int unit = 8 * warp; unit < count; unit += 8 * warps) {
			const int pixel = min(unit + lane / 4, count - 1), i = v.byOutW.quotient(pixel), j = pixel - i * outW;
			Sums sums = {};
			convolve(sums, tile + (2 * i * v.tileW() + 2 * j) * stride, filters, offset, v);
			out = pool(sums, bias, channel, v, relu);
			if (unit + lane / 4 < count) {
				const size_t at = ((size_t)(image * outH + row) * outW + pixel) * outC + channel;
#pragma unroll
				for (int k = 0; k < 2; k++) {
					if (channel + 8 * k >= outC) break;
					store(y + at + 8 * k, out.y[k]);
					if (arg && inBits) storePacked<8>(arg, at + 8 * k, out.arg[k]);
					if (arg && !inBits) store(arg + at + 8 * k, out.arg[k]);
				}
			}
		}
		__syncthreads();
		if (mean) {
			Element *scratch = tile + warp * 8 * groupChannels;
#pragma unroll
			for (int k = 0; k < 2; k++) {
				if (8 * warp < count) put<8>(scratch + lane / 4 * groupChannels + lane % 4 * laneChannels + 8 * k, out.y[k]);
			}
			__syncthreads();
			if (8 * warp < count) addPixels(own, scratch + 2 * lane, min(8, count - 8 * warp));
			__syncthreads();
			zeroTile(tile, v);
			__syncthreads();
		}
	}
	if (mean) finishMoments(own, {mean, variance, runningMean, runningVar, partial, arrived, momentum}, tile, first, outC);
}


// The gradients. dz, the gradient of z, is dy where arg, packed, says that the maximum is, otherwise 0, and in no memory either:
//
//	dx[n,p,q,c] = sum_{a,b,o} dz[n, p-a+padH, q-b+padW, o] filter[o,a,b,c]
//	dfilter[o,a,b,c] = sum_{n,i,j} dz[n,i,j,o] x[n, i+a-padH, j+b-padW, c]

namespace {

// conv_small_data: a matrix product [pixels of x, kH kW outC] by [kH kW outC, inC]. A block takes bands of `rows` rows of dx, at most
// 128 pixels, of which each warp has 16. dz under the band is in shared memory for 32 channels at a time, dataStride elements from
// pixel to pixel (8 times that are 8 different multiples of 4 banks); all filters are there as fragments of B, in steps of 16
// channels of a tap: [32 channels][tap][16 channels][8 channels of x][lane][4 elements].
constexpr int dataTiles = 3;     // of 8 channels of x
constexpr int dataChannels = 32; // of dz in shared memory
constexpr int dataStride = 40;

typedef float DataSums[1][dataTiles][4]; // as multiply has them

__device__ __forceinline__ void fillDataFilters(Element *to, const Element *filter, const Convolution &v) {
	const int taps = v.kH * v.kW, steps = (v.outC + dataChannels - 1) / dataChannels * taps * 2;
#pragma unroll 1
	for (int i = threadIdx.x; i < steps * dataTiles * 64; i += 256) {
		const int pair = i % 2, lane = i / 2 % 32, j = i / 64 % dataTiles, step = i / 64 / dataTiles, channels = step / 2 / taps;
		const int tap = step / 2 - channels * taps, c = 8 * j + lane / 4, o = channels * dataChannels + step % 2 * 16 + 2 * (lane % 4) + 8 * pair;
		Pair p;
#pragma unroll
		for (int e = 0; e < 2; e++) {
			narrow(p.e[e], 0.0f);
			if (o + e < v.outC && c < v.inC) p.e[e] = filter[((o + e) * taps + tap) * v.inC + c];
		}
		put<2>(to + 2 * i, p);
	}
}

// fillGradient lays out dz of the channels from `first` on: pixel (0,0) of the tile, which is tileW wide, is row `top`, column `left`
// of z. from and arg are those of the image.
__device__ __forceinline__ void fillGradient(Element *tile, const Element *dy, const unsigned char *arg, int first, int top, int left, int tileH,
	int tileW, const Convolution &v) {
#pragma unroll 2
	for (int k = threadIdx.x; k < tileH * tileW * (dataChannels / 8); k += 256) {
		const int pack = k % (dataChannels / 8), pixel = k / (dataChannels / 8), row = v.byRow.quotient(pixel);
		const int i = top + row, j = left + pixel - row * tileW, own = i % 2 * 2 + j % 2, o = first + 8 * pack;
		Vector<Element, 8> e;
#pragma unroll
		for (int n = 0; n < 8; n++) narrow(e.e[n], 0.0f);
		if (i >= 0 && j >= 0 && i < 2 * v.outH && j < 2 * v.outW && o < v.outC) {
			const int at = (i / 2 * v.outW + j / 2) * v.outC + o;
			const Vector<Element, 8> d = load<Element, 8>(dy + at);
			const Vector<unsigned char, 8> number = loadPacked<8>(arg, at);
#pragma unroll
			for (int n = 0; n < 8; n++) {
				if (number.e[n] == own) e.e[n] = d.e[n];
			}
		}
		put<8>(tile + pixel * dataStride + 8 * pack, e);
	}
}

// conv_small_filter: a matrix product [outC, pixels of z] by [pixels of z, kH kW inC], over the bands of a block, which leaves its sums
// in memory; conv_small_finish adds those of all blocks. A step are the 16 pixels of z of 4 pixels of y: pair t of elements of the
// sum is the upper row of window t, pair t + 4 its lower row, so that a fragment of A follows from one element of dy and of arg.
// Warps share 64 channels and 4 x filterTiles x 8 = 224 columns [kH kW inC]: each has 32 channels and a quarter of the columns.
constexpr int filterTiles = 7;
constexpr int filterElements = 23552; // of shared memory, which leaves room for the table and the offsets
constexpr int gradientStride = 72, numberStride = 80; // from pixel to pixel of dy and of arg in shared memory

// NormTable is what the gradient through a batch normalisation of y with GELU after it takes of each channel of a block: see
// InputGradient of batchnorm.cuh.
struct NormTable {
	float mean[groupChannels], scale[groupChannels], beta[groupChannels], slope[groupChannels], shift[groupChannels];

	// fill computes the table of the channels from `first` on. All threads of the block must call it.
	__device__ __forceinline__ void fill(int first, const float *gamma, const float *beta_, const float *mean_, const float *variance, const float *sums,
		float epsilon, int pixels, int outC) {
		const int k = threadIdx.x;
		if (k >= groupChannels || first + k >= outC) return;
		const Affine<1> z(first + k, true, gamma, beta_, mean_, variance, epsilon);
		const InputGradient<1> gradient(z, first + k, sums, outC, variance, epsilon, pixels);
		mean[k] = z.mean[0];
		scale[k] = z.scale[0];
		beta[k] = z.beta[0];
		slope[k] = gradient.slope[0];
		shift[k] = gradient.shift[0];
	}
	// of returns the gradient with respect to y from that with respect to the output, for channel k, rounded as if it were stored.
	__device__ __forceinline__ Element of(Element dy, Element y, int k) const {
		const float centred = widen(y) - mean[k], dz = widen(dy) * GELU::slope(affine(centred, scale[k], beta[k]), 0.0f);
		Element out;
		narrow(out, inputGradient(dz, centred, scale[k], slope[k], shift[k]));
		return out;
	}
};

// fillPooled lays out the gradient with respect to y, and arg, of a band in shared memory, with a gradient of 0 for pixels behind the
// last, up to a multiple of 4. dy is that gradient or, unless y is null, what the table makes it from.
__device__ __forceinline__ void fillPooled(Element *to, unsigned char *numbers, const Element *dy, const unsigned char *arg, const Element *y,
	const NormTable &norm, int first, int count, int outC) {
	constexpr int pack = 4;
#pragma unroll 1
	for (int k = threadIdx.x; k < (count + 3) / 4 * 4 * (groupChannels / pack); k += 256) {
		const int pixel = k / (groupChannels / pack), o = k % (groupChannels / pack) * pack;
		Vector<Element, pack> d;
		Vector<unsigned char, pack> number;
#pragma unroll
		for (int n = 0; n < pack; n++) {
			narrow(d.e[n], 0.0f);
			number.e[n] = nowhere;
		}
		if (pixel < count && first + o < outC) {
			const int at = pixel * outC + first + o;
			d = load<Element, pack>(dy + at);
			number = loadPacked<pack>(arg, at);
			if (y) {
				const Vector<Element, pack> in = load<Element, pack>(y + at);
#pragma unroll
				for (int n = 0; n < pack; n++) d.e[n] = norm.of(d.e[n], in.e[n], o + n);
			}
		}
		put<pack>(to + pixel * gradientStride + o, d);
		store(numbers + pixel * numberStride + o, number);
	}
}

} // namespace

// The parameters of a Convolution whose `rows` are rows of x. The pairs of ints are Divisors of the bands per image, of w, and of
// w + kW - 1. At most 24 channels of x, an even number; 8 divides outC.
#define TRANSPOSED \
	int h, int w, int inC, int outC, int kH, int kW, int padH, int padW, int outH, int outW, int rows, int bandsM, int bandsS, int widthM, \
		int widthS, int tileM, int tileS
#define TRANSPOSED_GIVEN \
	{h, w, inC, outC, kH, kW, padH, padW, outH, outW, rows, dataStride, 1, Divisor(bandsM, bandsS), Divisor(widthM, widthS), \
		Divisor(tileM, tileS), Divisor(tileM, tileS)}

// bands is the number of bands of all images. Launch: 256 threads, any grid (kernels.ConvSmallDataLaunch).
extern "C" __global__ void __launch_bounds__(256)
KERNEL(conv_small_data)(Element *dx, const Element *dy, const unsigned char *arg, const Element *filter, int bands, TRANSPOSED) {
	alignas(16) __shared__ Element shared[sharedElements];
	const Convolution v = TRANSPOSED_GIVEN;
	const int lane = threadIdx.x % 32, t = lane % 4, unit = threadIdx.x / 32 * 16, perImage = (h + rows - 1) / rows, taps = kH * kW;
	const int tileH = rows + kH - 1, tileW = w + kW - 1, parts = (outC + dataChannels - 1) / dataChannels;
	Element *filters = shared, *tile = shared + parts * taps * 2 * dataTiles * 128;
	fillDataFilters(filters, filter, v);
#pragma unroll 1
	for (int band = blockIdx.x; band < bands; band += gridDim.x) {
		const int image = v.byBands.quotient(band), row = (band - image * perImage) * rows, count = min(rows, h - row) * w;
		const size_t pooled = (size_t)image * outH * outW * outC;
		int from[2]; // of the window of pixels g and g+8: its last pixel, that of tap 0
#pragma unroll
		for (int r = 0; r < 2; r++) {
			const int pixel = min(unit + lane / 4 + 8 * r, count - 1), i = v.byOutW.quotient(pixel);
			from[r] = ((i + kH - 1) * tileW + pixel - i * w + kW - 1) * dataStride;
		}
		DataSums sums = {};
#pragma unroll 1
		for (int part = 0; part < parts; part++) {
			__syncthreads();
			fillGradient(tile, dy + pooled, arg + pooled / 4, part * dataChannels, row + padH - kH + 1, padW - kW + 1, tileH, tileW, v);
			__syncthreads();
			if (unit >= count) continue;
#pragma unroll 1
			for (int tap = 0; tap < taps; tap++) {
				const int i = tap / kW, back = (i * tileW + tap - i * kW) * dataStride;
#pragma unroll
				for (int sub = 0; sub < 2; sub++) {
					Pair a[1][4], b[dataTiles][2];
#pragma unroll
					for (int r = 0; r < 4; r++) a[0][r] = get<2>(tile + from[r % 2] - back + 16 * sub + 2 * t + r / 2 * 8);
#pragma unroll
					for (int j = 0; j < dataTiles; j++) {
						const Vector<Element, 4> two = get<4>(filters + ((((part * taps + tap) * 2 + sub) * dataTiles + j) * 32 + lane) * 4);
#pragma unroll
						for (int e = 0; e < 4; e++) b[j][e / 2].e[e % 2] = two.e[e];
					}
					multiply<1, dataTiles>(sums, a, b);
				}
			}
		}
#pragma unroll
		for (int r = 0; r < 2; r++) {
			const int pixel = unit + lane / 4 + 8 * r;
			if (pixel >= count) continue;
#pragma unroll
			for (int j = 0; j < dataTiles; j++) {
				const int c = 8 * j + t * 2;
				if (c >= inC) continue;
				Pair p;
				narrow(p.e[0], sums[0][j][2 * r]);
				narrow(p.e[1], sums[0][j][2 * r + 1]);
				store(dx + ((size_t)(image * h + row) * w + pixel) * inC + c, p);
			}
		}
	}
}

// conv_small_filter. For a whitening layer before the convolution (Input), it can also compute the sums of which the gradient of that
// layer's bias consists, which differ in x only:
//
//	dbias[c] = sum_{n,p,q} dx[n,p,q,c] gelu'(s[n,p,q,c]) = sum_{o,a,b} filter[o,a,b,c] sum_{n,i,j} dz[n,i,j,o] gelu'(s[n, i+a-padH, j+b-padW, c])
//
// Of the gridDim.y blocks side by side those from number slopeFrom on do that. So neither dx nor x is in memory.
//
// dy is that with respect to y or, unless y is null, with respect to the output of a batch normalisation of y with GELU
// (batchnorm_backward_gelu), of which y and the parameters from gamma on are the operands, and pixels the rows.
//
// partial is [gridDim.y / groups, gridDim.x, outC, kH kW inC], groups = ceil(outC/64). There are at most 224 columns. Launch: as
// conv_small_forward, but gridDim.y of once or twice the groups (kernels.ConvSmallFilterLaunch).
extern "C" __global__ void __launch_bounds__(256, 2)
KERNEL(conv_small_filter)(float *partial, const Element *dy, const unsigned char *arg, const Element *x, const Element *whitening,
	const float *whiteningBias, int slopeFrom, int bands, CONVOLUTION, const Element *y, const float *gamma, const float *beta, const float *mean,
	const float *variance, const float *normSums, float epsilon, int pixels) {
	alignas(16) __shared__ Element shared[filterElements];
	__shared__ NormTable norm;
	const Convolution v = CONVOLUTION_GIVEN;
	const Input in = {x, whitening, whiteningBias};
	const int groups = (outC + groupChannels - 1) / groupChannels, kind = blockIdx.y / groups, first = (blockIdx.y - kind * groups) * groupChannels;
	const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4, warp = threadIdx.x / 32;
	const int perImage = (outH + rows - 1) / rows, columns = kH * kW * inC, most = (rows * outW + 3) / 4 * 4;
	const int ownRow = warp / 4 * 32, ownColumn = warp % 4 * filterTiles * 8, down = v.tileW() * stride;
	Element *gradient = shared, *tile = shared + most * gradientStride;
	unsigned char *numbers = reinterpret_cast<unsigned char *>(tile + v.tileH() * down);
	__shared__ short offset[4 * filterTiles * 8]; // of the columns in the tile: in registers there is no room for them
	if (threadIdx.x < 4 * filterTiles * 8) {
		const int n = min((int)threadIdx.x, columns - 1), tap = n / inC, a = tap / kW;
		offset[threadIdx.x] = (short)((a * v.tileW() + tap - a * kW) * stride + n - tap * inC);
	}
	if (y) norm.fill(first, gamma, beta, mean, variance, normSums, epsilon, pixels, outC);
	float sums[2][filterTiles][4] = {};
	zeroTile(tile, v);
#pragma unroll 1
	for (int band = blockIdx.x; band < bands; band += gridDim.x) {
		const int image = v.byBands.quotient(band), row = (band - image * perImage) * rows, count = min(rows, outH - row) * outW;
		const size_t pooled = (size_t)(image * outH + row) * outW * outC;
		__syncthreads();
		in.fill(tile, image, 2 * row - padH, blockIdx.y >= slopeFrom, v);
		fillPooled(gradient, numbers, dy + pooled, arg + pooled / 4, y ? y + pooled : nullptr, norm, first, count, outC);
		__syncthreads();
		if (ownColumn >= columns) continue;
#pragma unroll 1
		for (int step = 0; step < count; step += 4) {
			const int pixel = step + t, own = min(pixel, count - 1), i = v.byOutW.quotient(own);
			const Element *at = tile + (2 * i * v.tileW() + 2 * (own - i * outW)) * stride;
			Pair a[2][4], b[filterTiles][2];
#pragma unroll
			for (int k = 0; k < 8; k++) { // rows g, g+8 of both fragments, upper and lower row of the window
				const int o = ownRow + k / 4 * 16 + k % 2 * 8 + g, upper = k / 2 % 2 * 2;
				const Element d = gradient[pixel * gradientStride + o];
				const int number = numbers[pixel * numberStride + o];
#pragma unroll
				for (int e = 0; e < 2; e++) {
					narrow(a[k / 4][k % 4].e[e], 0.0f);
					if (number == upper + e) a[k / 4][k % 4].e[e] = d;
				}
			}
#pragma unroll
			for (int j = 0; j < filterTiles; j++) {
#pragma unroll
				for (int k = 0; k < 4; k++) b[j][k / 2].e[k % 2] = at[offset[ownColumn + 8 * j + g] + k / 2 * down + k % 2 * stride];
			}
			multiply<2, filterTiles>(sums, a, b);
		}
	}
#pragma unroll
	for (int k = 0; k < 8 * filterTiles; k++) {
		const int m = k / (4 * filterTiles), j = k / 4 % filterTiles, i = k % 4;
		const int o = first + ownRow + 16 * m + i / 2 * 8 + g, n = ownColumn + 8 * j + 2 * t + i % 2;
		if (o < outC && n < columns) partial[(((size_t)kind * gridDim.x + blockIdx.x) * outC + o) * columns + n] = sums[m][j][i];
	}
}

// conv_small_finish adds up the sums of `blocks` blocks for each of n elements of dfilter: 4 threads an element, each every fourth
// block, then these four. Launch: 256 threads, kernels.ConvSmallFinishGrid, exactly.
extern "C" __global__ void __launch_bounds__(256)
KERNEL(conv_small_finish)(Element *dfilter, const float *partial, int blocks, int n) {
	__shared__ float sums[4][64];
	const int column = threadIdx.x % 64, part = threadIdx.x / 64, i = blockIdx.x * 64 + column;
	float sum = 0.0f;
	if (i < n) {
#pragma unroll 4
		for (int b = part; b < blocks; b += 4) sum += partial[(size_t)b * n + i];
	}
	sums[part][column] = sum;
	__syncthreads();
	if (part == 0 && i < n) narrow(dfilter[i], (sums[0][column] + sums[1][column]) + (sums[2][column] + sums[3][column]));
}

// conv_small_whiten_finish adds up the sums of `blocks` blocks for the gradient of a whitening layer's bias: a block per channel o of
// the convolution, whose threads each have one of the n = kH kW inC columns. partial is [blocks, gridDim.x, n], sums [gridDim.x, inC],
// arrived one number (lastblock.cuh). Launch: 256 threads, one block for each channel, exactly.
extern "C" __global__ void __launch_bounds__(256)
KERNEL(conv_small_whiten_finish)(float *dbias, float *sums, unsigned *arrived, const float *partial, const Element *filter, int blocks, int inC, int n) {
	__shared__ float terms[256];
	const int o = blockIdx.x, outC = gridDim.x, k = threadIdx.x;
	float sum = 0.0f;
	if (k < n) {
#pragma unroll 4
		for (int b = 0; b < blocks; b++) sum += partial[((size_t)b * outC + o) * n + k];
		sum *= widen(filter[o * n + k]);
	}
	terms[k] = sum;
	__syncthreads();
	if (k < inC) {
		float all = 0.0f;
#pragma unroll 1
		for (int i = k; i < n; i += inC) all += terms[i];
		sums[o * inC + k] = all;
	}
	if (!lastBlock(arrived, outC) || k >= inC) return;
	float all = 0.0f;
#pragma unroll 8
	for (int i = 0; i < outC; i++) all += sums[i * inC + k];
	dbias[k] = all;
}

#endif
