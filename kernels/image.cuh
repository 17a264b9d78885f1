// image.cuh: what the kernels of image_NAME.cu have in common. There is one kernel for each device.ImageOp.
//
// They modify float32 images [n,h,w,c] with values in [0,1] in place.
// Launch: 256 threads, grid (n), exactly: block i works on image i. From the given column on, row i of drawn, float32
// [n, columns], holds 1 if the operation is applied to image i, otherwise 0, and then the parameters of the operation.
// Scratch memory is as large as the images. For an operation that mixes images, it holds a copy of them from before the
// operation: the partner of image i is image i+1 of that copy, and the partner of the last image is the first.
#pragma once

#include "block.cuh"

#define IMAGE_PARAMETERS float *images, float *scratch, const float *drawn, const float *mean, int h, int w, int c, int columns, int column
#define IMAGE_ARGUMENTS images, scratch, drawn, mean, h, w, c, columns, column

namespace {

// Picture is the image of a block.
struct Picture {
	float *x, *scratch;
	const float *p;     // parameters; null if the operation is not applied
	const float *other; // the partner's image, if the operation mixes images
	const float *mean;  // of each channel
	int h, w, c, size;
};

__device__ __forceinline__ Picture pictureOf(IMAGE_PARAMETERS) {
	const size_t size = (size_t)h * w * c;
	const float *row = drawn + (size_t)blockIdx.x * columns + column;
	const size_t partner = blockIdx.x + 1 < gridDim.x ? blockIdx.x + 1 : 0;
	return Picture{images + blockIdx.x * size, scratch + blockIdx.x * size, row[0] != 0 ? row + 1 : nullptr, scratch + partner * size,
		mean, h, w, c, (int)size};
}

// clampPixel returns the number in [0,1] that is nearest to v.
__device__ __forceinline__ float clampPixel(float v) { return fminf(fmaxf(v, 0.0f), 1.0f); }

// quantized returns the byte that is nearest to 255 times the pixel.
__device__ __forceinline__ float quantized(float v) { return floorf(255.0f * clampPixel(v) + 0.5f); }

// gray returns the brightness of a pixel of c channels, as device.Image.Gray.
__device__ __forceinline__ float gray(const float *p, int c) {
	if (c == 3) return 0.299f * p[0] + 0.587f * p[1] + 0.114f * p[2];
	float sum = 0;
	for (int k = 0; k < c; k++) sum += p[k];
	return sum / (float)c;
}

// copyToScratch moves the image to the scratch memory, with all threads of the block.
__device__ __forceinline__ void copyToScratch(const Picture &m) {
	for (int i = threadIdx.x; i < m.size; i += blockDim.x) m.scratch[i] = m.x[i];
	__syncthreads();
}

} // namespace
