// augment.cu: uint8 images [n or set, h, w, c] to normalised images y [n,h,w,c], shifted, mirrored and with a square
// cut out, as device.AugmentSpec defines:
//
//	y[i,j,k] = table[k][x[i',j',k]]        table[k][v] = (v/255 - mean[k]) / std[k]
//	i' = reflect(i+dy)      j' = reflect(j+dx), or w-1-reflect(j+dx) if mirrored
//
// and 0 inside the square. A pixel has only 256 values, so normalisation is a table, float32 [c, 256] on the device.
// The CPU device uses the same table, so both get the same numbers. The whole data set may be on the device: with
// gather, image n of the batch is images[ids[n]], and images holds set images. An id outside [0, set) gives NaN, and
// nothing is read.
//
// Launch: 256 threads, grid (n), one block per image.
// Bytes per output element: 1 read, one element written.
#include "philox.cuh"
#include "special.cuh"
#include "storage.cuh"

namespace {

constexpr int tableChannels = 4; // tables for more channels stay in global memory

// Change is what happens to one image.
struct Change {
	int dy, dx, mirror;
	int cutY, cutX, cut; // corner of the square, and its side
};

enum { FlipNone, FlipRandom, FlipAlternating }; // device.FlipMode

// changeOf draws the change of image id in an epoch, as device.AugmentSpec says.
__device__ __forceinline__ Change changeOf(int id, unsigned epoch, int h, int w, int flip, int crop, int cutout,
	int seedLow, int seedHigh, int stream) {
	// Block 2*id. Its upper word is the top bit of id.
	const unsigned low = (unsigned)id << 1, high = (unsigned)id >> 31;
	const Words r = randomWords(seedLow, seedHigh, stream, epoch, low, high);
	Change c = {below(r.w[1], 2 * crop + 1) - crop, below(r.w[2], 2 * crop + 1) - crop, 0, 0, 0, 0};
	if (flip == FlipRandom) c.mirror = r.w[0] >> 31;
	if (flip == FlipAlternating) {
		const Words first = randomWords(seedLow, seedHigh, stream, 0, low, high);
		c.mirror = ((first.w[0] >> 31) + epoch) & 1;
	}
	if (cutout > 0) {
		const Words s = randomWords(seedLow, seedHigh, stream, epoch, low + 1, high);
		c.cut = cutout;
		c.cutY = below(s.w[0], h - cutout + 1);
		c.cutX = below(s.w[1], w - cutout + 1);
	}
	return c;
}

// reflect continues [0, n) by reflection at the edges, which are not repeated.
__device__ __forceinline__ int reflect(int i, int n) { return i < 0 ? -i : i >= n ? 2 * (n - 1) - i : i; }

// Pixel walks over the elements of one image in their order.
struct Pixel {
	int i, j, k; // row, column, channel
	const unsigned char *from;
	bool cut;

	__device__ __forceinline__ Pixel(int e, const unsigned char *x, int h, int w, int c, const Change &change) {
		k = e % c;
		e /= c;
		j = e % w;
		i = e / w;
		locate(x, h, w, c, change);
	}
	__device__ __forceinline__ void locate(const unsigned char *x, int h, int w, int c, const Change &change) {
		const int row = reflect(i + change.dy, h);
		int col = reflect(j + change.dx, w);
		if (change.mirror) col = w - 1 - col;
		from = x + (row * w + col) * c;
		cut = i >= change.cutY && i < change.cutY + change.cut && j >= change.cutX && j < change.cutX + change.cut;
	}
	__device__ __forceinline__ float value(const float *table) const { return cut ? 0.0f : table[256 * k + from[k]]; }
	__device__ __forceinline__ void next(const unsigned char *x, int h, int w, int c, const Change &change) {
		if (++k < c) return;
		k = 0;
		if (++j == w) {
			j = 0;
			if (++i == h) return;
		}
		locate(x, h, w, c, change);
	}
};

// changeImage writes one image, by all threads of a block. x is null if the id is invalid.
__device__ __forceinline__ void changeImage(Element *y, const unsigned char *x, const float *table, int h, int w, int c, const Change &change) {
	__shared__ float shared[tableChannels * 256];
	if (c <= tableChannels) {
		for (int i = threadIdx.x; i < 256 * c; i += blockDim.x) shared[i] = table[i];
		table = shared;
	}
	__syncthreads();
	const int size = h * w * c;
	if (!x) {
		for (int e = threadIdx.x; e < size; e += blockDim.x) narrow(y[e], notANumber());
		return;
	}
	const int quads = aligned(y) ? size / 4 : 0;
#pragma unroll 1
	for (int q = threadIdx.x; q < quads; q += blockDim.x) {
		Vector<Element, 4> v;
		Pixel at(4 * q, x, h, w, c, change);
#pragma unroll
		for (int k = 0; k < 4; k++) {
			if (k > 0) at.next(x, h, w, c, change);
			narrow(v.e[k], at.value(table));
		}
		store(y + 4 * q, v);
	}
#pragma unroll 1
	for (int e = 4 * quads + threadIdx.x; e < size; e += blockDim.x) narrow(y[e], Pixel(e, x, h, w, c, change).value(table));
}

// imageOf returns image n of the batch, or null if its id is invalid.
__device__ __forceinline__ const unsigned char *imageOf(const unsigned char *images, const int *ids, int gather, int set, size_t size) {
	if (!gather) return images + blockIdx.x * size;
	const int id = ids[blockIdx.x];
	return id >= 0 && id < set ? images + id * size : nullptr;
}

} // namespace

// labelOf returns the label of an id: -1 for an invalid one, which the loss turns into NaN.
__device__ __forceinline__ int labelOf(const int *labels, int id, int set) { return id >= 0 && id < set ? labels[id] : -1; }

// augment_train applies the whole augmentation. epoch is int32 [1] on the device, so that each replay of a recorded
// step draws new numbers, and so is the seed [2], the lower half first. stream is device.StreamAugment. With gather it also picks the labels of the images, as
// gather_labels does, unless picked is null.
extern "C" __global__ void __launch_bounds__(256)
KERNEL(augment_train)(Element *y, const unsigned char *images, const int *ids, const int *epoch, const int *seed, const float *table, int *picked,
	const int *labels, int h, int w, int c, int flip, int crop, int cutout, int stream, int gather, int set) {
	__shared__ Change change;
	if (threadIdx.x == 0) {
		change = changeOf(ids[blockIdx.x], *epoch, h, w, flip, crop, cutout, seed[0], seed[1], stream);
		if (picked) picked[blockIdx.x] = labelOf(labels, ids[blockIdx.x], set);
	}
	__syncthreads();
	const size_t size = (size_t)h * w * c;
	changeImage(y + blockIdx.x * size, imageOf(images, ids, gather, set, size), table, h, w, c, change);
}

// augment_normalize shifts every image by (dy, dx), |dy| < h and |dx| < w, optionally mirrors it, and normalises it.
// ids may be null without gather.
extern "C" __global__ void __launch_bounds__(256)
KERNEL(augment_normalize)(Element *y, const unsigned char *images, const int *ids, const float *table, int h, int w, int c,
	int dy, int dx, int mirror, int gather, int set) {
	const Change change = {dy, dx, mirror, 0, 0, 0};
	const size_t size = (size_t)h * w * c;
	changeImage(y + blockIdx.x * size, imageOf(images, ids, gather, set, size), table, h, w, c, change);
}

// gather_labels: dst[i] = labels[ids[i]] where labels holds set labels.
// Launch: 256 threads, grid ceil(n / 256).
extern "C" __global__ void __launch_bounds__(256)
KERNEL(gather_labels)(int *dst, const int *labels, const int *ids, int n, int set) {
	const int i = blockIdx.x * blockDim.x + threadIdx.x;
	if (i < n) dst[i] = labelOf(labels, ids[i], set);
}
